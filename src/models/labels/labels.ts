import {
  type BlobStore,
  type Clock,
  type Facts,
  type Json,
  type ModelLabels,
  type ModelOperations,
  type Service,
  type StateStore,
  sha256,
  signal,
  type Timer,
} from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import { truthOf } from '../operations/rows.ts';
import type { Metrics, VersionRecord } from '../registry/records.ts';
import { type Batch, type ColumnSource, columnsOf, valueAt } from '../watch/columns.ts';
import {
  addLabel,
  emptyCounts,
  findDecay,
  type LabelCounts,
  type LiveMetrics,
  labelsIn,
  metricsOf,
} from './live-metrics.ts';
import { createPending, type PendingPredictions } from './pending.ts';

/** Rows that a version has answered, with the keys that labels will name. */
export interface KeyedCall {
  readonly model: string;
  readonly version: string;
  readonly rows: number;
  readonly keys: readonly string[];
  readonly inputs: Batch;
  readonly outputs: Batch;
  readonly features: readonly string[] | undefined;
}

/** What the labels say of a version. */
export interface LabelledVersion {
  readonly version: string;
  /** Of the labels since the last window. */
  readonly now: LiveMetrics;
  /** Of the last full window. */
  readonly last: LiveMetrics | null;
  /** By `column=value`. */
  readonly groups: { readonly [group: string]: LiveMetrics };
  /** The metric that is lower than in training. */
  readonly decayed: string | null;
}

export interface LabelStatus {
  /** Predictions that wait, that were pushed out, labels that no prediction waited for. */
  readonly waiting: number;
  readonly forgotten: number;
  readonly unmatched: number;
  readonly versions: readonly LabelledVersion[];
}

/** Joins predictions with the labels that come later. */
export interface Labels extends Service {
  start(): Promise<void>;
  stop(): Promise<void>;
  observe(call: KeyedCall): void;
  /** Undefined where the model says nothing of labels. */
  show(model: string): LabelStatus | undefined;
  settled(): Promise<void>;
}

export interface LabelsOptions {
  readonly operations: {
    list(): readonly [model: string, operations: ModelOperations][];
    of(model: string): ModelOperations;
  };
  readonly version: (model: string, version: string) => Promise<VersionRecord>;
  readonly labelled: (model: string, version: string, right: boolean) => void;
  readonly streams: Streams;
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly facts: Facts;
  readonly clock: Clock;
}

/** How often labels are read, and how often what waits is stored: what came since is lost when the platform dies. */
const READ_MS = 1000;
const STORE_MS = 5000;
const PAGE = 1000;
const CAPACITY = 500_000;
/** Labels of a window: what decay is judged on. */
const WINDOW = 1000;
const MOST_VERSIONS = 200;
const MOST_GROUPS = 100;
const TABLE = 'models.labels';

interface VersionCounts {
  now: LabelCounts;
  last: LabelCounts | null;
  readonly groups: { [group: string]: LabelCounts };
  /** Metrics of training, or of the first window where training told none. */
  before: { accuracy?: number | null; auc?: number | null } | null;
  decayed: string | null;
}

/** What is stored of a model, in one document: positions and what was counted up to them belong together. */
interface Joined {
  positions: number[] | null;
  unmatched: number;
  readonly versions: string[];
  readonly groups: string[];
  readonly counts: { [version: string]: VersionCounts };
}

interface Joiner {
  readonly joined: Joined;
  readonly pending: PendingPredictions;
  dirty: boolean;
}

export function createLabels(options: LabelsOptions): Labels {
  const { operations, streams, state, blobs, facts, clock } = options;
  const joiners = new Map<string, Joiner>();
  let timer: Timer | undefined;
  let tail: Promise<void> = Promise.resolve();
  let storedMs = clock.monotonic();

  const joinerOf = (model: string): Joiner => {
    let joiner = joiners.get(model);
    if (!joiner) {
      const joined: Joined = { positions: null, unmatched: 0, versions: [], groups: [], counts: {} };
      joiner = { joined, pending: createPending(CAPACITY), dirty: false };
      joiners.set(model, joiner);
    }
    return joiner;
  };

  const load = async (model: string): Promise<void> => {
    const joiner = joinerOf(model);
    const stored = (await state.get(TABLE, model))?.value as unknown as Joined | undefined;
    if (stored) Object.assign(joiner.joined, stored);
    for (const { key } of await blobs.list(folderOf(model), { limit: 1000 })) {
      joiner.pending.load(Number(key.slice(key.lastIndexOf('/') + 1)), await blobs.get(key));
    }
  };

  const store = async (): Promise<void> => {
    storedMs = clock.monotonic();
    for (const [model, joiner] of joiners) {
      for (const { part, bytes } of joiner.pending.changed())
        await blobs.put(`${folderOf(model)}${part}`, bytes);
      if (!joiner.dirty) continue;
      joiner.dirty = false;
      const value = joiner.joined as unknown as Json;
      await state.transact([{ kind: 'put', table: TABLE, key: model, value }]);
    }
  };

  const countsOf = async (model: string, joined: Joined, version: string): Promise<VersionCounts> => {
    const found = joined.counts[version];
    if (found) return found;
    const { metrics } = await options.version(model, version);
    const made = { now: emptyCounts(), last: null, groups: {}, before: beforeOf(metrics), decayed: null };
    joined.counts[version] = made;
    return made;
  };

  const join = async (model: string, labels: ModelLabels, key: string, truth: number): Promise<void> => {
    const joiner = joinerOf(model);
    const { joined, pending } = joiner;
    joiner.dirty = true;
    const waiting = pending.take(key);
    if (!waiting || clock.now() - waiting.timeMs > labels.withinMs) {
      joined.unmatched++;
      return;
    }
    const version = joined.versions[waiting.version];
    // Killed before the table of versions was stored.
    if (version === undefined) {
      joined.unmatched++;
      return;
    }
    const counts = await countsOf(model, joined, version);
    const right = addLabel(counts.now, waiting.score, truth, labels.threshold);
    const group = joined.groups[waiting.group];
    if (group !== undefined && group !== '') {
      counts.groups[group] ??= emptyCounts();
      addLabel(counts.groups[group], waiting.score, truth, labels.threshold);
    }
    options.labelled(model, version, right);
    if (labelsIn(counts.now) >= WINDOW) await closeWindow(model, version, counts, labels);
  };

  const closeWindow = async (
    model: string,
    version: string,
    counts: VersionCounts,
    labels: ModelLabels,
  ): Promise<void> => {
    const full = counts.now;
    counts.now = emptyCounts();
    counts.last = full;
    if (!counts.before) {
      const { accuracy, auc } = metricsOf(full);
      counts.before = { accuracy, auc };
      return;
    }
    const decay = findDecay(full, counts.before, labels.margin, operations.of(model).watch.falseAlarms);
    const metric = decay?.metric ?? null;
    if ((metric === null) === (counts.decayed === null)) return;
    counts.decayed = metric;
    const fact = {
      type: decay ? 'decay.detected' : 'decay.ended',
      id: `${model}@${version}/labels-${clock.now()}`,
      model,
      version,
      metrics: metricsOf(full) as unknown as Json,
      before: counts.before as unknown as Json,
      ...(decay ? { metric: decay.metric } : {}),
    };
    await facts.record('millrace.drift', model, fact);
  };

  const read = async (model: string, labels: ModelLabels): Promise<void> => {
    const described = streams.find(labels.stream);
    if (!described) return;
    const { joined } = joinerOf(model);
    // Labels from before the model was watched have no prediction that waits for them.
    joined.positions ??= described.bounds.map(({ lastStableOffset }) => lastStableOffset);
    for (const [partition, { lastStableOffset, logStartOffset }] of described.bounds.entries()) {
      let offset = Math.max(joined.positions[partition] ?? 0, logStartOffset);
      while (offset < lastStableOffset) {
        const page = await streams.read({ topic: labels.stream, partition }, offset, { limit: PAGE });
        for (const { value } of page.records) {
          const found = value && labelIn(value, labels);
          if (found) await join(model, labels, found.key, found.truth);
        }
        if (page.nextOffset <= offset) break;
        offset = page.nextOffset;
      }
      joined.positions[partition] = offset;
    }
  };

  const look = async (): Promise<void> => {
    for (const [model, { watch }] of operations.list()) {
      if (!watch.labels) continue;
      if (!joiners.has(model)) await load(model);
      await read(model, watch.labels).catch((error: unknown) => failed(model, error));
    }
    if (clock.monotonic() - storedMs >= STORE_MS) await store();
  };

  const inTurn = (work: () => Promise<void>): Promise<void> => {
    tail = tail.then(work).catch((error: unknown) => failed('', error));
    return tail;
  };

  const arm = (): void => {
    timer = clock.after(READ_MS, () => {
      void inTurn(look).then(arm);
    });
  };

  return {
    name: 'models labels',
    async start() {
      for (const [model, { watch }] of operations.list()) if (watch.labels) await load(model);
      arm();
    },
    async stop() {
      timer?.cancel();
      await inTurn(store);
      timer?.cancel();
    },
    observe(call) {
      const { labels } = operations.of(call.model).watch;
      if (labels) observeCall(joinerOf(call.model), call, labels, clock.now());
    },
    show(model) {
      const joiner = joiners.get(model);
      if (!operations.of(model).watch.labels || !joiner) return undefined;
      const { joined, pending } = joiner;
      const { size: waiting, forgotten } = pending;
      return {
        waiting,
        forgotten,
        unmatched: joined.unmatched,
        versions: Object.entries(joined.counts).map(versionView),
      };
    },
    settled: () => inTurn(look),
  };
}

const folderOf = (model: string): string => `models/labels/${sha256(model).slice(0, 32)}/`;

function beforeOf({ accuracy, auc }: Metrics): VersionCounts['before'] {
  if (accuracy === undefined && auc === undefined) return null;
  return { ...(accuracy === undefined ? {} : { accuracy }), ...(auc === undefined ? {} : { auc }) };
}

function versionView([version, { now, last, groups, decayed }]: [string, VersionCounts]): LabelledVersion {
  return {
    version,
    now: metricsOf(now),
    last: last && metricsOf(last),
    groups: Object.fromEntries(Object.entries(groups).map(([group, counts]) => [group, metricsOf(counts)])),
    decayed,
  };
}

/** Key and truth of a label's record; undefined for one that holds neither. */
function labelIn(value: Uint8Array, { key, label }: ModelLabels): { key: string; truth: number } | undefined {
  let record: { readonly [field: string]: Json } | null;
  try {
    record = JSON.parse(Buffer.from(value).toString()) as { readonly [field: string]: Json } | null;
  } catch {
    return undefined;
  }
  const name = record?.[key];
  const truth = truthOf(record?.[label]);
  if ((typeof name !== 'string' && typeof name !== 'number') || Number.isNaN(truth)) return undefined;
  return { key: String(name), truth };
}

function observeCall(joiner: Joiner, call: KeyedCall, labels: ModelLabels, timeMs: number): void {
  const { joined, pending } = joiner;
  const { rows, keys, inputs, outputs, features } = call;
  const source = outputOf(columnsOf(outputs, rows), labels.output);
  if (!source) return;
  const known = joined.versions.length + joined.groups.length;
  const version = placeOf(joined.versions, call.version, MOST_VERSIONS);
  const grouping = columnsOf(inputs, rows, features).filter(({ column }) => labels.groups.includes(column));
  for (let row = 0; row < rows; row++) {
    const score = Number(valueAt(outputs, source, row, rows));
    if (!Number.isFinite(score)) continue;
    const names = grouping.map((each) => `${each.column}=${valueAt(inputs, each, row, rows) ?? ''}`);
    const group = placeOf(joined.groups, names.join(' '), MOST_GROUPS);
    pending.add({ key: keys[row]!, score, timeMs, version, group });
  }
  if (joined.versions.length + joined.groups.length > known) joiner.dirty = true;
}

/** Classifiers give a label and then probabilities; what stands last is the score of the last class. */
function outputOf(columns: readonly ColumnSource[], output: string | null): ColumnSource | undefined {
  return output === null ? columns.at(-1) : columns.find(({ column }) => column === output);
}

/** Where a text stands in a table of so many; what does not fit any more is the last of them. */
function placeOf(table: string[], text: string, most: number): number {
  const found = table.indexOf(text);
  if (found >= 0) return found;
  if (table.length < most) return table.push(text) - 1;
  table[most - 1] = 'others';
  return most - 1;
}

function failed(model: string, error: unknown): void {
  const message = `Labels${model === '' ? '' : ` of '${model}'`} could not be joined; it is tried again.`;
  signal('platform.log', { level: 'warn', room: 'models', message, error });
}

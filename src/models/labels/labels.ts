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
import { type GapVerdict, judgeGap } from '../releases/fairness.ts';
import type { Labelled } from '../releases/live.ts';
import { type Batch, type ColumnSource, columnsOf, valueAt } from '../watch/columns.ts';
import { addDelay, type Delays, delayOf } from './delays.ts';
import {
  addDecision,
  addLabel,
  type Decisions,
  emptyCounts,
  emptyDecisions,
  isClass,
  type LabelCounts,
  labelsIn,
} from './label-counts.ts';
import { findDecay, type LiveMetrics, type MetricsBefore, metricsOf } from './live-metrics.ts';
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
  /** The two groups that are too far apart. */
  readonly biased: string | null;
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
  /** Within how long nine of ten labels came, in ms; zero where none have. */
  delayOf(model: string): number;
  settled(): Promise<void>;
}

export interface LabelsOptions {
  readonly operations: {
    list(): readonly [model: string, operations: ModelOperations][];
    of(model: string): ModelOperations;
  };
  readonly version: (model: string, version: string) => Promise<VersionRecord>;
  readonly labelled: (model: string, labelled: Labelled) => void;
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
/** Labels that have come by the time that a new period is said to be known. */
const MOST_LABELS = 0.9;
const TABLE = 'models.labels';

interface VersionCounts {
  now: LabelCounts;
  last: LabelCounts | null;
  readonly groups: { [group: string]: LabelCounts };
  /** Of the window, by group. */
  nowGroups: { [group: string]: Decisions };
  /** Metrics of training, or of the first window where training told none. */
  before: MetricsBefore | null;
  decayed: string | null;
  biased: string | null;
}

/** What is stored of a model, in one document: positions and what was counted up to them belong together. */
interface Joined {
  positions: number[] | null;
  unmatched: number;
  readonly versions: string[];
  readonly groups: string[];
  readonly counts: { [version: string]: VersionCounts };
  readonly delays: Delays;
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
      const joined: Joined = {
        ...{ positions: null, unmatched: 0, versions: [], groups: [], counts: {}, delays: [] },
      };
      joiner = { joined, pending: createPending(CAPACITY), dirty: false };
      joiners.set(model, joiner);
    }
    return joiner;
  };

  const load = async (model: string): Promise<void> => {
    const joiner = joinerOf(model);
    const stored = (await state.get(TABLE, model))?.value as unknown as Joined | undefined;
    if (stored) Object.assign(joiner.joined, stored, { counts: mapValues(stored.counts, whole) });
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
    const made: VersionCounts = {
      ...{ now: emptyCounts(), last: null, groups: {}, nowGroups: {} },
      ...{ before: beforeOf(metrics), decayed: null, biased: null },
    };
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
    addDelay(joined.delays, clock.now() - waiting.timeMs);
    const counts = await countsOf(model, joined, version);
    const { score } = waiting;
    const { threshold } = labels;
    addLabel(counts.now, score, truth, threshold);
    const group = joined.groups[waiting.group] ?? '';
    if (group !== '') {
      counts.groups[group] ??= emptyCounts();
      addLabel(counts.groups[group], score, truth, threshold);
      counts.nowGroups[group] ??= emptyDecisions();
      if (isClass(truth)) addDecision(counts.nowGroups[group], score >= threshold, truth);
    }
    options.labelled(model, { version, score, truth, threshold, group });
    if (labelsIn(counts.now) >= WINDOW) await closeWindow(model, version, counts, labels);
  };

  const closeWindow = async (
    model: string,
    version: string,
    counts: VersionCounts,
    labels: ModelLabels,
  ): Promise<void> => {
    const { now: full, nowGroups: groups } = counts;
    counts.now = emptyCounts();
    counts.nowGroups = {};
    counts.last = full;
    // Decay and bias share the false alarms of a window.
    const falseAlarms = operations.of(model).watch.falseAlarms / 2;
    if (labels.groups.length > 0) await lookForBias(model, version, counts, groups, labels, falseAlarms);
    if (counts.before) return lookForDecay(model, version, counts, full, labels, falseAlarms);
    const { accuracy, auc, r2 } = metricsOf(full);
    counts.before = { accuracy, auc, r2 };
  };

  const lookForDecay = async (
    model: string,
    version: string,
    counts: VersionCounts,
    full: LabelCounts,
    labels: ModelLabels,
    falseAlarms: number,
  ): Promise<void> => {
    const decay = findDecay(full, counts.before!, labels.margin, falseAlarms);
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

  const lookForBias = async (
    model: string,
    version: string,
    counts: VersionCounts,
    groups: { readonly [group: string]: Decisions },
    { bias }: ModelLabels,
    falseAlarms: number,
  ): Promise<void> => {
    const found = judgeGap(groups, bias, { falseStop: falseAlarms, confidence: 1 - falseAlarms });
    const biased = found.verdict === 'fail' ? pairOf(found.widest!) : null;
    if ((biased === null) === (counts.biased === null)) return;
    counts.biased = biased;
    const fact = {
      type: biased === null ? 'bias.ended' : 'bias.detected',
      id: `${model}@${version}/bias-${clock.now()}`,
      ...{ model, version, of: bias.of, allowed: bias.gap },
      ...(found.widest ? ({ ...found.widest } as unknown as { [field: string]: Json }) : {}),
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
    delayOf: (model) => delayOf(joiners.get(model)?.joined.delays ?? [], MOST_LABELS),
    settled: () => inTurn(look),
  };
}

const folderOf = (model: string): string => `models/labels/${sha256(model).slice(0, 32)}/`;

function beforeOf({ accuracy, auc, r2, rSquared }: Metrics): VersionCounts['before'] {
  const before = { accuracy, auc, r2: r2 ?? rSquared };
  const known = Object.entries(before).filter(([, value]) => value !== undefined);
  return known.length === 0 ? null : Object.fromEntries(known);
}

const pairOf = ({ lowest, highest }: NonNullable<GapVerdict['widest']>): string =>
  `${lowest.group}, ${highest.group}`;

function mapValues<Value, Result>(
  values: { readonly [name: string]: Value },
  map: (value: Value) => Result,
): { [name: string]: Result } {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}

/** What an earlier version of the platform stored has fewer figures: windows begin anew where any is missing. */
function whole(stored: VersionCounts): VersionCounts {
  const counts = (each: LabelCounts): LabelCounts => (each.truths ? each : emptyCounts());
  return {
    ...stored,
    now: counts(stored.now),
    last: stored.last && counts(stored.last),
    groups: mapValues(stored.groups, counts),
    nowGroups: stored.nowGroups ?? {},
    biased: stored.biased ?? null,
  };
}

function versionView([version, counts]: [string, VersionCounts]): LabelledVersion {
  const { now, last, groups, decayed, biased } = counts;
  return {
    version,
    now: metricsOf(now),
    last: last && metricsOf(last),
    groups: mapValues(groups, metricsOf),
    decayed,
    biased,
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

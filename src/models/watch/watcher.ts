import {
  type BlobStore,
  type Clock,
  type Facts,
  isMillraceError,
  type Json,
  type ModelOperations,
  type Service,
  type StateStore,
  signal,
  type Timer,
  type Workers,
} from '../../kernel/index.ts';
import type { VersionRecord } from '../registry/records.ts';
import type { Batch } from './columns.ts';
import type { ColumnDrift } from './drift.ts';
import { createMonitor, type DriftOptions, type JudgedWindow, type Monitor } from './monitor.ts';
import { checkReference, type Reference } from './reference.ts';

/** Rows that a version has answered. */
export interface WatchedCall {
  readonly model: string;
  readonly version: string;
  readonly rows: number;
  readonly inputs: Batch;
  readonly outputs: Batch;
  readonly features: readonly string[] | undefined;
}

/** What is known of a version's drift. */
export interface WatchedVersion {
  readonly version: string;
  /** Where the reference comes from; null until enough rows have been seen to learn one. */
  readonly reference: 'training' | 'live' | null;
  readonly rows: Monitor['rows'];
  /** Columns that drift at the moment. */
  readonly drifting: readonly string[];
  readonly last: JudgedWindow | null;
}

/** Watches what versions of models are given and what they answer, and records drift when it begins and when it ends. */
export interface Watcher extends Service {
  start(): Promise<void>;
  stop(): Promise<void>;
  observe(call: WatchedCall): void;
  /** Of the model's versions that have answered since the start. */
  show(model: string): readonly WatchedVersion[];
  /** Resolves when all that was observed is counted and judged. */
  settled(): Promise<void>;
  /** What a version was trained on, or has been learned of it. */
  referenceOf(version: VersionRecord): Promise<Reference | undefined>;
}

export interface WatcherOptions {
  readonly version: (model: string, version: string) => Promise<VersionRecord>;
  readonly operations: (model: string) => ModelOperations;
  readonly workers: Workers;
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly facts: Facts;
  readonly clock: Clock;
}

interface Watched {
  readonly version: VersionRecord;
  readonly monitor: Monitor;
  readonly trained: boolean;
  drifting: readonly string[];
}

/** How long counts may wait; time windows end as late as that. */
const TICK_MS = 1000;
/** Versions watched at the same time; the one that answered longest ago makes room. */
const MOST_VERSIONS = 500;
/** Columns that a record tells of. */
const MOST_TOLD = 50;
const STATES = 'models.drift';

const keyOf = (model: string, version: string): string => `${model}/${version}`;
const learnedKey = (model: string, version: string): string => `models/references/${model}/${version}.json`;

export function createWatcher(options: WatcherOptions): Watcher {
  const { clock, facts, state, blobs } = options;
  const watched = new Map<string, Watched>();
  const opening = new Map<string, Promise<void>>();
  let timer: Timer | undefined;

  const failed = (error: unknown): void => {
    const message = 'What a model was given could not be watched.';
    signal('platform.log', { level: 'warn', room: 'models', message, error });
  };

  const referenceOf = async ({
    model,
    version,
    facts: known,
  }: VersionRecord): Promise<Reference | undefined> => {
    if (known.reference !== undefined) return checkReference(known.reference);
    try {
      const bytes = await blobs.get(learnedKey(model, version));
      return checkReference(JSON.parse(Buffer.from(bytes).toString()));
    } catch (error) {
      if (isMillraceError(error, 'BLOB_NOT_FOUND')) return undefined;
      throw error;
    }
  };

  const open = async (model: string, id: string, features: readonly string[] | undefined): Promise<void> => {
    const version = await options.version(model, id);
    const reference = await referenceOf(version);
    const stored = await state.get(STATES, keyOf(model, id));
    const { watch } = options.operations(model);
    const found: Watched = {
      version,
      trained: version.facts.reference !== undefined,
      drifting: ((stored?.value as { drifting?: string[] } | undefined)?.drifting ?? []) as string[],
      monitor: createMonitor({
        workers: options.workers,
        reference,
        features,
        options: driftOptions(watch),
        judged: (window) => judged(found, window),
        learned: async (made) => {
          await blobs.put(learnedKey(model, id), Buffer.from(JSON.stringify(made)));
        },
        failed,
      }),
    };
    if (watched.size >= MOST_VERSIONS) watched.delete(watched.keys().next().value!);
    watched.set(keyOf(model, id), found);
  };

  /** A record when columns begin to drift, and one when all have stopped; not one a window. */
  const judged = async (of: Watched, window: JudgedWindow): Promise<void> => {
    const { model, version } = of.version;
    const columns = [...window.inputs, ...window.outputs].filter((column) => column.reasons.length > 0);
    const drifting = columns.map(({ name }) => name);
    const began = drifting.filter((name) => !of.drifting.includes(name));
    const ended = of.drifting.length > 0 && drifting.length === 0;
    if (began.length === 0 && !ended) return;
    const id = `${model}@${version}/${window.fromMs}-${window.toMs}`;
    const fact = {
      ...(ended ? { type: 'drift.ended' } : { type: 'drift.detected' }),
      id,
      model,
      version,
      window: { from: timeOf(window.fromMs), to: timeOf(window.toMs), rows: window.rows },
      columns: (ended ? of.drifting.map((name) => ({ name })) : columns.map(columnFact)).slice(0, MOST_TOLD),
      began,
    };
    await facts.record('millrace.drift', model, fact as unknown as { type: string; [field: string]: Json });
    of.drifting = drifting;
    const value = { drifting } as unknown as Json;
    await state.transact([{ kind: 'put', table: STATES, key: keyOf(model, version), value }]);
  };

  const tick = (): void => {
    const now = clock.now();
    for (const { monitor } of watched.values()) monitor.tick(now);
    timer = clock.after(TICK_MS, tick);
  };

  const settled = async (): Promise<void> => {
    await Promise.all(opening.values());
    await Promise.all([...watched.values()].map(({ monitor }) => monitor.settled()));
  };

  return {
    name: 'models watch',
    referenceOf,
    async start() {
      timer = clock.after(TICK_MS, tick);
    },
    async stop() {
      timer?.cancel();
      await settled();
    },
    observe({ model, version, rows, inputs, outputs, features }) {
      const key = keyOf(model, version);
      const found = watched.get(key);
      if (found) {
        found.monitor.observe(inputs, outputs, rows, clock.now());
        return;
      }
      const opened = (): void => {
        opening.delete(key);
        watched.get(key)?.monitor.observe(inputs, outputs, rows, clock.now());
      };
      // What comes while the reference is read goes unwatched: it is a few milliseconds, once.
      if (!opening.has(key)) opening.set(key, open(model, version, features).catch(failed).then(opened));
    },
    show: (model) =>
      [...watched.values()]
        .filter(({ version }) => version.model === model)
        .map(({ version, monitor, trained, drifting }) => ({
          version: version.version,
          reference: trained ? 'training' : monitor.reference ? 'live' : null,
          rows: monitor.rows,
          drifting,
          last: monitor.last ?? null,
        })),
    settled,
  };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();
const rounded = (value: number): number => Number(value.toPrecision(4));

function columnFact(column: ColumnDrift): object {
  const { name, rows, psi, ks, js, missing, missingBefore, outOfRange, p, reasons } = column;
  return {
    name,
    reasons,
    rows,
    psi: rounded(psi),
    ks: ks === null ? null : rounded(ks),
    js: rounded(js),
    missing: rounded(missing),
    missingBefore: rounded(missingBefore),
    outOfRange: rounded(outOfRange),
    p: rounded(p),
  };
}

export function driftOptions(watch: ModelOperations['watch']): DriftOptions {
  const { windowRows, windowMs, leastRows, falseAlarms, psi, missing, outOfRange, learnRows } = watch;
  return {
    windows: { rows: windowRows, everyMs: windowMs, leastRows },
    falseAlarms,
    effects: { psi, missing, outOfRange },
    learnRows,
  };
}

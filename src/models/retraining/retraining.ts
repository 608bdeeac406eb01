import {
  type BlobStore,
  type Clock,
  type Facts,
  type Ids,
  isMillraceError,
  type Json,
  MillraceError,
  type ModelOperations,
  type ModelRetraining,
  type Service,
  type StateStore,
  siblingModule,
  signal,
  type Timer,
  type Workers,
} from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import { PRODUCTION } from '../registry/registry.ts';
import type { ReleaseRecord } from '../releases/record.ts';
import { DEFAULT_SERVING, type Models } from '../service.ts';
import type { TrainingSpec } from '../training/index.ts';
import { isFresh } from './fresh.ts';
import { countRows, latestPositions, readHistory } from './history.ts';
import { createRetrainStore, type RetrainRun } from './store.ts';
import type { LearnInput, Learnt } from './tasks.ts';
import { createTriggers } from './triggers.ts';

/**
 * Trains models anew when a fact says so.
 *
 * R1 A fact sets off one run: the run and how far the triggers have looked are written in one transaction.
 * R2 A step is written down before its work begins, with all that the work needs; killed in the middle, it is done again.
 * R3 Doing a step again changes nothing that it did before: rows are of fixed positions, training them gives the same bytes and
 *    therefore the same version, and the release has the run's own id.
 */
export interface Retraining extends Service {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Begins a run by hand. Throws CONFLICT while one is under way, INVALID_INPUT where nothing says how to retrain. */
  begin(model: string, by: string): Promise<RetrainRun>;
  list(model: string): Promise<readonly RetrainRun[]>;
  settled(): Promise<void>;
}

export interface RetrainingOptions {
  readonly models: Models;
  readonly operations: {
    list(): readonly [model: string, operations: ModelOperations][];
    of(model: string): ModelOperations;
  };
  readonly release: (
    model: string,
    version: string,
    by: string,
    more: { readonly id: string; readonly heldBack: string },
  ) => Promise<ReleaseRecord>;
  /** How late the labels of a model come, in ms. */
  readonly labelDelay: (model: string) => number;
  readonly releaseOf: (model: string, id: string) => Promise<ReleaseRecord>;
  readonly streams: Streams;
  readonly workers: Workers;
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly facts: Facts;
  readonly clock: Clock;
  readonly ids: Ids;
}

const TASKS = siblingModule(import.meta.url, './tasks');
/** How often triggers and runs are looked at. */
const LOOK_MS = 5000;
/** Part of the rows that is put aside to judge what was learnt. */
const HELD_BACK = 0.2;

const heldBackKey = (run: RetrainRun): string => `models/retraining/${run.id}.held-back`;

export function createRetraining(options: RetrainingOptions): Retraining {
  const { models, operations, streams, workers, blobs, facts, clock, ids } = options;
  const store = createRetrainStore(options.state);
  const triggers = createTriggers({ streams, clock });
  let timer: Timer | undefined;
  let looking: Promise<void> = Promise.resolve();
  let stopped = false;
  const ending = new AbortController();

  const production = (model: string): string | undefined => models.registry.find(model)?.aliases[PRODUCTION];

  /** Runs that this process has told of: those that it finds from before may not have been. */
  const known = new Set<string>();

  const tell = async ({ id, model, step, fact, version, outcome, reason }: RetrainRun): Promise<void> => {
    known.add(id);
    const told = {
      type: 'model.retraining',
      id: `${id}/${step}`,
      run: id,
      model,
      step,
      fact,
      version,
      outcome,
      reason,
    };
    await facts.record('millrace.models', model, told as { type: string; [field: string]: Json });
  };

  /** Writes the next step down, then tells of it; told at least once, under the same id. */
  const move = async (run: RetrainRun, change: Partial<RetrainRun>): Promise<RetrainRun> => {
    const next: RetrainRun = { ...run, ...change };
    await store.put(next);
    await tell(next);
    return next;
  };

  const finish = async (run: RetrainRun): Promise<RetrainRun> => {
    if (await blobs.info(heldBackKey(run))) await blobs.delete(heldBackKey(run));
    await store.finish(run.model);
    known.delete(run.id);
    return run;
  };

  const end = async (run: RetrainRun, outcome: string, reason: string): Promise<RetrainRun> => {
    return finish(await move(run, { step: 'done', outcome, reason, endedMs: clock.now() }));
  };

  const data = async (run: RetrainRun, retrain: ModelRetraining): Promise<RetrainRun> => {
    if (!(await isFresh(streams, run, retrain, clock.now()))) return run;
    const { stream, mostRows, leastRows } = retrain;
    const positions = latestPositions(streams, stream, mostRows);
    const rows = countRows(positions);
    if (rows >= leastRows) return move(run, { step: 'train', positions });
    return end(run, 'skipped', `Not enough data: '${stream}' holds ${rows} rows, ${leastRows} are needed.`);
  };

  const train = async (run: RetrainRun, { stream, spec }: ModelRetraining): Promise<RetrainRun> => {
    const { model, positions, id } = run;
    const pages = await readHistory(streams, stream, positions!);
    const { freshFromMs } = run;
    const leastRows = operations.of(model).gates?.leastRows ?? 0;
    const parting = { part: HELD_BACK, freshFromMs, leastRows };
    const input: LearnInput = { spec: spec as unknown as TrainingSpec, pages, parting };
    const transfer = pages.map(({ values }) => values.buffer);
    const name = { module: TASKS, task: 'learn' };
    const trained = await workers.run<Learnt>(name, input, { signal: ending.signal, transfer });
    const { rows } = trained;
    await blobs.put(heldBackKey(run), trained.heldBack);
    const parent = production(model);
    const before =
      parent === undefined ? DEFAULT_SERVING : (await models.registry.version(model, parent)).serving;
    // The names of its columns come with what was learnt; how it is batched and remembered stays.
    const { features: _, ...kept } = before;
    const serving = { ...kept, ...trained.serving };
    const offsets = (side: 'from' | 'to'): string => positions!.map((each) => each[side]).join(',');
    const made = await models.register(model, {
      bytes: trained.onnx,
      serving,
      by: `retraining ${id}`,
      metrics: trained.metrics,
      data: { source: `stream ${stream}`, rows: rows.learnt, from: offsets('from'), to: offsets('to') },
      lineage: { run: id, ...(parent === undefined ? {} : { parent }) },
      facts: { reference: trained.reference as unknown as Json },
    });
    const fresh = freshFromMs === null ? '' : `, ${rows.fresh} of them of the new period`;
    const reason = `Learnt from ${rows.learnt} rows${fresh}, to be judged by ${rows.heldBack} others.`;
    return move(run, { step: 'release', version: made.version, reason });
  };

  const release = async (run: RetrainRun): Promise<RetrainRun> => {
    const { model, version, id } = run;
    if (production(model) === version) {
      return end(run, 'unchanged', 'What was learnt is what is in production already.');
    }
    try {
      await options.release(model, version!, `retraining ${id}`, { id, heldBack: heldBackKey(run) });
    } catch (error) {
      // Another release of the model is under way: this one waits for it.
      if (isMillraceError(error, 'CONFLICT')) return run;
      throw error;
    }
    return move(run, { step: 'watch' });
  };

  const watch = async (run: RetrainRun): Promise<RetrainRun> => {
    const { outcome, decisions } = await options.releaseOf(run.model, run.id);
    return outcome === null ? run : end(run, outcome, decisions.at(-1)!.reason);
  };

  const advance = (run: RetrainRun, retrain: ModelRetraining): Promise<RetrainRun> => {
    if (run.step === 'data') return data(run, retrain);
    if (run.step === 'train') return train(run, retrain);
    return run.step === 'release' ? release(run) : watch(run);
  };

  /** As many steps as can be taken now. */
  const goOn = async (active: RetrainRun, retrain: ModelRetraining): Promise<void> => {
    let run = active;
    if (!known.has(run.id)) await tell(run);
    if (run.step === 'done') await finish(run);
    for (let before: RetrainRun | undefined; run !== before && run.step !== 'done' && !stopped; ) {
      before = run;
      try {
        run = await advance(run, retrain);
      } catch (error) {
        // What only somebody can mend ends the run; the rest is tried again at the next look.
        if (stopped || !isMillraceError(error) || error.action === 'retry') throw error;
        run = await end(run, 'failed', error.message);
      }
    }
  };

  const start = async (
    model: string,
    fact: string,
    by: string,
    cursor: Parameters<typeof store.begin>[1],
    freshFromMs: number | null = null,
  ) => {
    const run: RetrainRun = {
      id: ids.next(),
      model,
      fact,
      by,
      startedMs: clock.now(),
      step: 'data',
      freshFromMs,
      positions: null,
      version: null,
      outcome: null,
      reason: '',
      endedMs: null,
    };
    await store.begin(run, cursor);
    return run;
  };

  const lookAt = async (model: string, retrain: ModelRetraining): Promise<void> => {
    const active = await store.active(model);
    if (active) return goOn(active, retrain);
    const known = await store.cursor(model);
    const cursor = known ?? triggers.beginning(retrain);
    if (!known) await store.setCursor(model, cursor);
    const { fact, sinceMs, next } = await triggers.look(model, retrain, cursor);
    if (fact !== undefined) {
      // The truth of what was predicted when the drift began comes as late as truths do.
      const delayMs = retrain.fresh.afterMs ?? options.labelDelay(model);
      const freshFromMs = sinceMs === undefined ? null : sinceMs + delayMs;
      return goOn(await start(model, fact, 'millrace', next, freshFromMs), retrain);
    }
    if (next !== cursor) await store.setCursor(model, next);
  };

  const look = async (): Promise<void> => {
    for (const [model, { retrain }] of operations.list()) {
      if (!retrain || stopped || !models.registry.find(model)) continue;
      await lookAt(model, retrain).catch((error: unknown) => failed(model, error));
    }
  };

  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const done = looking.then(work);
    looking = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  };

  const arm = (): void => {
    timer = clock.after(LOOK_MS, () => {
      void inTurn(look).then(() => {
        if (!stopped) arm();
      });
    });
  };

  return {
    name: 'models retraining',
    async start() {
      arm();
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      ending.abort(
        new MillraceError('UNAVAILABLE', 'The platform stops; training begins again after its start.'),
      );
      await looking;
    },
    begin: (model, by) =>
      inTurn(async () => {
        const { retrain } = operations.of(models.registry.require(model).name);
        if (!retrain) throw notSaid(model);
        const active = await store.active(model);
        if (active) throw busy(active);
        const cursor = (await store.cursor(model)) ?? triggers.beginning(retrain);
        return start(model, `hand/${ids.next()}`, by, cursor);
      }),
    list: (model) => store.list(model),
    settled: () => looking,
  };
}

function failed(model: string, error: unknown): void {
  const message = `The retraining of '${model}' could not go on; it is tried again.`;
  signal('platform.log', { level: 'error', room: 'models', message, error });
}

function notSaid(model: string): MillraceError {
  const message = `Nothing says how '${model}' is retrained. Give model() the option retrain, or PUT it to /models/${model}/operations.`;
  return new MillraceError('INVALID_INPUT', message);
}

function busy({ id, model, step }: RetrainRun): MillraceError {
  return new MillraceError(
    'CONFLICT',
    `The retraining ${id} of '${model}' is at '${step}'. Wait for its end.`,
  );
}

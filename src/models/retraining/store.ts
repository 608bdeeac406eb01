import type { Json, StateOperation, StateStore } from '../../kernel/index.ts';

/** data → train → release → watch → done; each is written down before its work begins. */
export type RetrainStep = 'data' | 'train' | 'release' | 'watch' | 'done';

/** A model trained anew, because of one fact. Everything that its steps need stands in it, so that each can be repeated. */
export interface RetrainRun {
  /** Of the run, and of the release that it brings about. */
  readonly id: string;
  readonly model: string;
  /** What set it off: `drift/…`, `records/…`, `cron/…`, `hand/…`. The same fact sets off one run. */
  readonly fact: string;
  readonly by: string;
  readonly startedMs: number;
  readonly step: RetrainStep;
  /** Rows written from then on are of the period that has drifted; null: no drift set it off. */
  readonly freshFromMs: number | null;
  /** The rows: from and to (exclusive) by partition. */
  readonly positions: readonly { readonly from: number; readonly to: number }[] | null;
  readonly version: string | null;
  /** `released`, `stopped`, `returned`, `aborted` as its release; `unchanged`, `skipped`, `failed`. */
  readonly outcome: string | null;
  readonly reason: string;
  readonly endedMs: number | null;
}

/** How far the triggers of a model have looked. */
export interface RetrainCursor {
  /** Offset in millrace.drift. */
  readonly drift: number;
  /** Records of the stream, all partitions together, at the last run. */
  readonly records: number;
  /** Due times up to this have been seen to. */
  readonly cronMs: number;
}

export interface RetrainStore {
  cursor(model: string): Promise<RetrainCursor | undefined>;
  setCursor(model: string, cursor: RetrainCursor): Promise<void>;
  active(model: string): Promise<RetrainRun | undefined>;
  /** The run and how far was looked, in one. Throws STATE_CONFLICT while another run is active. */
  begin(run: RetrainRun, cursor: RetrainCursor): Promise<void>;
  put(run: RetrainRun): Promise<void>;
  /** The next may begin. */
  finish(model: string): Promise<void>;
  /** Newest first. */
  list(model: string): Promise<readonly RetrainRun[]>;
}

const CURSORS = 'models.retraining.cursors';
const ACTIVE = 'models.retraining.active';
const RUNS = 'models.retraining.runs';

const asJson = (value: object): Json => value as unknown as Json;
const write = ({ model, id, ...rest }: RetrainRun): StateOperation => ({
  kind: 'put',
  table: RUNS,
  key: `${model}/${id}`,
  value: asJson({ ...rest, model, id }),
});
const put = (table: string, key: string, value: Json): StateOperation => ({ kind: 'put', table, key, value });

export function createRetrainStore(state: StateStore): RetrainStore {
  return {
    cursor: async (model) => (await state.get(CURSORS, model))?.value as unknown as RetrainCursor | undefined,
    setCursor: (model, cursor) => state.transact([put(CURSORS, model, asJson(cursor))]),
    async active(model) {
      const id = (await state.get(ACTIVE, model))?.value;
      if (typeof id !== 'string') return undefined;
      return (await state.get(RUNS, `${model}/${id}`))?.value as unknown as RetrainRun | undefined;
    },
    begin: (run, cursor) =>
      state.transact([
        { kind: 'put', table: ACTIVE, key: run.model, value: run.id, expect: 0 },
        write(run),
        put(CURSORS, run.model, asJson(cursor)),
      ]),
    put: (run) => state.transact([write(run)]),
    finish: (model) => state.transact([{ kind: 'delete', table: ACTIVE, key: model }]),
    async list(model) {
      const entries = await state.list(RUNS, { prefix: `${model}/`, reverse: true, limit: 50 });
      return entries.map((entry) => entry.value as unknown as RetrainRun);
    },
  };
}

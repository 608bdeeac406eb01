import type { Clock, ModelServing } from '../../kernel/index.ts';
import { type CompiledSchema, createSchemaCompiler } from '../../streams/index.ts';
import type { LoadedModel, Values } from '../inference.port.ts';
import type { VersionRecord } from '../registry/records.ts';
import { joinAnyValues, partOfValues } from '../rows/decode.ts';
import { createRowEncoder, type Preprocessor, type RowEncoder } from '../rows/encode.ts';
import { planRows, type RowPlan } from '../rows/shape.ts';
import { type Batcher, createBatcher } from './batcher.ts';
import { createPredictionCache, type PredictionCache } from './cache.ts';
import type { OpenedModel, Tier } from './tiers.ts';

/** A version that is loaded, with all that its rows go through. */
export interface Served {
  readonly record: VersionRecord;
  readonly model: LoadedModel;
  readonly tier: Tier;
  /** Undefined for a model that takes no rows, only the protocol's tensors. */
  readonly rows: { readonly plan: RowPlan; readonly encoder: RowEncoder } | undefined;
  /** Why there are no rows. */
  readonly noRows: unknown;
  readonly schema: CompiledSchema | undefined;
  readonly cache: PredictionCache | undefined;
  readonly busy: boolean;
  /** Unloaded: who still holds it asks for it anew. */
  readonly closed: boolean;
  readonly waiting: number;
  /** Inputs of so many rows; in several runs when they are more than one run may take. */
  run(inputs: Values, rows: number): Promise<Values>;
  close(): Promise<void>;
}

export interface ServedOptions {
  readonly clock: Clock;
  readonly queue: number;
  readonly idle: () => void;
  readonly preprocessors: ReadonlyMap<string, Preprocessor>;
}

/** How long one run in the caller's thread may take. */
const MOST_RUN_MICROS = 3000;
/** Runs of one model in workers at the same time. */
const WORKER_RUNS = 2;

const compiler = createSchemaCompiler();

export function serve(record: VersionRecord, opened: OpenedModel, options: ServedOptions): Served {
  const { model, tier } = opened;
  const { serving } = record;
  let plan: RowPlan | undefined;
  let noRows: unknown;
  try {
    plan = planRows(model.inputs, model.metadata, serving);
  } catch (error) {
    noRows = error;
  }
  const size = plan?.batched ? rowsOfRun(serving, tier) : 1;
  const batcher = createBatcher({
    model,
    clock: options.clock,
    size,
    waitMs: serving.batch.waitMs,
    concurrency: tier.place === 'caller' ? 1 : WORKER_RUNS,
    queue: options.queue,
  });
  let active = 0;
  let closed = false;
  return {
    record,
    model,
    tier,
    rows: plan && { plan, encoder: createRowEncoder(plan, serving, options.preprocessors) },
    noRows,
    schema: serving.input === undefined ? undefined : compiler.compile(serving.input),
    cache: serving.cache ? createPredictionCache(serving.cache, options.clock) : undefined,
    get busy() {
      return active > 0;
    },
    get closed() {
      return closed;
    },
    get waiting() {
      return batcher.waiting;
    },
    async run(inputs, rows) {
      active++;
      try {
        return rows <= size ? await batcher.run(inputs, rows) : await inParts(batcher, inputs, rows, size);
      } finally {
        active--;
        if (active === 0) options.idle();
      }
    },
    close() {
      closed = true;
      return model.close();
    },
  };
}

/** As many rows as a run may take without holding the caller's thread. */
function rowsOfRun({ batch }: ModelServing, { place, rowMicros }: Tier): number {
  if (place === 'worker' || rowMicros === null) return batch.size;
  return Math.max(1, Math.min(batch.size, Math.floor(MOST_RUN_MICROS / Math.max(rowMicros, 0.5))));
}

async function inParts(batcher: Batcher, inputs: Values, rows: number, size: number): Promise<Values> {
  const parts: Values[] = [];
  for (let start = 0; start < rows; start += size) {
    const end = Math.min(rows, start + size);
    parts.push(await batcher.run(partOfValues(inputs, rows, start, end), end - start));
  }
  return joinAnyValues(parts);
}

import { type Clock, isMillraceError, MillraceError } from '../../kernel/index.ts';
import type { InferenceEngine, LoadedModel, Value, Values } from '../inference.port.ts';
import type { Measured } from '../registry/records.ts';
import { arrayOf, elementCount, isTensorSpec } from '../tensor.ts';

/** The engines there are. */
export interface Engines {
  readonly caller: InferenceEngine | undefined;
  readonly workers: InferenceEngine | undefined;
  /** A native runtime; it may turn out not to be installed. */
  readonly native: InferenceEngine | undefined;
}

/** What runs a model, and why. */
export interface Tier {
  readonly engine: string;
  readonly place: 'caller' | 'worker';
  /** One row as measured at load; null where the inputs' sizes are open, so that nothing could be tried. */
  readonly rowMicros: number | null;
  readonly reason: string;
}

export interface OpenedModel {
  readonly model: LoadedModel;
  readonly tier: Tier;
  /** To be handed in when the same file is opened again. */
  readonly measured: Measured;
}

/** Reading and compiling trees of this size takes about three milliseconds once the code is warm: larger files are read, and run, in a worker. */
const MOST_CALLER_BYTES = 384 * 1024;
/** A run in the caller's thread may take this long. */
const MOST_CALLER_MICROS = 1500;
/** From here on it is worth while to see whether the native runtime is faster. */
const NATIVE_WORTH_MICROS = 150;

interface Candidate extends Omit<OpenedModel, 'measured'> {
  readonly micros: number;
}

/**
 * Loads a model where one row is answered soonest, which is measured, not guessed. Throws MODEL_INVALID for a broken file,
 * MODEL_UNSUPPORTED for one that no engine here can run.
 */
export async function openModel(
  bytes: Uint8Array,
  engines: Engines,
  clock: Clock,
  before?: Measured,
): Promise<OpenedModel> {
  const known = before?.settled ? await openAgain(bytes, engines, clock, before) : undefined;
  return known ?? compare(bytes, engines, clock);
}

/** Where it ran best before; undefined when that is not there any more. */
async function openAgain(
  bytes: Uint8Array,
  engines: Engines,
  clock: Clock,
  before: Measured,
): Promise<OpenedModel | undefined> {
  const all = [engines.caller, engines.workers, engines.native];
  const engine = all.find((each) => each?.name === before.engine && each.place === before.place);
  try {
    const model = await engine?.load(bytes);
    if (!model) return undefined;
    const rowMicros = await measure(model, clock);
    const { place, reason } = before;
    return {
      model,
      tier: { engine: before.engine, place, rowMicros, reason },
      measured: before,
    };
  } catch (error) {
    if (isMillraceError(error, 'MODEL_UNSUPPORTED')) return undefined;
    throw error;
  }
}

async function compare(bytes: Uint8Array, engines: Engines, clock: Clock): Promise<OpenedModel> {
  const candidates: Candidate[] = [];
  let unsupported: MillraceError | undefined;
  const attempt = async (
    engine: InferenceEngine | undefined,
    reason: string,
  ): Promise<Candidate | undefined> => {
    if (!engine) return undefined;
    try {
      const model = await engine.load(bytes);
      const rowMicros = await measure(model, clock);
      const tier: Tier = { engine: engine.name, place: engine.place, rowMicros, reason };
      const candidate = { model, tier, micros: rowMicros ?? Number.POSITIVE_INFINITY };
      candidates.push(candidate);
      return candidate;
    } catch (error) {
      if (!isMillraceError(error, 'MODEL_UNSUPPORTED')) throw error;
      unsupported = unsupported ? joined(unsupported, error) : error;
      return undefined;
    }
  };

  const small = bytes.length <= MOST_CALLER_BYTES;
  const here = small
    ? await attempt(engines.caller, 'small: a call costs less than the way to a worker')
    : undefined;
  if (!here || here.micros > MOST_CALLER_MICROS) {
    const because = here ? 'a run would hold the main thread' : 'large: read and run off the main thread';
    if (!unsupported) await attempt(engines.workers, because);
  }
  const best = fastest(candidates, here);
  if (engines.native && (!best || best.micros > NATIVE_WORTH_MICROS)) {
    await attempt(engines.native, best ? 'the native runtime is faster' : 'it needs the native runtime');
  }
  const chosen = fastest(candidates, here);
  for (const candidate of candidates) if (candidate !== chosen) await candidate.model.close();
  if (chosen) {
    const { engine, place, reason } = chosen.tier;
    const settled =
      chosen.micros <= NATIVE_WORTH_MICROS || candidates.some(({ tier }) => tier.engine !== 'typescript');
    return { model: chosen.model, tier: chosen.tier, measured: { engine, place, reason, settled } };
  }
  throw unsupported ?? new MillraceError('MODEL_UNSUPPORTED', 'There is no engine for models here.');
}

/** What would hold the caller's thread is not chosen, however fast. */
function fastest(candidates: readonly Candidate[], here: Candidate | undefined): Candidate | undefined {
  const possible = candidates.filter((each) => each !== here || each.micros <= MOST_CALLER_MICROS);
  return possible.sort((a, b) => a.micros - b.micros)[0];
}

function joined(first: MillraceError, second: MillraceError): MillraceError {
  return new MillraceError('MODEL_UNSUPPORTED', `${first.message} ${second.message}`, {
    errors: [...first.errors, ...second.errors],
  });
}

const MOST_RUNS = 9;
const MOST_MEASURE_MS = 4;

/**
 * Time of one row in microseconds, the best of a few: what makes a run slower is other work on the machine, and a choice that
 * lasts should not be made by that. Null when a row cannot be made up.
 */
async function measure(model: LoadedModel, clock: Clock): Promise<number | null> {
  const row = emptyRow(model);
  if (!row) return null;
  const times: number[] = [];
  const sinceMs = clock.monotonic();
  try {
    for (let run = 0; run < MOST_RUNS; run++) {
      const startMs = clock.monotonic();
      const outputs = model.run(row);
      if (outputs instanceof Promise) await outputs;
      const endMs = clock.monotonic();
      times.push((endMs - startMs) * 1000);
      if (run > 0 && endMs - sinceMs > MOST_MEASURE_MS) break;
    }
  } catch (error) {
    // Zeros and sizes of 1 need not make sense to a model: then the first real rows tell.
    if (isMillraceError(error, 'INVALID_INPUT')) return null;
    throw error;
  }
  // The first run compiles and warms caches.
  const warm = times.length > 1 ? times.slice(1) : times;
  return Math.min(...warm);
}

/** One row of zeros and empty texts; undefined for inputs that are no tensors. */
function emptyRow({ inputs }: LoadedModel): Values | undefined {
  const row: { [name: string]: Value } = {};
  for (const spec of inputs) {
    if (!isTensorSpec(spec)) return undefined;
    const dims = spec.dims.map((size) => (typeof size === 'number' ? size : 1));
    row[spec.name] = { type: spec.type, dims, data: arrayOf(spec.type, elementCount(dims)) };
  }
  return row;
}

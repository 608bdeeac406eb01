import { type Clock, isMillraceError, MillraceError, type Timer } from '../../kernel/index.ts';
import type { LoadedModel, Values } from '../inference.port.ts';
import { canJoin, joinValues, partOfValues } from '../rows/decode.ts';

/** Runs what many callers ask for in batches: what arrives while a run is under way goes together in the next. */
export interface Batcher {
  /** Resolves to the outputs of just these rows. Throws TOO_MANY_REQUESTS when too many rows wait. */
  run(inputs: Values, rows: number): Promise<Values>;
  readonly waiting: number;
}

export interface BatcherOptions {
  readonly model: Pick<LoadedModel, 'run'>;
  readonly clock: Clock;
  /** Most rows of one run; 1 for a model without a first size that counts rows. */
  readonly size: number;
  /** How long rows wait for more while another run is under way. An idle model runs at once. */
  readonly waitMs: number;
  /** Runs at the same time. */
  readonly concurrency: number;
  /** Most rows that wait. */
  readonly queue: number;
}

interface Entry {
  readonly inputs: Values;
  readonly rows: number;
  readonly sinceMs: number;
  resolve(outputs: Values): void;
  reject(error: unknown): void;
}

/** How long one turn of the event loop may be spent on runs in the caller's thread. */
const TURN_MS = 3;

export function createBatcher(options: BatcherOptions): Batcher {
  const { model, clock, size, waitMs, concurrency } = options;
  let queue: Entry[] = [];
  let waiting = 0;
  let running = 0;
  let turn: NodeJS.Immediate | undefined;
  let timer: Timer | undefined;

  /** The first entries that fit together into one run. */
  const take = (): Entry[] => {
    const [first] = queue;
    let count = 1;
    let rows = first!.rows;
    while (count < queue.length) {
      const next = queue[count]!;
      if (rows + next.rows > size || !canJoin(first!.inputs, next.inputs)) break;
      rows += next.rows;
      count++;
    }
    const taken = queue.slice(0, count);
    queue = queue.slice(count);
    waiting -= rows;
    return taken;
  };

  const deliver = (entries: readonly Entry[], outputs: Values, rows: number): void => {
    let start = 0;
    for (const entry of entries) {
      entry.resolve(partOfValues(outputs, rows, start, start + entry.rows));
      start += entry.rows;
    }
  };

  /** What spoils a batch belongs to one of its requests: each is run by itself, so that the others get their answers. */
  const failed = (entries: readonly Entry[], error: unknown): void => {
    if (entries.length === 1 || !isMillraceError(error, 'INVALID_INPUT')) {
      for (const entry of entries) entry.reject(error);
      return;
    }
    for (const entry of entries) begin([entry]);
  };

  const begin = (entries: readonly Entry[]): void => {
    const rows = entries.reduce((sum, entry) => sum + entry.rows, 0);
    try {
      const outputs = model.run(joinValues(entries.map((entry) => entry.inputs)));
      if (!(outputs instanceof Promise)) {
        deliver(entries, outputs, rows);
        return;
      }
      running++;
      outputs
        .then(
          (values) => deliver(entries, values, rows),
          (error: unknown) => failed(entries, error),
        )
        .finally(() => {
          running--;
          pump();
        });
    } catch (error) {
      failed(entries, error);
    }
  };

  const mayStart = (): boolean => {
    if (queue.length === 0 || running >= concurrency) return false;
    if (running === 0 || waiting >= size) return true;
    const restMs = queue[0]!.sinceMs + waitMs - clock.monotonic();
    if (restMs <= 0) return true;
    if (!timer) timer = clock.after(restMs, wake);
    return false;
  };

  const wake = (): void => {
    timer = undefined;
    pump();
  };

  const pump = (): void => {
    turn = undefined;
    const sinceMs = clock.monotonic();
    while (mayStart()) {
      begin(take());
      if (clock.monotonic() - sinceMs < TURN_MS || queue.length === 0) continue;
      later();
      return;
    }
  };

  /** What arrives in one turn of the event loop goes together: no timer, and an idle model waits for nobody. */
  const later = (): void => void (turn ??= setImmediate(pump));

  return {
    get waiting() {
      return waiting;
    },
    run(inputs, rows) {
      if (waiting + rows > options.queue && waiting > 0) return Promise.reject(tooMany(waiting));
      return new Promise((resolve, reject) => {
        queue.push({ inputs, rows, sinceMs: clock.monotonic(), resolve, reject });
        waiting += rows;
        later();
      });
    },
  };
}

function tooMany(rows: number): MillraceError {
  const message = `${rows} rows wait for this model already. Send fewer at once, or try again in a moment.`;
  return new MillraceError('TOO_MANY_REQUESTS', message, { retryAfterMs: 1000 });
}

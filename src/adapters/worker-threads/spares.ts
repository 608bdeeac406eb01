import type { Worker } from 'node:worker_threads';
import { signal } from '../../kernel/index.ts';

/** Workers that are started ahead of need. A heap limit is fixed when a worker starts, so spares have a memory size. */
export interface Spares {
  /** Starts spares up to the size; resolves when the first is ready to take a function. */
  fill(): Promise<void>;
  /** A worker with that memory: a spare, or one started now. */
  take(memoryBytes: number): Worker;
  count(): number;
  close(): Promise<void>;
}

export interface SparesOptions {
  readonly size: number;
  readonly memoryBytes: number;
  readonly start: (memoryBytes: number) => Worker;
}

/** After a spare was taken, the next is started this much later: its start must not slow down the one that is needed. */
const REFILL_DELAY_MS = 25;
/** Memory sizes for which a spare is kept, the most recently used first. */
const SIZES = 3;
const FAILURES = 3;

export function createSpares(options: SparesOptions): Spares {
  const shelves = new Map<number, Worker[]>([[options.memoryBytes, []]]);
  let refill: NodeJS.Timeout | undefined;
  let closed = false;
  let failures = 0;

  const shelfOf = (memoryBytes: number): Worker[] => {
    const shelf = shelves.get(memoryBytes) ?? [];
    shelves.delete(memoryBytes);
    shelves.set(memoryBytes, shelf);
    return shelf;
  };

  const startSpare = (memoryBytes: number, shelf: Worker[]): Worker => {
    const worker = options.start(memoryBytes);
    shelf.push(worker);
    const lost = (problem: unknown): void => {
      const place = shelf.indexOf(worker);
      if (place < 0) return;
      shelf.splice(place, 1);
      failures++;
      signal('platform.log', {
        level: 'error',
        room: 'functions',
        message: 'A spare worker ended before it was used.',
        error: problem,
      });
      schedule();
    };
    worker.once('error', lost);
    worker.once('exit', lost);
    return worker;
  };

  /** The size used last has all the spares, others one each; those not used for long lose theirs. */
  const top = (): void => {
    refill = undefined;
    if (closed || failures >= FAILURES) return;
    const sizes = [...shelves.keys()].toReversed();
    for (const memoryBytes of sizes.slice(SIZES)) {
      for (const worker of shelves.get(memoryBytes)!.splice(0)) void worker.terminate();
      shelves.delete(memoryBytes);
    }
    sizes.slice(0, SIZES).forEach((memoryBytes, rank) => {
      const shelf = shelves.get(memoryBytes)!;
      const wanted = rank === 0 ? options.size : Math.min(1, options.size);
      while (shelf.length > wanted) void shelf.pop()!.terminate();
      while (shelf.length < wanted) startSpare(memoryBytes, shelf);
    });
  };

  const schedule = (): void => {
    if (!refill && !closed) refill = setTimeout(top, REFILL_DELAY_MS).unref();
  };

  return {
    async fill() {
      top();
      const first = shelves.get(options.memoryBytes)?.[0];
      if (first) await new Promise((resolve, reject) => first.once('online', resolve).once('error', reject));
    },
    take(memoryBytes) {
      const shelf = shelfOf(memoryBytes);
      const spare = shelf.shift();
      schedule();
      if (!spare) return options.start(memoryBytes);
      failures = 0;
      spare.removeAllListeners('error');
      spare.removeAllListeners('exit');
      return spare;
    },
    count: () => [...shelves.values()].reduce((sum, shelf) => sum + shelf.length, 0),
    async close() {
      closed = true;
      clearTimeout(refill);
      const workers = [...shelves.values()].flatMap((shelf) => shelf.splice(0));
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

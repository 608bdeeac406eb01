import { type Clock, isMillraceError, signal } from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import type { StreamConsumerConfig } from './config.ts';
import { readOn } from './reader.ts';
import type { PartitionQueue } from './types.ts';

/** Reads ahead, within the function's bytes, an equal share of them for each partition. */
export interface Fetcher {
  readonly busy: boolean;
  wantsMore(queue: PartitionQueue): boolean;
  /** Begins to read where there is room and something to read. */
  fill(): void;
}

export interface FetcherOptions {
  readonly streams: Streams;
  readonly clock: Clock;
  readonly group: string;
  readonly config: StreamConsumerConfig;
  readonly queues: readonly PartitionQueue[];
  readonly over: AbortSignal;
  wait(delayMs: number): Promise<void>;
  /** A read ended. `empty`: the position moved, but there is no record to handle. */
  onFetched(queue: PartitionQueue, empty: boolean): void;
}

const FETCH_BYTES = 1024 * 1024;
const LEAST_SHARE_BYTES = 64 * 1024;
const FAILED_READ_RETRY_MS = 5000;

export function createFetcher(options: FetcherOptions): Fetcher {
  const { streams, clock, group, config, queues, over, wait } = options;
  const { log } = streams;
  const fetching = new Set<PartitionQueue>();
  const share = Math.max(LEAST_SHARE_BYTES, Math.floor(config.prefetchBytes / Math.max(1, queues.length)));

  const fetch = async (queue: PartitionQueue): Promise<void> => {
    fetching.add(queue);
    let empty = false;
    try {
      const fetched = await readOn(streams, queue, Math.min(FETCH_BYTES, share));
      if (fetched && !over.aborted) {
        queue.add(fetched.slab, fetched.nextOffset, clock.monotonic());
        empty = fetched.slab.done === fetched.slab.count;
      }
    } catch (error) {
      if (!over.aborted) await afterFailedRead(queue, error);
    }
    fetching.delete(queue);
    if (!over.aborted) options.onFetched(queue, empty);
  };

  const afterFailedRead = async (queue: PartitionQueue, error: unknown): Promise<void> => {
    const { topic, partition, fetchOffset } = queue;
    const start = log.topics.find(topic) ? log.bounds({ topic, partition }).logStartOffset : fetchOffset;
    const expired = isMillraceError(error, 'OFFSET_OUT_OF_RANGE') && fetchOffset < start;
    const message = expired
      ? `Records ${fetchOffset} to ${start - 1} of ${topic}/${partition} were removed before '${group}' read them; it goes on at ${start}.`
      : `'${group}' cannot read ${topic}/${partition} at offset ${fetchOffset} and tries again.`;
    signal('platform.log', { level: expired ? 'warn' : 'error', room: 'functions', message, error });
    if (expired) queue.fetchOffset = start;
    else await wait(FAILED_READ_RETRY_MS);
  };

  const wantsMore = (queue: PartitionQueue): boolean =>
    !fetching.has(queue) &&
    queue.retainedBytes < share &&
    log.bounds(queue).lastStableOffset > queue.fetchOffset;

  return {
    get busy() {
      return fetching.size > 0;
    },
    wantsMore,
    fill() {
      for (const queue of queues) if (wantsMore(queue)) void fetch(queue);
    },
  };
}

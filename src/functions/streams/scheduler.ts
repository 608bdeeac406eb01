import type { Clock, FunctionManifest, Timer } from '../../kernel/index.ts';
import { createConcurrencyLimit, createEventSize } from './adaptive.ts';
import type { StreamConsumerConfig } from './config.ts';
import type { PartitionQueue, Work } from './types.ts';

/** Decides which partition sends its next event, how large it is, and when. */
export interface Scheduler {
  /** Starts one event from one partition after the other, until nothing more may go now; comes back when time makes one due. */
  send(): void;
  /** Whether a partition has an event that is due. */
  readonly due: boolean;
  observe(durationMs: number, records: number): void;
  stop(): void;
}

export interface SchedulerOptions {
  readonly clock: Clock;
  readonly config: StreamConsumerConfig;
  readonly queues: readonly PartitionQueue[];
  manifest(): FunctionManifest;
  inFlight(): number;
  /** Whether what is finished and not yet on its way to the disk leaves room for more. */
  hasRoom(): boolean;
  start(work: Work): void;
  /** Called when an event became due by time. */
  onDue(): void;
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { clock, config, queues, manifest } = options;
  let turn = 0;
  let timer: Timer | undefined;
  const concurrency = createConcurrencyLimit(() => {
    const { perInstance, instances } = manifest();
    return Math.max(1, Math.min(config.eventsInFlight, perInstance * instances.max));
  });
  const eventSize = createEventSize(config.microBatchMs, config.microBatchRecords);

  /** When the queue has enough for an event, or has waited long enough, on the monotonic clock. */
  const dueMs = (queue: PartitionQueue, nowMs: number): number => {
    if (queue.ready.length > 0) return nowMs;
    if (queue.available === 0 || queue.windowFull(config.windowRecords)) return Number.POSITIVE_INFINITY;
    const { batch } = manifest();
    if (!batch || queue.available >= batch.size) return nowMs;
    return queue.availableSinceMs + batch.waitMs;
  };

  const take = (queue: PartitionQueue): Work | undefined =>
    queue.take({
      records: manifest().batch?.size ?? eventSize.records,
      bytes: config.eventBytes,
      windowRecords: config.windowRecords,
    });

  /** Returns when the next event is due. */
  const sendRound = (): number => {
    let nextDueMs = Number.POSITIVE_INFINITY;
    let idle = 0;
    while (idle < queues.length && options.inFlight() < concurrency.limit && options.hasRoom()) {
      const queue = queues[turn++ % queues.length]!;
      const nowMs = clock.monotonic();
      const at = dueMs(queue, nowMs);
      const work = at <= nowMs ? take(queue) : undefined;
      if (work) options.start(work);
      if (at > nowMs) nextDueMs = Math.min(nextDueMs, at);
      idle = work ? 0 : idle + 1;
    }
    return nextDueMs;
  };

  return {
    send() {
      timer?.cancel();
      const nextDueMs = sendRound();
      timer = Number.isFinite(nextDueMs)
        ? clock.after(Math.max(0, nextDueMs - clock.monotonic()), options.onDue)
        : undefined;
    },
    get due() {
      const nowMs = clock.monotonic();
      return queues.some((queue) => dueMs(queue, nowMs) <= nowMs);
    },
    observe(durationMs, records) {
      const backlog = queues.some(({ available, ready }) => available + ready.length > 0);
      concurrency.observe(durationMs, records, backlog);
      eventSize.observe(durationMs, records);
    },
    stop: () => timer?.cancel(),
  };
}

import {
  type Clock,
  type FunctionManifest,
  type Ids,
  isMillraceError,
  type Random,
  signal,
  signalled,
} from '../../kernel/index.ts';
import type { Assignment, Streams, TopicPartition } from '../../streams/index.ts';
import type { Dispatcher } from '../invocation.ts';
import {
  type ConcurrencyLimit,
  createConcurrencyLimit,
  createEventSize,
  type EventSize,
} from './adaptive.ts';
import { createCommitter, type Loss } from './committer.ts';
import type { StreamConsumerConfig } from './config.ts';
import { createGraveyard } from './graveyard.ts';
import { createKeyLocks } from './key-locks.ts';
import { createPartitionQueue } from './partition-queue.ts';
import { type KeyedState, openKeyedState } from './pending-state.ts';
import { readOn } from './reader.ts';
import { originOfRedriveTopic } from './redrive-topic.ts';
import type { RunnerContext } from './runner-context.ts';
import type { KeyLocks, PartitionQueue, TakeLimits, Work } from './types.ts';
import { createWorkRunner } from './work-runner.ts';

/** What all sessions of one function share. */
export interface ConsumerShared {
  readonly app: string;
  readonly group: string;
  readonly streams: Streams;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly config: StreamConsumerConfig;
  manifest(): FunctionManifest;
  stateTtlMs(name: string): number | null | undefined;
  readonly learned: Set<string>;
  paused(): boolean;
  /** Called when the session may have come to rest. */
  onRest(): void;
  onCommitted(): void;
}

export type SessionEnd =
  | { readonly kind: 'revoked' }
  | { readonly kind: 'drained' }
  | { readonly kind: 'rejoin' }
  | { readonly kind: 'failed'; readonly error: unknown };

export interface PartitionLag extends TopicPartition {
  readonly position: number;
  readonly lag: number;
}

/** The time of one assignment: from the positions it found to the commit that was fenced, or to the drain. */
export interface Session {
  readonly ended: Promise<SessionEnd>;
  /** Sends out what can be sent. */
  pump(): void;
  /** Finishes what is out, commits it and ends; prefetched records are left. */
  drain(): void;
  /** Ends at once; what is out is dropped. */
  abandon(): void;
  /** Nothing can go on unless time moves or records come. */
  readonly resting: boolean;
  readonly inFlight: number;
  lag(): readonly PartitionLag[];
}

const FETCH_BYTES = 1024 * 1024;
const DAMAGED_RETRY_MS = 5000;

export async function openSession(shared: ConsumerShared, assignment: Assignment): Promise<Session> {
  const domains = new Map<number, KeyLocks>();
  const queues: PartitionQueue[] = [];
  for (const partition of assignment.partitions) {
    let locks = domains.get(partition.partition);
    if (!locks) domains.set(partition.partition, (locks = createKeyLocks()));
    queues.push(await openQueue(shared, assignment, partition, locks));
  }
  return createSession(shared, assignment, queues);
}

async function openQueue(
  shared: ConsumerShared,
  assignment: Assignment,
  { topic, partition }: TopicPartition,
  locks: KeyLocks,
): Promise<PartitionQueue> {
  const { log } = shared.streams;
  const origin = originOfRedriveTopic(shared.manifest().name, topic);
  // Letters that were given again are all meant for this function, wherever it began to read the stream itself.
  const isNew = origin !== undefined && log.groups.offsets(shared.group, [{ topic, partition }]).length === 0;
  const start = isNew
    ? { offset: log.bounds({ topic, partition }).logStartOffset, done: [] }
    : await assignment.position({ topic, partition });
  return createPartitionQueue({ topic, partition, stream: origin ?? topic }, start, locks);
}

function createSession(
  shared: ConsumerShared,
  assignment: Assignment,
  queues: readonly PartitionQueue[],
): Session {
  const { clock, config, streams } = shared;
  const { log } = streams;
  const over = new AbortController();
  const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<SessionEnd>();
  const states = new Map<string, Promise<KeyedState>>();
  const fetching = new Set<PartitionQueue>();
  const waits = new Set<() => void>();
  const outstanding = new Set<Promise<void>>();
  let inFlight = 0;
  let parked = 0;
  let draining = false;
  let turn = 0;
  let batchTimer: { cancel(): void } | undefined;

  const end = (how: SessionEnd): void => {
    if (over.signal.aborted) return;
    over.abort();
    committer.close();
    unwatch();
    batchTimer?.cancel();
    lagTimer.cancel();
    for (const finish of [...waits]) finish();
    assignment.revoked.removeEventListener('abort', onRevoked);
    // Records of one key must not overlap across sessions of this process either: what is out comes back first.
    void Promise.allSettled(outstanding).then(() => resolveEnded(how));
  };
  const onRevoked = (): void => end({ kind: 'revoked' });
  const onLoss = (loss: Loss): void => {
    if (loss.kind === 'failed') end({ kind: 'failed', error: loss.error });
    else end({ kind: assignment.revoked.aborted ? 'revoked' : 'rejoin' });
  };

  const committer = createCommitter({
    assignment,
    commitsInFlight: config.commitsInFlight,
    onCommitted() {
      shared.onCommitted();
      pump();
    },
    onLoss,
  });

  const wait = (delayMs: number): Promise<void> =>
    new Promise((resolve) => {
      if (over.signal.aborted || draining) return resolve();
      const finish = (): void => {
        timer.cancel();
        waits.delete(finish);
        resolve();
      };
      const timer = clock.after(delayMs, finish);
      waits.add(finish);
    });

  const storeOf = (name: string): string => `${shared.group}.${name}`;
  const state = (name: string, partition: number): Promise<KeyedState> => {
    const id = `${partition}/${name}`;
    let found = states.get(id);
    if (!found) states.set(id, (found = openKeyedState(assignment, storeOf(name), partition)));
    return found;
  };

  const concurrency: ConcurrencyLimit = createConcurrencyLimit(() => {
    const { perInstance, instances } = shared.manifest();
    return Math.max(1, Math.min(config.eventsInFlight, perInstance * instances.max));
  });
  const eventSize: EventSize = createEventSize(config.microBatchMs, config.microBatchRecords);
  const backlog = (): boolean => queues.some(({ available, ready }) => available + ready.length > 0);

  const context: RunnerContext = {
    ...shared,
    committer,
    graveyard: createGraveyard(shared),
    state,
    storeOf,
    over: over.signal,
    draining: () => draining,
    wait,
    async park(delayMs) {
      parked++;
      pump();
      await wait(delayMs);
      parked--;
    },
    wake: () => pump(),
    observe(durationMs, records) {
      concurrency.observe(durationMs, records, backlog());
      eventSize.observe(durationMs, records);
    },
  };
  const runWork = createWorkRunner(context);

  const fetchShare = Math.max(64 * 1024, Math.floor(config.prefetchBytes / Math.max(1, queues.length)));
  const fetchQueue = async (queue: PartitionQueue): Promise<void> => {
    fetching.add(queue);
    try {
      const fetched = await readOn(log, queue, Math.min(FETCH_BYTES, fetchShare));
      if (over.signal.aborted) return;
      if (fetched) {
        queue.add(fetched.slab, fetched.nextOffset, clock.monotonic());
        if (fetched.slab.done === fetched.slab.count) committer.touch(queue);
      }
    } catch (error) {
      if (!over.signal.aborted) await afterFailedRead(queue, error);
    } finally {
      fetching.delete(queue);
    }
    pump();
  };

  const afterFailedRead = async (queue: PartitionQueue, error: unknown): Promise<void> => {
    const { topic, partition } = queue;
    const start = log.bounds({ topic, partition }).logStartOffset;
    const expired = isMillraceError(error, 'OFFSET_OUT_OF_RANGE') && queue.fetchOffset < start;
    const message = expired
      ? `Records ${queue.fetchOffset} to ${start - 1} of ${topic}/${partition} were removed before '${shared.group}' read them; it goes on at ${start}.`
      : `'${shared.group}' cannot read ${topic}/${partition} at offset ${queue.fetchOffset} and tries again.`;
    signal('platform.log', { level: expired ? 'warn' : 'error', room: 'functions', message, error });
    if (expired) queue.fetchOffset = start;
    else await wait(DAMAGED_RETRY_MS);
  };

  const wantsMore = (queue: PartitionQueue): boolean =>
    !fetching.has(queue) &&
    queue.retainedBytes < fetchShare &&
    log.bounds(queue).lastStableOffset > queue.fetchOffset;

  const limits = (): TakeLimits => ({
    records: shared.manifest().batch?.size ?? eventSize.records,
    bytes: config.eventBytes,
    windowRecords: config.windowRecords,
  });

  /** When the queue has enough for an event, or has waited long enough, on the monotonic clock. */
  const dueMs = (queue: PartitionQueue, nowMs: number): number => {
    if (queue.ready.length > 0) return nowMs;
    if (queue.available === 0 || queue.windowFull(config.windowRecords)) return Number.POSITIVE_INFINITY;
    const { batch } = shared.manifest();
    if (!batch || queue.available >= batch.size) return nowMs;
    return queue.availableSinceMs + batch.waitMs;
  };

  const start = (work: Work): void => {
    inFlight++;
    const done = runWork(work)
      .catch((error: unknown) => end({ kind: 'failed', error }))
      .then(() => {
        inFlight--;
        outstanding.delete(done);
        pump();
      });
    outstanding.add(done);
  };

  /** One event from one partition after the other, until nothing more may go. Returns when the next is due. */
  const sendRound = (): number => {
    let nextDueMs = Number.POSITIVE_INFINITY;
    let idle = 0;
    while (
      idle < queues.length &&
      inFlight < concurrency.limit &&
      committer.gatheredBytes < config.prefetchBytes
    ) {
      const queue = queues[turn++ % queues.length]!;
      const nowMs = clock.monotonic();
      const at = dueMs(queue, nowMs);
      const work = at <= nowMs ? queue.take(limits()) : undefined;
      if (work) start(work);
      if (at > nowMs) nextDueMs = Math.min(nextDueMs, at);
      idle = work ? 0 : idle + 1;
    }
    return nextDueMs;
  };

  const armBatchTimer = (nextDueMs: number): void => {
    batchTimer?.cancel();
    batchTimer = Number.isFinite(nextDueMs)
      ? clock.after(Math.max(0, nextDueMs - clock.monotonic()), pump)
      : undefined;
  };

  const pump = (): void => {
    if (over.signal.aborted) return;
    if (draining) {
      if (inFlight === 0 && committer.settled) end({ kind: 'drained' });
      return;
    }
    if (!shared.paused()) {
      for (const queue of queues) if (wantsMore(queue)) void fetchQueue(queue);
      armBatchTimer(sendRound());
    }
    if (session.resting) shared.onRest();
  };

  const lag = (): PartitionLag[] =>
    queues.map((queue) => {
      const { topic, partition } = queue;
      const position = queue.frontOffset;
      return { topic, partition, position, lag: Math.max(0, log.bounds(queue).lastStableOffset - position) };
    });

  const tellLag = (): void => {
    lagTimer = clock.after(config.lagEveryMs, tellLag);
    if (!signalled('group.lag')) return;
    for (const { topic, partition, lag: behind } of lag())
      signal('group.lag', { group: shared.group, stream: topic, partition, lag: behind });
  };

  let lagTimer = clock.after(config.lagEveryMs, tellLag);
  const unwatch = log.watch(assignment.partitions, () => pump());
  assignment.revoked.addEventListener('abort', onRevoked);

  const session: Session = {
    ended,
    pump,
    drain() {
      draining = true;
      for (const finish of [...waits]) finish();
      pump();
    },
    abandon: () => end({ kind: 'drained' }),
    get resting() {
      if (inFlight > parked || fetching.size > 0 || !committer.settled) return false;
      if (shared.paused()) return true;
      const nowMs = clock.monotonic();
      return !queues.some((queue) => wantsMore(queue) || dueMs(queue, nowMs) <= nowMs);
    },
    get inFlight() {
      return inFlight;
    },
    lag,
  };
  if (assignment.revoked.aborted) onRevoked();
  else queueMicrotask(pump);
  return session;
}

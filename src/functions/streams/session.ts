import type { Clock, FunctionManifest, Ids, Random } from '../../kernel/index.ts';
import type { Assignment, LogStore, Streams, TopicPartition } from '../../streams/index.ts';
import type { Dispatcher } from '../invocation.ts';
import { createCommitter, type Loss } from './committer.ts';
import type { StreamConsumerConfig } from './config.ts';
import { createFetcher } from './fetcher.ts';
import { createGraveyard } from './graveyard.ts';
import { createInFlight } from './in-flight.ts';
import { createKeyLocks } from './key-locks.ts';
import { lagOf, type PartitionLag, tellLag } from './lag.ts';
import { createPartitionQueue } from './partition-queue.ts';
import { type KeyedState, openKeyedState } from './pending-state.ts';
import { originOfRedriveTopic } from './redrive-topic.ts';
import type { RunnerContext } from './runner-context.ts';
import { createScheduler } from './scheduler.ts';
import type { KeyLocks, PartitionQueue } from './types.ts';
import { createWaits } from './waits.ts';
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

/** Opens each state of each partition once. */
function keyedStates(assignment: Assignment, storeOf: (name: string) => string): RunnerContext['state'] {
  const states = new Map<string, Promise<KeyedState>>();
  return (name, partition) => {
    const id = `${partition}/${name}`;
    let found = states.get(id);
    if (!found) states.set(id, (found = openKeyedState(assignment, storeOf(name), partition)));
    return found;
  };
}

type SessionParts = Pick<
  RunnerContext,
  'committer' | 'over' | 'draining' | 'wait' | 'park' | 'wake' | 'observe'
>;

function contextOf(shared: ConsumerShared, assignment: Assignment, parts: SessionParts): RunnerContext {
  const storeOf = (name: string): string => `${shared.group}.${name}`;
  const graveyard = createGraveyard(shared);
  return { ...shared, ...parts, graveyard, storeOf, state: keyedStates(assignment, storeOf) };
}

/** Hears of new records and of the revocation, until the result is called. */
function listen(
  log: LogStore,
  assignment: Assignment,
  onAdvance: () => void,
  onRevoked: () => void,
): () => void {
  const unwatch = log.watch(assignment.partitions, onAdvance);
  assignment.revoked.addEventListener('abort', onRevoked);
  return () => {
    unwatch();
    assignment.revoked.removeEventListener('abort', onRevoked);
  };
}

function endAfter(loss: Loss, { revoked }: Assignment): SessionEnd {
  if (loss.kind === 'failed') return loss;
  return { kind: revoked.aborted ? 'revoked' : 'rejoin' };
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
  const waits = createWaits(clock);
  const inFlight = createInFlight(
    () => pump(),
    (error) => end({ kind: 'failed', error }),
  );
  let draining = false;

  const end = (how: SessionEnd): void => {
    if (over.signal.aborted) return;
    over.abort();
    committer.close();
    stopListening();
    scheduler.stop();
    stopTelling();
    waits.endAll();
    // Records of one key must not overlap across sessions of this process either: what is out comes back first.
    void inFlight.settled().then(() => resolveEnded(how));
  };
  const onRevoked = (): void => end({ kind: 'revoked' });

  const onCommitted = (): void => {
    shared.onCommitted();
    pump();
  };
  const onLoss = (loss: Loss): void => end(endAfter(loss, assignment));
  const { commitsInFlight } = config;
  const committer = createCommitter({ assignment, commitsInFlight, onCommitted, onLoss });

  const runWork = createWorkRunner(
    contextOf(shared, assignment, {
      committer,
      over: over.signal,
      draining: () => draining,
      wait: waits.wait,
      park: (delayMs) => inFlight.park(waits.wait(delayMs)),
      wake: () => pump(),
      observe: (durationMs, records) => scheduler.observe(durationMs, records),
    }),
  );

  const onFetched = (queue: PartitionQueue, empty: boolean): void => {
    if (empty) committer.touch(queue);
    pump();
  };
  const { wait } = waits;
  const fetcher = createFetcher({ ...shared, queues, over: over.signal, wait, onFetched });

  const scheduler = createScheduler({
    ...shared,
    queues,
    inFlight: () => inFlight.count,
    hasRoom: () => committer.gatheredBytes < config.prefetchBytes,
    start: (work) => inFlight.run(runWork(work)),
    onDue: () => pump(),
  });

  const pump = (): void => {
    if (over.signal.aborted) return;
    if (draining) {
      if (inFlight.count === 0 && committer.settled) end({ kind: 'drained' });
      return;
    }
    if (!shared.paused()) {
      fetcher.fill();
      scheduler.send();
    }
    if (session.resting) shared.onRest();
  };

  const lag = (): PartitionLag[] => queues.map((queue) => lagOf(log, queue));
  const stopTelling = tellLag(clock, config.lagEveryMs, shared.group, lag);
  const stopListening = listen(log, assignment, () => pump(), onRevoked);

  const session: Session = {
    ended,
    pump,
    drain() {
      draining = true;
      waits.endAll();
      pump();
    },
    abandon() {
      end({ kind: 'drained' });
      resolveEnded({ kind: 'drained' });
    },
    get resting() {
      if (inFlight.busy > 0 || fetcher.busy || !committer.settled) return false;
      if (shared.paused()) return true;
      return !scheduler.due && !queues.some((queue) => fetcher.wantsMore(queue));
    },
    get inFlight() {
      return inFlight.count;
    },
    lag,
  };
  if (assignment.revoked.aborted) onRevoked();
  else queueMicrotask(pump);
  return session;
}

import {
  createIds,
  type FunctionManifest,
  MillraceError,
  type StateManifest,
  signal,
} from '../../kernel/index.ts';
import type { Membership } from '../../streams/index.ts';
import { backoffMs } from './backoff.ts';
import type { PartitionLag } from './lag.ts';
import type { StreamConsumersOptions } from './options.ts';
import { originOfRedriveTopic, redriveTopic } from './redrive-topic.ts';
import { type ConsumerShared, openSession, type Session, type SessionEnd } from './session.ts';

/** What a function is to be run with. */
export interface ConsumerDefinition {
  readonly app: string;
  readonly manifest: FunctionManifest;
  readonly states: readonly StateManifest[];
}

export interface ConsumerStatus {
  readonly fn: string;
  readonly group: string;
  readonly version: string;
  /** joining: it has no partitions at the moment. */
  readonly state: 'joining' | 'running' | 'paused' | 'stopped';
  readonly eventsInFlight: number;
  readonly partitions: readonly PartitionLag[];
  /** Why it last had to begin again. */
  readonly error?: string;
}

/** One function's membership of its consumer group, through all its assignments. */
export interface Consumer {
  readonly group: string;
  readonly definition: ConsumerDefinition;
  /** Resolves when its first positions stand, or its first try to join failed. */
  readonly ready: Promise<void>;
  /** New events go to the new definition; what is out finishes on the old one. */
  change(definition: ConsumerDefinition): void;
  /** Leaves and joins again, after what is out is committed: for topics that appeared. */
  rejoin(): void;
  pause(): void;
  resume(): void;
  readonly resting: boolean;
  status(): ConsumerStatus;
  /** Drains, commits and leaves. Calling again returns the same promise. */
  stop(): Promise<void>;
  /** Ends a stop that takes too long: what is out is dropped. */
  abandon(): void;
}

const REJOIN_BASE_MS = 100;

export const groupOf = (app: string, fn: string): string => `${app}.${fn}`;

/** Streams that trigger the function, in the order of the manifest. */
export function streamsOf(manifest: FunctionManifest): string[] {
  const streams = manifest.triggers.flatMap((trigger) => (trigger.kind === 'stream' ? [trigger.stream] : []));
  return [...new Set(streams)];
}

export function createConsumer(
  options: StreamConsumersOptions & { readonly onRest: () => void },
  first: ConsumerDefinition,
): Consumer {
  const { streams, clock, random, config } = options;
  const group = groupOf(first.app, first.manifest.name);
  const { promise: ready, resolve: setReady } = Promise.withResolvers<void>();
  let definition = first;
  let membership: Membership | undefined;
  let session: Session | undefined;
  let paused = false;
  let stopping = false;
  let drain = false;
  let failures = 0;
  let lastError: string | undefined;
  let endWait: (() => void) | undefined;
  let stopped = false;

  const shared: ConsumerShared = {
    ...options,
    app: first.app,
    group,
    ids: createIds(clock, random),
    learned: new Set(),
    manifest: () => definition.manifest,
    stateTtlMs: (name) => definition.states.find((state) => state.name === name)?.ttlMs,
    paused: () => paused,
    onCommitted() {
      failures = 0;
      lastError = undefined;
    },
  };

  const topics = (): string[] => {
    const own = streamsOf(definition.manifest);
    const redriven = own.map((stream) => redriveTopic(definition.manifest.name, stream));
    return [...own, ...redriven.filter((topic) => streams.log.topics.find(topic))];
  };

  const wait = (delayMs: number): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        endWait = undefined;
        resolve();
      };
      const timer = clock.after(delayMs, end);
      endWait = end;
      options.onRest();
    });

  const runAssignments = async (member: Membership): Promise<SessionEnd> => {
    for await (const assignment of member.assignments()) {
      session = await openSession(shared, assignment);
      setReady();
      if (drain) session.drain();
      const end = await session.ended;
      session = undefined;
      if (end.kind !== 'revoked') return end;
    }
    return { kind: 'rejoin' };
  };

  const runMembership = async (): Promise<SessionEnd> => {
    drain = false;
    try {
      membership = await streams.log.join(group, topics(), { from: definition.manifest.from });
      return stopping ? { kind: 'drained' } : await runAssignments(membership);
    } catch (error) {
      session?.abandon();
      session = undefined;
      return { kind: 'failed', error };
    } finally {
      await membership?.leave();
      membership = undefined;
    }
  };

  const afterFailure = async (error: unknown): Promise<void> => {
    failures++;
    lastError = error instanceof Error ? error.message : String(error);
    setReady();
    const message = `'${group}' could not go on and begins again at its committed position: ${lastError}`;
    signal('platform.log', { level: 'error', room: 'functions', message, error });
    await wait(backoffMs(random, REJOIN_BASE_MS, failures, config.maxBackoffMs));
  };

  const run = async (): Promise<void> => {
    while (!stopping) {
      const end = await runMembership();
      if (end.kind === 'failed' && !stopping) await afterFailure(end.error);
    }
    stopped = true;
    setReady();
    options.onRest();
  };

  const rejoin = (): void => {
    drain = true;
    endWait?.();
    if (session) session.drain();
    else void membership?.leave();
  };

  const running = run();
  return {
    group,
    get definition() {
      return definition;
    },
    ready,
    change(next) {
      const before = streamsOf(definition.manifest).join();
      if (next.manifest.version !== definition.manifest.version) shared.learned.clear();
      definition = next;
      if (streamsOf(next.manifest).join() !== before) rejoin();
      else session?.pump();
    },
    rejoin,
    pause() {
      paused = true;
      options.onRest();
    },
    resume() {
      paused = false;
      session?.pump();
    },
    get resting() {
      return stopped || endWait !== undefined || (session?.resting ?? false);
    },
    status() {
      const state = stopped ? 'stopped' : paused ? 'paused' : session ? 'running' : 'joining';
      return {
        fn: definition.manifest.name,
        group,
        version: definition.manifest.version,
        state,
        eventsInFlight: session?.inFlight ?? 0,
        partitions: (session?.lag() ?? []).map(({ topic, ...rest }) => ({
          topic: originOfRedriveTopic(definition.manifest.name, topic) ?? topic,
          ...rest,
        })),
        ...(lastError === undefined ? {} : { error: lastError }),
      };
    },
    stop() {
      stopping = true;
      rejoin();
      return running;
    },
    abandon: () => session?.abandon(),
  };
}

export function notAStreamFunction(name: string): MillraceError {
  return new MillraceError(
    'FUNCTION_NOT_FOUND',
    `No function '${name}' reads a stream here. 'millrace ls' shows the functions that run.`,
  );
}

import { MillraceError } from './errors.ts';

/**
 * created → starting → running → draining → stopped; `failed` can follow starting, running and draining.
 * Nothing goes back: what is stopped or failed is made anew.
 */
export type LifecycleState = 'created' | 'starting' | 'running' | 'draining' | 'stopped' | 'failed';

/** What a room offers to be started and stopped. Rooms may assume that each is called at most once, in order. */
export interface Service {
  readonly name: string;
  start?(): Promise<void>;
  /** Takes nothing new in; what is in flight goes on. Called on every service before any is stopped. */
  refuse?(): void;
  /** Finishes what is in flight, until `deadline` fires, then releases everything. Must not throw for late work. */
  stop?(deadline: AbortSignal): Promise<void>;
}

export interface Lifecycle {
  readonly state: LifecycleState;
  /** Starts the services in order. If one fails, those started are stopped in reverse and its error is thrown. */
  start(): Promise<void>;
  /** Stops in reverse order within `drainMs`. Calling again returns the same promise. */
  stop(drainMs?: number): Promise<void>;
  onChange(listener: (state: LifecycleState) => void): void;
}

/** Waits for the promise to end either way, but no longer than the deadline: a start that hangs must not keep a stop. */
async function settled(promise: Promise<void> | undefined, deadline: AbortSignal): Promise<void> {
  if (!promise) return;
  const { promise: late, resolve } = Promise.withResolvers<void>();
  deadline.addEventListener('abort', () => resolve(), { once: true });
  await Promise.race([promise.catch(() => undefined), late]);
}

export function createLifecycle(services: readonly Service[]): Lifecycle {
  let state: LifecycleState = 'created';
  let starting: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  const started: Service[] = [];
  const listeners: ((state: LifecycleState) => void)[] = [];

  const move = (next: LifecycleState): void => {
    state = next;
    for (const listener of listeners) listener(next);
  };

  const stopStarted = async (deadline: AbortSignal): Promise<unknown[]> => {
    const errors: unknown[] = [];
    for (const service of started.toReversed()) service.refuse?.();
    for (const service of started.splice(0).toReversed()) {
      try {
        await service.stop?.(deadline);
      } catch (error) {
        errors.push(error);
      }
    }
    return errors;
  };

  const isStarting = (): boolean => state === 'starting';

  const startAll = async (): Promise<void> => {
    if (state !== 'created') throw new MillraceError('CONFLICT', `Cannot start: it is ${state}.`);
    move('starting');
    try {
      for (const service of services) {
        started.push(service);
        await service.start?.();
        if (stopping) return;
      }
    } catch (error) {
      // A stop that did not want to wait any longer has taken over by now.
      if (isStarting()) await stopStarted(AbortSignal.timeout(5000));
      if (isStarting()) move('failed');
      throw error;
    }
    move('running');
  };

  const stopAll = async (drainMs: number): Promise<void> => {
    const deadline = AbortSignal.timeout(drainMs);
    await settled(starting, deadline);
    if (state === 'failed' || state === 'stopped') return;
    move('draining');
    const errors = await stopStarted(deadline);
    move(errors.length > 0 ? 'failed' : 'stopped');
    if (errors.length > 0) throw new AggregateError(errors, 'Some services did not stop cleanly.');
  };

  return {
    get state() {
      return state;
    },
    start: () => (starting ??= startAll()),
    stop: (drainMs = 10_000) => (stopping ??= stopAll(drainMs)),
    onChange: (listener) => void listeners.push(listener),
  };
}

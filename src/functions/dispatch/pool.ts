import { type Clock, MillraceError, type Random, signal, type Timer } from '../../kernel/index.ts';
import type { FunctionError, InvocationOutcome, LogLine } from '../invocation.ts';
import type { Runtime } from '../port.ts';
import type { CallOperation } from '../protocol.ts';
import type { FunctionsConfig } from './config.ts';
import { type CallAnswer, LiveInstance, type PoolSide } from './live-instance.ts';
import { Queue } from './queue.ts';
import type { Outcome } from './stats.ts';
import { failure } from './wire.ts';
import { type PoolIdentity, type Work, whenGone } from './work.ts';

/** What all pools share: bounds of the platform, and what they report to. */
export interface PoolSurroundings {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly random: Random;
  readonly config: FunctionsConfig;
  readonly shared: SharedBounds;
  readonly providers: readonly string[];
  call(
    identity: PoolIdentity,
    work: Work | undefined,
    operation: CallOperation,
    answer: (message: CallAnswer) => void,
  ): void;
  settled(identity: PoolIdentity, work: Work, outcome: InvocationOutcome, kind: Outcome): void;
  throttled(identity: PoolIdentity, work: Work): void;
}

/** Counts over all functions. */
export interface SharedBounds {
  queued: number;
  queuedBytes: number;
  instances: number;
  /** Those with instances or waiting work. */
  readonly pools: Set<Pool>;
  /** Those that need an instance while there are as many as there may be. */
  readonly starved: Set<Pool>;
}

/** An instance is counted on for this part of its places, so that a burst finds some free while the next one starts. */
const HEADROOM = 0.8;
/** Starts at the same time for one function: what queues meanwhile is mostly served by the first that is ready. */
const STARTS_AT_ONCE = 2;
const START_BACKOFF_MS = 200;
const START_BACKOFF_MAX_MS = 30_000;

/** The instances of one version of one function, and the invocations that wait for them. */
export class Pool implements PoolSide {
  readonly identity: PoolIdentity;
  readonly #around: PoolSurroundings;
  readonly #instances = new Set<LiveInstance>();
  readonly #queue = new Queue<Work>();
  #holders = 0;
  #active = false;
  #inFlight = 0;
  #peaks: [current: number, previous: number] = [0, 0];
  #averageMs = 5;
  #idleTimer: Timer | undefined;
  #queueTimer: Timer | undefined;
  #startFailures = 0;
  #notBeforeMs = 0;
  #lastFailure: FunctionError | undefined;
  readonly #waiters = new Set<() => void>();

  constructor(identity: PoolIdentity, around: PoolSurroundings) {
    this.identity = identity;
    this.#around = around;
  }

  get clock(): Clock {
    return this.#around.clock;
  }

  get timeoutMs(): number {
    return this.identity.manifest.timeoutMs;
  }

  counts(): { instances: number; starting: number; inFlight: number; queued: number } {
    const { ready, starting } = this.#census();
    return { instances: ready, starting, inFlight: this.#inFlight, queued: this.#queue.size };
  }

  // Holding: snapshots hold their pools

  hold(): void {
    this.#holders++;
  }

  letGo(): void {
    this.#holders--;
    if (this.#holders > 0) return;
    this.#active = false;
    for (const work of this.#queue.drain()) this.#refuseLate(work);
    for (const instance of this.#instances) instance.drain();
  }

  /** Serves from now on: as many instances as the function keeps at least are started and kept. */
  activate(): void {
    this.#active = true;
    this.#keepMinimum();
  }

  /** No longer takes new work; what waits and what runs is finished by the snapshots that hold it. */
  deactivate(): void {
    this.#active = false;
  }

  /** Starts instances until `wanted` are ready; throws with the reason when one cannot be loaded. */
  async warm(wanted: number): Promise<void> {
    const goal = Math.min(wanted, this.identity.manifest.instances.max);
    this.#startFailures = 0;
    this.#lastFailure = undefined;
    this.#notBeforeMs = 0;
    while (this.#census().ready < goal) {
      const { ready, starting } = this.#census();
      for (let count = ready + starting; count < goal && this.#mayStart(); count++) this.#start('deployment');
      if (this.#census().starting === 0) break;
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
      if (this.#lastFailure) throw loadFailed(this.identity, this.#lastFailure);
    }
  }

  // Work

  submit(work: Work): void {
    const instance = this.#queue.size === 0 ? this.#leastLoaded() : undefined;
    if (instance) {
      this.#assign(instance, work);
      this.#notePeak();
      if (this.#inFlight > this.#reach(this.#instances.size)) this.#scaleUp('concurrency');
      return;
    }
    if (!this.#startable()) {
      this.settle(work, failure(this.#lastFailure!, 0, true), 'error');
      return;
    }
    this.#enqueue(work);
    this.#scaleUp('waiting invocations');
  }

  /** Ends one instance that does nothing, if there is one above the minimum: another function needs the place. */
  giveUpIdle(): boolean {
    const { ready } = this.#census();
    if (ready <= (this.#active ? this.identity.manifest.instances.min : 0)) return false;
    for (const instance of this.#instances) {
      if (instance.state !== 'ready' || instance.inFlight > 0) continue;
      this.#announce(ready, ready - 1, 'another function needs the place');
      instance.drain();
      return true;
    }
    return false;
  }

  /** Ends every instance at once; whatever runs is told that it crashed. */
  close(): void {
    this.#active = false;
    this.#idleTimer?.cancel();
    this.#queueTimer?.cancel();
    for (const work of this.#queue.drain()) this.#refuseLate(work);
    for (const instance of this.#instances) instance.end();
  }

  // What instances tell

  ready(instance: LiveInstance): void {
    this.#startFailures = 0;
    this.#lastFailure = undefined;
    this.#wake();
    this.#serve(instance);
    this.#armIdle();
    if (this.#queue.size > 0) this.#scaleUp('waiting invocations');
  }

  startFailed(_instance: LiveInstance, error: FunctionError): void {
    this.#startFailures++;
    this.#lastFailure = { ...error, message: `The function could not be started: ${error.message}` };
    const backoffMs = Math.min(START_BACKOFF_MAX_MS, START_BACKOFF_MS * 2 ** (this.#startFailures - 1));
    this.#notBeforeMs = this.clock.monotonic() + backoffMs;
    if (this.#census().ready === 0) this.#failQueue();
    this.#wake();
    if (this.#active) this.clock.after(backoffMs, () => this.#keepMinimum());
  }

  /** No instance can be had for what waits: it is told why instead of waiting for nothing. */
  #failQueue(): void {
    for (const work of this.#queue.drain()) {
      this.#unqueued(work);
      this.settle(work, failure(this.#lastFailure!, 0, true), 'error');
    }
  }

  freed(instance: LiveInstance): void {
    this.#serve(instance);
    if (instance.state !== 'ready' && this.#queue.size > 0) this.#scaleUp('waiting invocations');
    if (instance.inFlight === 0) this.#feedStarved();
  }

  ended(instance: LiveInstance): void {
    if (!this.#instances.delete(instance)) return;
    this.#around.shared.instances--;
    if (this.#instances.size === 0 && this.#queue.size === 0) this.#around.shared.pools.delete(this);
    if (!this.#startable()) this.#failQueue();
    else if (this.#queue.size > 0) this.#scaleUp('an instance ended');
    else if (this.#startFailures === 0) this.#keepMinimum();
    this.#feedStarved();
  }

  settle(work: Work, outcome: InvocationOutcome, kind: Outcome): void {
    if (work.settled) return;
    work.settled = true;
    work.release();
    if (work.startedMs >= 0) {
      this.#inFlight--;
      this.#averageMs += (outcome.durationMs - this.#averageMs) * 0.05;
    }
    this.#around.settled(this.identity, work, outcome, kind);
    work.resolve(outcome);
  }

  call(work: Work | undefined, operation: CallOperation, answer: (message: CallAnswer) => void): void {
    this.#around.call(this.identity, work, operation, answer);
  }

  log(line: LogLine, invocationId: string, traceId: string): void {
    const { app, manifest } = this.identity;
    const { level, timeMs, message, attributes } = line;
    signal('function.log', {
      app,
      fn: manifest.name,
      invocationId,
      traceId,
      level,
      timeMs,
      message,
      ...(attributes ? { attributes } : {}),
    });
  }

  // Queue

  #enqueue(work: Work): void {
    const { config, shared } = this.#around;
    const full =
      this.#queue.size >= config.functionQueue ||
      shared.queued >= config.functionQueueTotal ||
      shared.queuedBytes + work.sizeBytes > config.functionQueueBytes;
    if (full) throw this.#tooMany();
    shared.queued++;
    shared.queuedBytes += work.sizeBytes;
    this.#queue.push(work);
    shared.pools.add(this);
    this.#notePeak();
    whenGone(work, () => this.#callerGone(work));
    this.#queueTimer ??= this.clock.after(config.functionQueueWait, () => this.#expireQueue());
  }

  #unqueued(work: Work): void {
    this.#around.shared.queued--;
    this.#around.shared.queuedBytes -= work.sizeBytes;
  }

  #callerGone(work: Work): void {
    if (!this.#queue.remove(work)) return;
    this.#unqueued(work);
    const error = { code: 'FUNCTION_FAILED', name: 'AbortError', message: 'The caller has gone.' } as const;
    this.settle(work, failure(error, 0, false), 'error');
  }

  #expireQueue(): void {
    this.#queueTimer = undefined;
    const nowMs = this.clock.monotonic();
    const { functionQueueWait } = this.#around.config;
    for (let work = this.#queue.peek(); work; work = this.#queue.peek()) {
      const leftMs = work.acceptedMs + functionQueueWait - nowMs;
      if (leftMs > 0) {
        this.#queueTimer = this.clock.after(leftMs, () => this.#expireQueue());
        return;
      }
      this.#queue.shift();
      this.#unqueued(work);
      this.#around.throttled(this.identity, work);
      this.#reject(work, this.#tooMany());
    }
  }

  #refuseLate(work: Work): void {
    this.#unqueued(work);
    const message = 'The platform is stopping, or the function was removed. Try again.';
    this.#reject(work, new MillraceError('UNAVAILABLE', message, { retryAfterMs: 1000 }));
  }

  #reject(work: Work, error: MillraceError): void {
    if (work.settled) return;
    work.settled = true;
    work.release();
    work.reject(error);
  }

  /** When the queue should have moved on; spread, so that callers do not come back all at once. */
  #tooMany(): MillraceError {
    const places = Math.max(1, this.#instances.size * this.identity.manifest.perInstance);
    const drainMs = ((this.#queue.size + 1) * this.#averageMs) / places;
    const retryAfterMs = Math.round(
      Math.min(10_000, Math.max(100, drainMs)) * (1 + this.#around.random.float()),
    );
    return new MillraceError(
      'TOO_MANY_REQUESTS',
      `'${this.identity.manifest.name}' has as many invocations waiting as it may. Try again after ${retryAfterMs} ms.`,
      { retryAfterMs },
    );
  }

  // Instances

  #census(): { ready: number; starting: number } {
    let ready = 0;
    let starting = 0;
    for (const { state } of this.#instances) {
      if (state === 'ready') ready++;
      else if (state === 'starting') starting++;
    }
    return { ready, starting };
  }

  #leastLoaded(): LiveInstance | undefined {
    let best: LiveInstance | undefined;
    let least = this.identity.manifest.perInstance;
    for (const instance of this.#instances) {
      if (instance.state !== 'ready' || instance.inFlight >= least) continue;
      best = instance;
      least = instance.inFlight;
      if (least === 0) break;
    }
    return best;
  }

  #assign(instance: LiveInstance, work: Work): void {
    this.#inFlight++;
    instance.run(work);
  }

  #serve(instance: LiveInstance): void {
    const { perInstance } = this.identity.manifest;
    while (instance.state === 'ready' && instance.inFlight < perInstance) {
      const work = this.#queue.shift();
      if (!work) return;
      this.#unqueued(work);
      this.#assign(instance, work);
    }
  }

  /** How many invocations so many instances are counted on for. */
  #reach(instances: number): number {
    return instances * Math.max(1, Math.floor(this.identity.manifest.perInstance * HEADROOM));
  }

  #wanted(concurrency: number): number {
    const { min, max } = this.identity.manifest.instances;
    return Math.max(this.#active ? min : 0, Math.min(max, Math.ceil(concurrency / this.#reach(1))));
  }

  #scaleUp(reason: string): void {
    const wanted = this.#wanted(this.#inFlight + this.#queue.size);
    const { ready, starting } = this.#census();
    const missing = Math.min(wanted - ready - starting, STARTS_AT_ONCE - starting);
    for (let count = 0; count < missing && this.#mayStart(); count++) this.#start(reason);
  }

  #keepMinimum(): void {
    if (!this.#active) return;
    const { ready, starting } = this.#census();
    const missing = this.identity.manifest.instances.min - ready - starting;
    for (let count = 0; count < missing && this.#mayStart(); count++) this.#start('the minimum');
  }

  /** False only while the code cannot be loaded and the pause after the last attempt is not over. */
  #startable(): boolean {
    return (
      this.#instances.size > 0 ||
      this.#lastFailure === undefined ||
      this.clock.monotonic() >= this.#notBeforeMs
    );
  }

  #mayStart(): boolean {
    if (this.clock.monotonic() < this.#notBeforeMs) return false;
    const { shared, config } = this.#around;
    if (shared.instances < config.functionInstances) return true;
    // Its place is free when it has ended; then `starved` is looked at again.
    for (const pool of shared.pools) if (pool !== this && pool.giveUpIdle()) break;
    shared.starved.add(this);
    return false;
  }

  /** A place may have become free: those that wait for one try again. */
  #feedStarved(): void {
    const { starved } = this.#around.shared;
    if (starved.size === 0) return;
    const waiting = [...starved];
    starved.clear();
    for (const pool of waiting) pool.retry();
  }

  retry(): void {
    if (this.#queue.size > 0) this.#scaleUp('waiting invocations');
  }

  #start(reason: string): void {
    const { runtime, shared, config, providers } = this.#around;
    const { app, folder, manifest } = this.identity;
    const from = this.#instances.size;
    shared.instances++;
    shared.pools.add(this);
    const instance = new LiveInstance(this, runtime, {
      app,
      fn: manifest.name,
      version: manifest.version,
      folder,
      entry: manifest.entry,
      exportName: manifest.exportName,
      triggers: manifest.triggers,
      batched: manifest.batch !== null,
      perInstance: manifest.perInstance,
      timeoutMs: manifest.timeoutMs,
      memoryBytes: manifest.memoryBytes,
      env: manifest.env,
      secrets: manifest.secrets,
      providers,
    });
    this.#instances.add(instance);
    this.#announce(from, from + 1, reason);
    this.clock.after(config.functionStart, () => {
      if (instance.state === 'starting') instance.end();
    });
  }

  #announce(from: number, to: number, reason: string): void {
    signal('function.scaled', { app: this.identity.app, fn: this.identity.manifest.name, from, to, reason });
  }

  #wake(): void {
    for (const resolve of this.#waiters) resolve();
    this.#waiters.clear();
  }

  // Scaling down

  #notePeak(): void {
    const load = this.#inFlight + this.#queue.size;
    if (load > this.#peaks[0]) this.#peaks[0] = load;
  }

  /** Looks twice in the idle time: what neither half needed is ended. */
  #armIdle(): void {
    this.#idleTimer ??= this.clock.after(this.#around.config.functionIdle / 2, () => this.#scaleDown());
  }

  #scaleDown(): void {
    this.#idleTimer = undefined;
    const wanted = this.#wanted(Math.max(...this.#peaks));
    const { ready } = this.#census();
    const surplus = [...this.#instances]
      .filter(({ state }) => state === 'ready')
      .sort((a, b) => a.inFlight - b.inFlight)
      .slice(0, Math.max(0, ready - wanted));
    if (surplus.length > 0) this.#announce(ready, ready - surplus.length, 'less load');
    for (const instance of surplus) instance.drain();
    this.#peaks = [this.#inFlight + this.#queue.size, this.#peaks[0]];
    if (this.#instances.size > surplus.length) this.#armIdle();
  }
}

function loadFailed({ manifest }: PoolIdentity, error: FunctionError): MillraceError {
  return new MillraceError(
    'DEPLOY_REFUSED',
    `'${manifest.name}' cannot be loaded: ${error.message} What ran before goes on running.`,
  );
}

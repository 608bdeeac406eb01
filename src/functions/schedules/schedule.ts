import { type Clock, type Ids, type Random, signal, type Timer } from '../../kernel/index.ts';
import type { Dispatcher, InvocationOutcome } from '../invocation.ts';
import type { Calendar } from './cron.ts';
import { foldTicks } from './due.ts';
import type { ScheduleHome } from './shared.ts';
import { keyOf, type ScheduleEntry, type ScheduleStore } from './store.ts';

export interface ScheduleParts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly leases: ScheduleHome['leases'];
  readonly store: ScheduleStore;
  readonly dispatcher: Dispatcher;
  /** Who holds the lease; another on every start of every node. */
  readonly owner: string;
  readonly refusing: () => boolean;
  /** Something has begun or ended. */
  readonly changed: () => void;
}

export interface ScheduleOptions {
  readonly app: string;
  readonly fn: string;
  readonly spec: string;
  readonly calendar: Calendar;
  readonly retry: { readonly attempts: number; readonly backoffMs: number };
}

/** While a tick runs its node holds the lease; when the node dies another takes over after this long. */
const LEASE_MS = 30_000;
/** The wall clock may jump while timers follow the monotonic one: it is looked at this often. */
const LOOK_EVERY_MS = 30_000;
const LONGEST_BACKOFF_MS = 60_000;

/**
 * One trigger of one function, on one node.
 *
 * T1 What is due next is stored before anything runs and advances only when a tick has succeeded or is given up: a due time
 *    is neither lost nor, unless its node dies in the middle, run twice. Then it is run again with the same idempotency key.
 * T2 One tick of a trigger runs at a time, on all nodes together. Due times that come meanwhile become one tick, afterwards.
 * T3 Due times are computed from the one before, never from the present: a clock that goes back repeats none of them, one
 *    that goes ahead makes those it jumped over one tick.
 */
export class Schedule {
  readonly key: string;
  #options: ScheduleOptions;
  readonly #parts: ScheduleParts;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #removed = false;
  /** As last seen in the store; the store decides. */
  #dueMs: number | null;
  #retryWaits = false;

  constructor(parts: ScheduleParts, options: ScheduleOptions, entry: ScheduleEntry) {
    this.#parts = parts;
    this.#options = options;
    this.key = keyOf(options);
    this.#dueMs = wakeMs(entry);
    this.#retryWaits = entry.notBeforeMs !== null;
    this.#arm();
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  get retryWaits(): boolean {
    return this.#retryWaits;
  }

  get status() {
    const { app, fn, spec } = this.#options;
    return { app, fn, spec, nextMs: this.#dueMs, running: this.busy };
  }

  /** A new version of the function: other limits of retries. */
  change(options: ScheduleOptions): void {
    this.#options = options;
  }

  /** What is stored may be another node's by now: looks at it at once. */
  resume(entry: ScheduleEntry): void {
    if (this.#running) return;
    this.#note(entry);
    this.#arm();
  }

  /** Runs no more; what runs is waited for. */
  async stop(): Promise<void> {
    this.#removed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #arm(delayMs?: number): void {
    this.#timer?.cancel();
    if (this.#removed || (this.#dueMs === null && delayMs === undefined)) return;
    const untilDueMs = this.#dueMs === null ? LOOK_EVERY_MS : this.#dueMs - this.#parts.clock.now();
    const waitMs = Math.max(0, Math.min(delayMs ?? untilDueMs, LOOK_EVERY_MS));
    this.#timer = this.#parts.clock.after(waitMs, () => this.#look());
  }

  #look(): void {
    if (this.#running || this.#removed || this.#parts.refusing()) return;
    if (this.#dueMs !== null && this.#dueMs > this.#parts.clock.now()) {
      this.#arm();
      return;
    }
    this.#running = this.#runDue().finally(() => {
      this.#running = undefined;
      this.#parts.changed();
    });
  }

  /** Never rejects. */
  async #runDue(): Promise<void> {
    let delayMs: number | undefined;
    try {
      delayMs = await this.#tryDue();
    } catch (error) {
      const message = `The schedule ${this.key} could not be read or written; it is tried again.`;
      signal('platform.log', { level: 'error', room: 'functions', message, error });
      delayMs = 1000;
    }
    this.#arm(delayMs);
  }

  /** Resolves to how long to wait before looking again, where that is not until the next due time. */
  async #tryDue(): Promise<number | undefined> {
    const { leases, owner, clock } = this.#parts;
    const lease = `schedule/${this.key}`;
    const got = await leases.acquireLease(lease, owner, LEASE_MS);
    if (got === undefined) return this.#yieldToOther();
    const renewal = this.#renew(lease);
    try {
      const stored = await this.#parts.store.read(this.key);
      // Taken away by another node that has another version of the app.
      if (!stored || this.#removed) return LOOK_EVERY_MS;
      this.#note(stored.entry);
      if (this.#dueMs === null || this.#dueMs > clock.now()) return undefined;
      await this.#attempt(stored.entry, stored.version);
      return undefined;
    } finally {
      renewal.cancel();
      await leases.releaseLease(lease, owner);
    }
  }

  /** Another node runs it: what is due next is known when it is done. */
  async #yieldToOther(): Promise<number> {
    const stored = await this.#parts.store.read(this.key);
    if (stored) this.#note(stored.entry);
    const isDue = this.#dueMs !== null && this.#dueMs <= this.#parts.clock.now();
    return isDue
      ? LEASE_MS / 3
      : Math.max(0, (this.#dueMs ?? Number.MAX_SAFE_INTEGER) - this.#parts.clock.now());
  }

  #renew(lease: string): Timer {
    const { clock, leases, owner } = this.#parts;
    let timer: Timer;
    const arm = (): void => {
      timer = clock.after(LEASE_MS / 3, () => {
        leases.acquireLease(lease, owner, LEASE_MS).then(arm, arm);
      });
    };
    arm();
    let cancelled = false;
    return {
      cancel() {
        if (!cancelled) timer.cancel();
        cancelled = true;
      },
    };
  }

  async #attempt(entry: ScheduleEntry, version: number): Promise<void> {
    const { clock, store } = this.#parts;
    const folded = entry.tick ?? {
      ...foldTicks(this.#options.calendar, entry.dueMs!, clock.now()),
      attempts: 0,
    };
    const tick = { ...folded, attempts: folded.attempts + 1 };
    // T1: a node that takes over after a crash finds which tick it was, and how often it was tried.
    const begun = { ...entry, tick, notBeforeMs: null };
    if (!(await store.write(begun, version))) return;
    const problem = await this.#invoke(tick);
    const after = await store.read(this.key);
    if (!after || this.#removed) return;
    const next = this.#after(begun, tick, problem);
    if (await store.write(next, after.version)) this.#note(next);
  }

  async #invoke(tick: NonNullable<ScheduleEntry['tick']>): Promise<string | undefined> {
    const { dispatcher, ids } = this.#parts;
    const { scheduledMs, missed, attempts } = tick;
    const context = {
      invocationId: ids.next(),
      idempotencyKey: `${this.key}@${scheduledMs}`,
      attempt: attempts,
      depth: 0,
      trigger: 'schedule',
    } as const;
    try {
      const event = { kind: 'tick', scheduledMs, missed } as const;
      return problemOf(await dispatcher.dispatch(this.#options.fn, event, context));
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** What is to be stored after an attempt: the pause before the next one, or the next due time. */
  #after(
    entry: ScheduleEntry,
    tick: NonNullable<ScheduleEntry['tick']>,
    problem: string | undefined,
  ): ScheduleEntry {
    const { clock, random } = this.#parts;
    const { calendar, retry, fn } = this.#options;
    if (problem !== undefined && tick.attempts < retry.attempts) {
      const longestMs = Math.min(LONGEST_BACKOFF_MS, retry.backoffMs * 2 ** (tick.attempts - 1));
      return { ...entry, notBeforeMs: clock.now() + longestMs * (0.5 + random.float() / 2) };
    }
    if (problem !== undefined) {
      const message = `The tick of '${fn}' that was due at ${new Date(tick.scheduledMs).toISOString()} is given up after ${tick.attempts} attempts: ${problem}`;
      signal('platform.log', { level: 'error', room: 'functions', message });
    }
    return { ...entry, dueMs: calendar.next(tick.scheduledMs) ?? null, tick: null, notBeforeMs: null };
  }

  #note(entry: ScheduleEntry): void {
    this.#dueMs = wakeMs(entry);
    this.#retryWaits = entry.notBeforeMs !== null;
  }
}

function wakeMs({ dueMs, notBeforeMs }: ScheduleEntry): number | null {
  return notBeforeMs ?? dueMs;
}

function problemOf(outcome: InvocationOutcome): string | undefined {
  return outcome.status === 'error' ? `${outcome.error.name}: ${outcome.error.message}` : undefined;
}

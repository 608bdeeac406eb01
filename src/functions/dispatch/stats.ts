import type { Clock, Signals } from '../../kernel/index.ts';

export type Outcome = Signals['function.invoked']['outcome'];

export interface FunctionStats {
  /** Since the function was first called on this platform. */
  readonly invocations: number;
  readonly errors: number;
  readonly throttled: number;
  /** Over the last one to two minutes. */
  readonly perSecond: number;
  readonly errorRate: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number } | null;
}

/** Each bucket ends 10 % above the one before: percentiles are right to that. They reach from 0.05 ms to an hour. */
const GROWTH = Math.log(1.1);
const SMALLEST_MS = 0.05;
const BUCKETS = 190;
const WINDOW_MS = 60_000;

interface Window {
  readonly startedMs: number;
  readonly buckets: Uint32Array;
  count: number;
  errors: number;
}

/** Counts and a histogram of two windows. Made when a function is first called: idle functions cost nothing. */
export class Stats {
  readonly #clock: Clock;
  #invocations = 0;
  #errors = 0;
  #throttled = 0;
  #current: Window;
  #previous: Window | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#current = newWindow(clock.monotonic());
  }

  record(outcome: Outcome, durationMs: number): void {
    if (outcome === 'throttled') {
      this.#throttled++;
      return;
    }
    this.#turn();
    this.#invocations++;
    this.#current.count++;
    if (outcome !== 'ok') {
      this.#errors++;
      this.#current.errors++;
    }
    this.#current.buckets[bucketOf(durationMs)]!++;
  }

  read(): FunctionStats {
    this.#turn();
    const windows = this.#previous ? [this.#previous, this.#current] : [this.#current];
    const count = windows.reduce((sum, window) => sum + window.count, 0);
    const errors = windows.reduce((sum, window) => sum + window.errors, 0);
    const seconds = Math.max(1, (this.#clock.monotonic() - windows[0]!.startedMs) / 1000);
    return {
      invocations: this.#invocations,
      errors: this.#errors,
      throttled: this.#throttled,
      perSecond: count / seconds,
      errorRate: count === 0 ? 0 : errors / count,
      latencyMs:
        count === 0 ? null : { p50: percentile(windows, count, 0.5), p99: percentile(windows, count, 0.99) },
    };
  }

  #turn(): void {
    const nowMs = this.#clock.monotonic();
    const ageMs = nowMs - this.#current.startedMs;
    if (ageMs < WINDOW_MS) return;
    this.#previous = ageMs < 2 * WINDOW_MS ? this.#current : undefined;
    this.#current = newWindow(nowMs);
  }
}

function newWindow(startedMs: number): Window {
  return { startedMs, buckets: new Uint32Array(BUCKETS), count: 0, errors: 0 };
}

function bucketOf(durationMs: number): number {
  if (durationMs <= SMALLEST_MS) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log(durationMs / SMALLEST_MS) / GROWTH));
}

function percentile(windows: readonly Window[], count: number, fraction: number): number {
  let left = Math.ceil(count * fraction);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    for (const window of windows) left -= window.buckets[bucket]!;
    if (left <= 0) return SMALLEST_MS * Math.exp(bucket * GROWTH);
  }
  return SMALLEST_MS * Math.exp(BUCKETS * GROWTH);
}

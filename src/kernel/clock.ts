/**
 * Time as a dependency. Rooms never read the machine's clock or set timers directly: they are handed a `Clock`,
 * so that tests move time instead of sleeping. `now` may jump both ways; `monotonic` never goes back.
 */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump. */
  now(): number;
  /** Milliseconds since an arbitrary origin, with fractions. Never goes back; use it for durations. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs`. The timer never keeps the process alive by itself. */
  after(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    after(delayMs, callback) {
      // Node fires at once for delays beyond 2^31-1 ms; clamp, callers re-arm.
      const handle = setTimeout(callback, Math.min(Math.max(0, delayMs), 2_147_483_647));
      handle.unref();
      return { cancel: () => clearTimeout(handle) };
    },
  };
}

/** A clock that stands still until it is told to move. */
export interface ManualClock extends Clock {
  /** Moves both clocks forward and fires the timers that come due, in order of time. */
  advance(byMs: number): void;
  /** Jumps the wall clock alone (an operator or NTP changes the time); timers follow the monotonic clock. */
  jump(toMs: number): void;
  /** How many timers are waiting. */
  pending(): number;
  /** How long until the next timer is due; undefined when none waits. */
  untilNextMs(): number | undefined;
}

interface PendingTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

export function manualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let monotonicMs = 0;
  let offsetMs = startMs;
  let order = 0;
  const timers = new Set<PendingTimer>();

  const nextDue = (limitMs: number): PendingTimer | undefined => {
    let next: PendingTimer | undefined;
    for (const timer of timers) {
      if (timer.dueMs > limitMs) continue;
      if (!next || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order)) {
        next = timer;
      }
    }
    return next;
  };

  return {
    now: () => offsetMs + monotonicMs,
    monotonic: () => monotonicMs,
    after(delayMs, callback) {
      const timer = { dueMs: monotonicMs + Math.max(0, delayMs), order: order++, callback };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    advance(byMs) {
      const target = monotonicMs + byMs;
      for (let timer = nextDue(target); timer; timer = nextDue(target)) {
        monotonicMs = timer.dueMs;
        timers.delete(timer);
        timer.callback();
      }
      monotonicMs = target;
    },
    jump(toMs) {
      offsetMs = toMs - monotonicMs;
    },
    pending: () => timers.size,
    untilNextMs() {
      const next = nextDue(Number.POSITIVE_INFINITY);
      return next && next.dueMs - monotonicMs;
    },
  };
}

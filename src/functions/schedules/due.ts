import type { Calendar } from './cron.ts';

/** A tick that is to be run. */
export interface DueTick {
  /** The newest due time that has come. */
  readonly scheduledMs: number;
  /** Due times before it that are folded into it. */
  readonly missed: number;
}

/** A schedule by the second that was down for a day has 86,400 of them; beyond this the count is no longer exact. */
export const MOST_COUNTED = 100_000;

/** What to run when `firstDueMs` has come: everything that has come due since is one tick. */
export function foldTicks(calendar: Calendar, firstDueMs: number, nowMs: number): DueTick {
  let scheduledMs = firstDueMs;
  let missed = 0;
  for (; missed < MOST_COUNTED; missed++) {
    const next = calendar.next(scheduledMs);
    if (next === undefined || next > nowMs) break;
    scheduledMs = next;
  }
  return { scheduledMs, missed };
}

export const DAY_SECONDS = 86_400;

/** What the features need of a payment. */
export interface Payment {
  readonly id: number;
  readonly atMs: number;
  readonly amount: number;
}

/** Event times are kept in whole seconds. */
export function secondsOf(atMs: number): number {
  return Math.floor(atMs / 1000);
}

/** Amounts are kept in cents. */
export function centsOf(amount: number): number {
  return Math.round(amount * 100);
}

/** How many of the first entries lie at or before a time; `seconds` is in order. */
export function countUpTo(seconds: readonly number[], second: number): number {
  let count = 0;
  while (count < seconds.length && seconds[count]! <= second) count++;
  return count;
}

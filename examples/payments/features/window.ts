export const DAY_SECONDS = 86_400;

/** What the features need of a payment. */
export interface Payment {
  readonly id: number;
  readonly atMs: number;
  readonly amount: number;
}

/** Things of a span of time, oldest first, as two plain arrays: short in JSON, and nothing to allocate per entry. */
export interface Recent {
  seconds: number[];
  values: number[];
}

/** Event times are kept in whole seconds. */
export function secondsOf(atMs: number): number {
  return Math.floor(atMs / 1000);
}

/** Forgets what happened at or before a time; gives how much that was. */
export function dropOlder(recent: Recent, second: number): number {
  const { seconds, values } = recent;
  let old = 0;
  while (old < seconds.length && seconds[old]! <= second) old++;
  if (old > 0) {
    seconds.splice(0, old);
    values.splice(0, old);
  }
  return old;
}

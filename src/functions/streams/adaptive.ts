/**
 * How many events to keep out at once, learned from how long they take (the idea of TCP Vegas, Brakmo and Peterson 1994): while more at once
 * does not make each slower, they wait for something else and more are let out; when they begin to queue on each other,
 * fewer. So a function that waits for a network spreads wide, and one that computes does not pile up in front of a core.
 */
export interface ConcurrencyLimit {
  readonly limit: number;
  /** `durationMs` from handing over an event of `records` to its outcome; `backlog`: more was waiting. */
  observe(durationMs: number, records: number, backlog: boolean): void;
}

const FEW_QUEUED = 2;
const MANY_QUEUED = 4;
/** The shortest duration seen fades, so that a function that becomes slower by itself is not throttled for ever. */
const FADE = 1.01;

export function createConcurrencyLimit(atMost: () => number): ConcurrencyLimit {
  let limit = 4;
  let shortestMs = Number.POSITIVE_INFINITY;
  return {
    get limit() {
      return Math.max(1, Math.min(Math.floor(limit), atMost()));
    },
    observe(durationMs, records, backlog) {
      const perRecordMs = durationMs / records;
      shortestMs = Math.min(shortestMs * FADE, perRecordMs);
      if (perRecordMs <= 0) return;
      const queued = limit * (1 - shortestMs / perRecordMs);
      if (queued > MANY_QUEUED) limit = Math.max(2, limit - 0.5);
      else if (queued < FEW_QUEUED && backlog) limit = Math.min(limit + 0.5, atMost());
    },
  };
}

/** How many records to put into one event for a handler that takes one record, so that the event takes about `targetMs`. */
export interface EventSize {
  readonly records: number;
  observe(durationMs: number, records: number): void;
}

export function createEventSize(targetMs: number, atMost: number): EventSize {
  let records = Math.min(8, atMost);
  return {
    get records() {
      return records;
    },
    observe(durationMs, handled) {
      if (durationMs > 2 * targetMs) records = Math.max(1, Math.floor(Math.min(records, handled) / 2));
      else if (durationMs < targetMs && handled >= records) records = Math.min(atMost, records * 2);
    },
  };
}

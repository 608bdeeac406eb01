/** Bounds that hold everywhere unless a room says otherwise. Nothing in Millrace waits or grows without one. */
export const LIMITS = {
  /** Largest request body and largest payload of an invocation. */
  bodyBytes: 6 * 1024 * 1024,
  /** Deepest nesting of JSON that is accepted. */
  jsonDepth: 100,
  /** Longest record key. */
  keyBytes: 64 * 1024,
  /** Longest name of a stream, function, app or group. */
  nameLength: 249,
  /** Most partitions of one stream. */
  partitions: 10_000,
  /** Most records in one published batch. */
  batchRecords: 100_000,
  /** Deepest chain of functions that invoke functions. */
  invocationDepth: 16,
} as const;

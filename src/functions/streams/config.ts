/** Bounds of the consumers, per function unless said otherwise. */
export interface StreamConsumerConfig {
  /** Bytes of records read ahead and not yet committed, spread over the function's partitions. */
  readonly prefetchBytes: number;
  /** Bytes of records in one event. One record may be larger than that. */
  readonly eventBytes: number;
  /** Bytes of keyed state sent along with one event. */
  readonly eventStateBytes: number;
  /** Records of one partition between the oldest unfinished and the newest begun; bounds the done offsets of a commit. */
  readonly windowRecords: number;
  /** Events of one function that are out at the same time, whatever `perInstance × instances` allows. */
  readonly eventsInFlight: number;
  /** Most records of one event for handlers that take one record. */
  readonly microBatchRecords: number;
  /** How long such an event should take; its number of records follows from that. */
  readonly microBatchMs: number;
  /** Commits of one function on their way to the disk at the same time. */
  readonly commitsInFlight: number;
  /** What one event may emit. */
  readonly emitBytes: number;
  readonly emitRecords: number;
  readonly stateValueBytes: number;
  /** No wait before a retry, of a record or of a member that joins again, is longer. */
  readonly maxBackoffMs: number;
  /** How often `group.lag` is signalled. */
  readonly lagEveryMs: number;
}

export const DEFAULT_STREAM_CONSUMER_CONFIG: StreamConsumerConfig = {
  prefetchBytes: 16 * 1024 * 1024,
  eventBytes: 1024 * 1024,
  eventStateBytes: 8 * 1024 * 1024,
  windowRecords: 10_000,
  eventsInFlight: 64,
  microBatchRecords: 512,
  microBatchMs: 50,
  commitsInFlight: 4,
  emitBytes: 8 * 1024 * 1024,
  emitRecords: 100_000,
  stateValueBytes: 1024 * 1024,
  maxBackoffMs: 60_000,
  lagEveryMs: 1000,
};

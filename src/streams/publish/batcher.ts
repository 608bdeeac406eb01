import type { ProducerIdentity, TopicPartition } from '../port.ts';
import { type BatchRecord, encodeBatch } from '../record-batch/index.ts';

/** The records of one call for one partition, as they will stand in one batch. */
export interface PendingBatch extends TopicPartition {
  readonly records: BatchRecord[];
  /** How many records of this call stand before it in its partition. */
  readonly before: number;
  bytes: number;
}

/**
 * Larger groups become several batches: one of this size takes about 3 ms to encode and sum up, so that encoding
 * never holds the event loop.
 */
const BATCH_BYTES = 1024 * 1024;
/** Length, attributes, deltas and counts of a record, at most. */
const RECORD_OVERHEAD_BYTES = 32;

/** Groups records by partition and remembers where each one went, in two integers a record. */
export class Batcher {
  readonly batches: PendingBatch[] = [];
  readonly #batchOf: Int32Array;
  readonly #deltaOf: Int32Array;
  readonly #open = new Map<string, (number | undefined)[]>();

  constructor(records: number) {
    this.#batchOf = new Int32Array(records);
    this.#deltaOf = new Int32Array(records);
  }

  add(index: number, topic: string, partition: number, record: BatchRecord, bytes: number): void {
    let open = this.#open.get(topic);
    if (!open) this.#open.set(topic, (open = []));
    let batch = open[partition];
    const size = bytes + RECORD_OVERHEAD_BYTES;
    if (batch === undefined || this.batches[batch]!.bytes + size > BATCH_BYTES) {
      const last = batch === undefined ? undefined : this.batches[batch]!;
      const before = last ? last.before + last.records.length : 0;
      batch = this.batches.push({ topic, partition, records: [], before, bytes: 0 }) - 1;
      open[partition] = batch;
    }
    const pending = this.batches[batch]!;
    this.#batchOf[index] = batch;
    this.#deltaOf[index] = pending.records.push(record) - 1;
    pending.bytes += size;
  }

  batchOf(index: number): number {
    return this.#batchOf[index]!;
  }

  deltaOf(index: number): number {
    return this.#deltaOf[index]!;
  }
}

export function encodePending(batch: PendingBatch, timeMs: number, producer?: ProducerIdentity): Uint8Array {
  return encodeBatch(batch.records, {
    timeMs,
    ...(producer ? { producer: { ...producer, sequence: batch.before } } : {}),
  });
}

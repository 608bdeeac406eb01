import type { ProducerIdentity, TopicPartition } from '../port.ts';
import { BatchWriter, type WriterBuffers } from '../record-batch/index.ts';

/** The records of one call for one partition, as they will stand in one batch. */
export interface PendingBatch extends TopicPartition {
  readonly writer: BatchWriter;
  /** How many records of this call stand before it in its partition. */
  readonly before: number;
}

/**
 * Larger groups become several batches: one of this size takes about 3 ms to encode and sum up, so that encoding
 * never holds the event loop.
 */
const BATCH_BYTES = 1024 * 1024;

/** Groups records by partition and remembers where each one went, in two integers a record. */
export class Batcher {
  readonly batches: PendingBatch[] = [];
  readonly #batchOf: Int32Array;
  readonly #deltaOf: Int32Array;
  readonly #open = new Map<string, (number | undefined)[]>();
  readonly #buffers: WriterBuffers;
  readonly #nowMs: number;
  #lastTopic: string | undefined;
  #lastOpen: (number | undefined)[] = [];

  constructor(records: number, buffers: WriterBuffers, nowMs: number) {
    this.#batchOf = new Int32Array(records);
    this.#deltaOf = new Int32Array(records);
    this.#buffers = buffers;
    this.#nowMs = nowMs;
  }

  /** Where record `index` of the call is to be written, at once; `bytes`: about its size. */
  writer(index: number, topic: string, partition: number, bytes: number): BatchWriter {
    const open = this.#openOf(topic);
    let batch = open[partition];
    if (batch === undefined || this.batches[batch]!.writer.sizeBytes + bytes > BATCH_BYTES) {
      const last = batch === undefined ? undefined : this.batches[batch]!;
      const before = last ? last.before + last.writer.count : 0;
      const writer = new BatchWriter(this.#buffers, this.#nowMs);
      batch = this.batches.push({ topic, partition, before, writer }) - 1;
      open[partition] = batch;
    }
    const { writer } = this.batches[batch]!;
    this.#batchOf[index] = batch;
    this.#deltaOf[index] = writer.count;
    return writer;
  }

  batchOf(index: number): number {
    return this.#batchOf[index]!;
  }

  deltaOf(index: number): number {
    return this.#deltaOf[index]!;
  }

  #openOf(topic: string): (number | undefined)[] {
    if (topic === this.#lastTopic) return this.#lastOpen;
    let open = this.#open.get(topic);
    if (!open) this.#open.set(topic, (open = []));
    this.#lastTopic = topic;
    this.#lastOpen = open;
    return open;
  }
}

/** The options with which the writer of `batch` finishes it. */
export function finishOptions({ before }: PendingBatch, timeMs: number, producer?: ProducerIdentity) {
  return { timeMs, ...(producer ? { producer: { ...producer, sequence: before } } : {}) };
}

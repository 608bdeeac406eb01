import { varintSize, writeVarint } from './bytes.ts';
import { type BatchOptions, type BatchRecordHeader, type BatchSummary, writeBatchHeader } from './encode.ts';
import { BATCH_HEADER_BYTES, batchInvalid } from './header.ts';

/** Working buffers of writers, used again: most batches are gone from them within a turn of the event loop. */
export class WriterBuffers {
  readonly #free: Buffer[] = [];
  #freeBytes = 0;

  take(): Buffer {
    const buffer = this.#free.pop();
    if (!buffer) return Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.#freeBytes -= buffer.length;
    return buffer;
  }

  give(buffer: Buffer): void {
    if (this.#freeBytes + buffer.length > KEPT_BYTES) return;
    this.#freeBytes += buffer.length;
    this.#free.push(buffer);
  }
}

const FIRST_BYTES = 16 * 1024;
const LARGE_BYTES = 1024 * 1024;
const KEPT_BYTES = 8 * 1024 * 1024;
/** Length, attributes, deltas, lengths of key and value, count of headers: at most. */
const RECORD_OVERHEAD_BYTES = 48;
/** Short text is written in a loop: a call into the engine costs more than so many characters. */
const SHORT_TEXT = 24;

/** A batch whose records stand in their place, and what its header will say. */
export interface UnsealedBatch {
  readonly batch: Uint8Array;
  readonly options: Pick<BatchOptions, 'timeMs' | 'producer'>;
  readonly summary: BatchSummary;
}

/** What a record has beside its value. `timeMs` undefined: the time of the batch. */
export interface WrittenRecord {
  readonly key: Uint8Array | null;
  readonly headers?: readonly BatchRecordHeader[] | undefined;
  readonly timeMs?: number | undefined;
}

/**
 * Writes records one after the other as they will stand in the batch: each byte is copied once into a buffer that is used
 * again, and once out of it. Gives what `encodeBatch` gives for the same records.
 */
export class BatchWriter {
  readonly #buffers: WriterBuffers;
  readonly #nowMs: number;
  #bytes: Buffer;
  #at = BATCH_HEADER_BYTES;
  #count = 0;
  #baseTimeMs: number;
  #maxTimeMs: number;
  #ownTimes = false;

  /** `nowMs`: time of records without one where others of the batch have one. */
  constructor(buffers: WriterBuffers, nowMs: number) {
    this.#buffers = buffers;
    this.#bytes = buffers.take();
    this.#nowMs = this.#baseTimeMs = this.#maxTimeMs = nowMs;
  }

  get count(): number {
    return this.#count;
  }

  get sizeBytes(): number {
    return this.#at;
  }

  /** A record whose value is the bytes [from, to). */
  addBytes(record: WrittenRecord, bytes: Uint8Array, from: number, to: number): void {
    const size = to - from;
    this.#begin(record, size, size);
    if (size <= SHORT_TEXT) for (let at = from; at < to; at++) this.#bytes[this.#at++] = bytes[at]!;
    else {
      this.#bytes.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), this.#at);
      this.#at += size;
    }
    this.#end(record.headers);
  }

  /** A record whose value is `text` as UTF-8. */
  addText(record: WrittenRecord, text: string): void {
    const start = this.#at;
    // Text is nearly always ASCII: as many bytes as characters. Where it is not, the record is written again.
    this.#begin(record, text.length, text.length * 3);
    const size = this.#bytes.write(text, this.#at);
    if (size !== text.length) {
      this.#at = start;
      this.#count--;
      this.#begin(record, size, size);
      this.#bytes.write(text, this.#at);
    }
    this.#at += size;
    this.#end(record.headers);
  }

  /** The batch in a buffer of exactly its size. The writer is done for afterwards. Throws BATCH_INVALID without records. */
  finish(options: Pick<BatchOptions, 'timeMs' | 'producer'>): Uint8Array {
    const { batch, summary } = this.unsealed(options);
    writeBatchHeader(batch, options, summary);
    return batch;
  }

  /** The same without its header, which `writeBatchHeader` makes, in another thread perhaps. */
  unsealed(options: Pick<BatchOptions, 'timeMs' | 'producer'>): UnsealedBatch {
    if (this.#count === 0) throw batchInvalid('it has no records');
    const own = this.#ownTimes;
    const summary = {
      count: this.#count,
      baseTimeMs: own ? this.#baseTimeMs : options.timeMs,
      maxTimeMs: own ? this.#maxTimeMs : options.timeMs,
      lastOffsetDelta: this.#count - 1,
    };
    return { batch: this.#take(), options, summary };
  }

  /** Gives the working buffer back without a batch. */
  discard(): void {
    this.#buffers.give(this.#bytes);
  }

  /** The bytes so far: a copy of exactly their size, or the working buffer itself where copying would take long and save little. */
  #take(): Uint8Array {
    const size = this.#at;
    if (size > LARGE_BYTES && this.#bytes.length <= size * 1.25)
      return new Uint8Array(this.#bytes.buffer, 0, size);
    const batch = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
    batch.set(this.#bytes.subarray(0, size));
    this.discard();
    return batch;
  }

  /** Everything of a record up to its value, of `size` bytes; makes room for `reserve` bytes of value. */
  #begin({ key, headers, timeMs }: WrittenRecord, size: number, reserve: number): void {
    const timeDelta = this.#timeDelta(timeMs);
    const keySize = key?.length ?? 0;
    const headerBytes = headers && headers.length > 0 ? headersSize(headers) : 1;
    this.#reserve(keySize + reserve + headerBytes + RECORD_OVERHEAD_BYTES);
    const body =
      1 +
      varintSize(timeDelta) +
      varintSize(this.#count) +
      (key ? varintSize(keySize) + keySize : 1) +
      varintSize(size) +
      size +
      headerBytes;
    const bytes = this.#bytes;
    let at = writeVarint(bytes, this.#at, body);
    bytes[at++] = 0;
    at = writeVarint(bytes, at, timeDelta);
    at = writeVarint(bytes, at, this.#count++);
    at = writeBlob(bytes, at, key);
    this.#at = writeVarint(bytes, at, size);
  }

  #end(headers: readonly BatchRecordHeader[] | undefined): void {
    if (!headers || headers.length === 0) {
      this.#bytes[this.#at++] = 0;
      return;
    }
    let at = writeVarint(this.#bytes, this.#at, headers.length);
    for (const { key, value } of headers) {
      at = writeName(this.#bytes, at, key);
      at = writeBlob(this.#bytes, at, value);
    }
    this.#at = at;
  }

  /** Times count from the first record's. */
  #timeDelta(timeMs: number | undefined): number {
    if (timeMs === undefined && !this.#ownTimes) return 0;
    const time = timeMs ?? this.#nowMs;
    if (!this.#ownTimes) {
      this.#ownTimes = true;
      if (this.#count === 0) this.#baseTimeMs = this.#maxTimeMs = time;
    }
    if (time > this.#maxTimeMs) this.#maxTimeMs = time;
    return time - this.#baseTimeMs;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

function headersSize(headers: readonly BatchRecordHeader[]): number {
  let size = varintSize(headers.length);
  for (const { key, value } of headers) {
    const nameBytes = Buffer.byteLength(key);
    size += varintSize(nameBytes) + nameBytes;
    size += value ? varintSize(value.length) + value.length : 1;
  }
  return size;
}

function writeBlob(target: Uint8Array, at: number, blob: Uint8Array | null): number {
  if (!blob) return writeVarint(target, at, -1);
  at = writeVarint(target, at, blob.length);
  if (blob.length > SHORT_TEXT) target.set(blob, at);
  else for (let index = 0; index < blob.length; index++) target[at + index] = blob[index]!;
  return at + blob.length;
}

function writeName(target: Buffer, at: number, name: string): number {
  const start = at;
  if (name.length <= SHORT_TEXT) {
    at = writeVarint(target, at, name.length);
    let index = 0;
    for (; index < name.length; index++) {
      const code = name.charCodeAt(index);
      if (code > 127) break;
      target[at + index] = code;
    }
    if (index === name.length) return at + index;
  }
  at = writeVarint(target, start, Buffer.byteLength(name));
  return at + target.write(name, at);
}

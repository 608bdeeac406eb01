import { varintSize, writeInt16, writeInt32, writeInt64, writeVarint } from './bytes.ts';
import { compressNow } from './compression.ts';
import {
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  batchInvalid,
  COMPRESSIONS,
  type Compression,
  readBatchHeader,
  writeCrc,
} from './header.ts';

export interface BatchRecord {
  readonly key?: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly BatchRecordHeader[];
  /** Milliseconds since the epoch; the batch's `timeMs` unless given. */
  readonly timeMs?: number;
}

export interface BatchRecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

export interface BatchOptions {
  /** Time of the records that have none of their own. */
  readonly timeMs: number;
  readonly baseOffset?: number;
  readonly producer?: {
    readonly producerId: number;
    readonly epoch: number;
    /** Sequence of the first record. */
    readonly sequence: number;
  };
  readonly transactional?: boolean;
  readonly control?: boolean;
  /** Offsets relative to the base, ascending, one a record, for batches with gaps (compaction). */
  readonly offsetDeltas?: readonly number[];
  /** Keeps the last offset of a batch whose last records, or all of them, are gone. */
  readonly lastOffsetDelta?: number;
}

const NO_HEADERS: readonly BatchRecordHeader[] = [];
const headerName = new TextEncoder();

function blobSize(blob: Uint8Array | null | undefined): number {
  return blob ? varintSize(blob.length) + blob.length : 1;
}

function headersSize(headers: readonly BatchRecordHeader[]): number {
  let size = varintSize(headers.length);
  for (const header of headers) {
    const nameBytes = Buffer.byteLength(header.key);
    size += varintSize(nameBytes) + nameBytes + blobSize(header.value);
  }
  return size;
}

/** Copies short blobs in a loop: a call of `set` costs more than 24 single bytes. */
function writeBlob(target: Uint8Array, at: number, blob: Uint8Array | null | undefined): number {
  if (!blob) return writeVarint(target, at, -1);
  at = writeVarint(target, at, blob.length);
  if (blob.length > 24) target.set(blob, at);
  else for (let index = 0; index < blob.length; index++) target[at + index] = blob[index]!;
  return at + blob.length;
}

function writeHeaders(target: Uint8Array, at: number, headers: readonly BatchRecordHeader[]): number {
  at = writeVarint(target, at, headers.length);
  for (const header of headers) {
    at = writeBlob(target, at, headerName.encode(header.key));
    at = writeBlob(target, at, header.value);
  }
  return at;
}

/**
 * One RecordBatch v2 of `records` in one buffer of exactly its size, uncompressed, with its CRC. Offsets are counted from
 * `baseOffset` (the log stamps it over). Throws BATCH_INVALID for an empty batch without `lastOffsetDelta`.
 */
export function encodeBatch(records: readonly BatchRecord[], options: BatchOptions): Uint8Array {
  const count = records.length;
  if (count === 0 && options.lastOffsetDelta === undefined) throw batchInvalid('it has no records');
  const baseTimeMs = records[0]?.timeMs ?? options.timeMs;
  const bodies = new Array<number>(count);
  let maxTimeMs = baseTimeMs;
  let size = BATCH_HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const record = records[index]!;
    const timeMs = record.timeMs ?? options.timeMs;
    if (timeMs > maxTimeMs) maxTimeMs = timeMs;
    const delta = options.offsetDeltas?.[index] ?? index;
    const headers = record.headers ?? NO_HEADERS;
    const body =
      1 + varintSize(timeMs - baseTimeMs) + varintSize(delta) + blobSize(record.key) + blobSize(record.value);
    bodies[index] = body + (headers.length > 0 ? headersSize(headers) : 1);
    size += varintSize(bodies[index]!) + bodies[index]!;
  }
  const batch = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  let at = BATCH_HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const record = records[index]!;
    at = writeVarint(batch, at, bodies[index]!);
    batch[at++] = 0;
    at = writeVarint(batch, at, (record.timeMs ?? options.timeMs) - baseTimeMs);
    at = writeVarint(batch, at, options.offsetDeltas?.[index] ?? index);
    at = writeBlob(batch, at, record.key);
    at = writeBlob(batch, at, record.value);
    at = writeHeaders(batch, at, record.headers ?? NO_HEADERS);
  }
  const lastOffsetDelta = options.lastOffsetDelta ?? options.offsetDeltas?.at(-1) ?? count - 1;
  writeBatchHeader(batch, options, { count, baseTimeMs, maxTimeMs, lastOffsetDelta });
  return batch;
}

/** The same batch with its records compressed, by this thread. */
export function packBatch(plain: Uint8Array, compression: Exclude<Compression, 'none'>): Uint8Array {
  const records = compressNow(plain.subarray(BATCH_HEADER_BYTES), compression);
  const batch = new Uint8Array(BATCH_HEADER_BYTES + records.length);
  batch.set(plain.subarray(0, BATCH_HEADER_BYTES));
  batch.set(records, BATCH_HEADER_BYTES);
  writeInt32(batch, 8, batch.length - BATCH_PREFIX_BYTES);
  batch[22] = (plain[22]! & ~7) | COMPRESSIONS.indexOf(compression);
  writeCrc(batch, 0);
  return batch;
}

/**
 * The batch with some of its records alone, as they are: they tell their offsets and times from the batch's first, which
 * stay. `parts` are uncompressed records, whole and in order; what comes out is not compressed.
 */
export function keepRecords(
  batch: Uint8Array,
  parts: readonly Uint8Array[],
  { count, maxTimestampMs }: { readonly count: number; readonly maxTimestampMs: number },
): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, BATCH_HEADER_BYTES);
  const kept = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  kept.set(batch.subarray(0, BATCH_HEADER_BYTES));
  let at = BATCH_HEADER_BYTES;
  for (const part of parts) {
    kept.set(part, at);
    at += part.length;
  }
  writeInt32(kept, 8, size - BATCH_PREFIX_BYTES);
  kept[22] = batch[22]! & ~7;
  writeInt64(kept, 35, maxTimestampMs);
  writeInt32(kept, 57, count);
  writeCrc(kept, 0);
  return kept;
}

/** The batch with its records packed so, by this thread; `records` are the decompressed ones of a compressed batch. */
export function repackBatch(
  batch: Uint8Array,
  records: Uint8Array | undefined,
  compression: Compression,
): Uint8Array {
  const { recordCount: count, maxTimestampMs } = readBatchHeader(batch);
  const plain = records ? keepRecords(batch, [records], { count, maxTimestampMs }) : batch;
  return compression === 'none' ? plain : packBatch(plain, compression);
}

export interface BatchSummary {
  readonly count: number;
  readonly baseTimeMs: number;
  readonly maxTimeMs: number;
  readonly lastOffsetDelta: number;
}

/** Fills in the header of a batch whose records stand in their place, with its CRC. */
export function writeBatchHeader(batch: Uint8Array, options: BatchOptions, summary: BatchSummary): void {
  writeInt64(batch, 0, options.baseOffset ?? 0);
  writeInt32(batch, 8, batch.length - BATCH_PREFIX_BYTES);
  writeInt32(batch, 12, 0);
  batch[16] = 2;
  writeInt16(batch, 21, (options.transactional ? 16 : 0) | (options.control ? 32 : 0));
  writeInt32(batch, 23, summary.lastOffsetDelta);
  writeInt64(batch, 27, summary.baseTimeMs);
  writeInt64(batch, 35, summary.maxTimeMs);
  writeInt64(batch, 43, options.producer?.producerId ?? -1);
  writeInt16(batch, 51, options.producer?.epoch ?? -1);
  writeInt32(batch, 53, options.producer?.sequence ?? -1);
  writeInt32(batch, 57, summary.count);
  writeCrc(batch, 0);
}

/**
 * A control batch that ends a transaction (Kafka's EndTxnMarker): key int16 version 0, int16 type (0 abort, 1 commit);
 * value int16 version 0, int32 coordinator epoch.
 */
export function encodeMarker(
  outcome: 'commit' | 'abort',
  producer: { readonly producerId: number; readonly epoch: number },
  timeMs: number,
): Uint8Array {
  const key = new Uint8Array([0, 0, 0, outcome === 'commit' ? 1 : 0]);
  return encodeBatch([{ key, value: new Uint8Array(6) }], {
    timeMs,
    producer: { ...producer, sequence: -1 },
    transactional: true,
    control: true,
  });
}

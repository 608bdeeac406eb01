import { MillraceError } from '../../kernel/index.ts';
import { readInt16, readInt32, readInt64, writeInt16, writeInt32, writeInt64 } from './bytes.ts';
import { crc32c, crc32cChanged } from './crc32c.ts';

/**
 * The header of a RecordBatch, magic 2 (Kafka protocol guide, "Record Batch"):
 *
 *    0 baseOffset int64          21 attributes int16         43 producerId int64
 *    8 batchLength int32         23 lastOffsetDelta int32    51 producerEpoch int16
 *   12 leaderEpoch int32         27 baseTimestamp int64      53 baseSequence int32
 *   16 magic int8                35 maxTimestamp int64       57 recordCount int32
 *   17 crc uint32                                            61 records
 *
 * batchLength counts from byte 12; the CRC-32C covers byte 21 to the end, so base offset and leader epoch can change.
 * Attributes: bits 0-2 compression, 3 timestamp type (1: time of append), 4 transactional, 5 control, 6 delete horizon.
 */
export const BATCH_HEADER_BYTES = 61;
/** From the base offset to the end of the length. */
export const BATCH_PREFIX_BYTES = 12;
const CRC_FROM = 21;
/** Attributes to base sequence: all that says whose a batch is lies within. */
const PRODUCER_END = 57;
/** A record takes at least: length, attributes, timestamp delta, offset delta, key length, value length, header count. */
const SMALLEST_RECORD_BYTES = 7;

export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export interface BatchHeader {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** The whole batch, from the base offset to the last record. */
  readonly sizeBytes: number;
  readonly leaderEpoch: number;
  readonly crc: number;
  readonly attributes: number;
  readonly compression: Compression;
  readonly timestampType: 'create' | 'append';
  readonly transactional: boolean;
  readonly control: boolean;
  readonly lastOffsetDelta: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
  /** -1 for a producer that is not idempotent; then epoch and sequence are -1 too. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
}

export function batchInvalid(detail: string): MillraceError {
  return new MillraceError(
    'BATCH_INVALID',
    `The record batch is malformed: ${detail}. Send whole batches in format 2.`,
  );
}

/** Size of the batch that begins at `position`, or undefined when fewer bytes than its prefix are there. */
export function batchSizeAt(bytes: Uint8Array, position: number): number | undefined {
  if (position + BATCH_PREFIX_BYTES > bytes.length) return undefined;
  return readInt32(bytes, position + 8) + BATCH_PREFIX_BYTES;
}

/** Reads and checks every field of the header but the CRC (`crcMatches`). Throws BATCH_INVALID. */
export function readBatchHeader(bytes: Uint8Array, position = 0): BatchHeader {
  if (bytes.length - position < BATCH_HEADER_BYTES) throw batchInvalid('it ends within its header');
  const sizeBytes = readInt32(bytes, position + 8) + BATCH_PREFIX_BYTES;
  if (bytes[position + 16] !== 2) throw batchInvalid(`its magic is ${bytes[position + 16]}, not 2`);
  if (sizeBytes < BATCH_HEADER_BYTES || sizeBytes > bytes.length - position) {
    throw batchInvalid(`it says that it has ${sizeBytes} bytes where ${bytes.length - position} are`);
  }
  const attributes = readInt16(bytes, position + 21);
  const baseOffset = readInt64(bytes, position);
  const lastOffsetDelta = readInt32(bytes, position + 23);
  const header: BatchHeader = {
    baseOffset,
    lastOffset: baseOffset + lastOffsetDelta,
    sizeBytes,
    leaderEpoch: readInt32(bytes, position + 12),
    crc: readInt32(bytes, position + 17) >>> 0,
    attributes,
    compression: COMPRESSIONS[attributes & 7] ?? 'none',
    timestampType: attributes & 8 ? 'append' : 'create',
    transactional: (attributes & 16) !== 0,
    control: (attributes & 32) !== 0,
    lastOffsetDelta,
    baseTimestampMs: readInt64(bytes, position + 27),
    maxTimestampMs: readInt64(bytes, position + 35),
    producerId: readInt64(bytes, position + 43),
    producerEpoch: readInt16(bytes, position + 51),
    baseSequence: readInt32(bytes, position + 53),
    recordCount: readInt32(bytes, position + 57),
  };
  checkHeader(header);
  return header;
}

const isSafe = (value: number): boolean => value >= -1 && value <= Number.MAX_SAFE_INTEGER / 2;

function checkHeader(header: BatchHeader): void {
  if ((header.attributes & 7) >= COMPRESSIONS.length) {
    throw batchInvalid(`its compression ${header.attributes & 7} is not known`);
  }
  if (header.lastOffsetDelta < 0) throw batchInvalid('its last offset delta is negative');
  if (!isSafe(header.baseOffset) || header.baseOffset < 0)
    throw batchInvalid('its base offset is out of range');
  if (!isSafe(header.baseTimestampMs) || !isSafe(header.maxTimestampMs)) {
    throw batchInvalid('its timestamps are out of range');
  }
  if (!isSafe(header.producerId)) throw batchInvalid('its producer id is out of range');
  if (header.recordCount < 0 || header.recordCount > header.lastOffsetDelta + 1) {
    throw batchInvalid(`${header.recordCount} records do not fit ${header.lastOffsetDelta + 1} offsets`);
  }
  const room = header.sizeBytes - BATCH_HEADER_BYTES;
  if (header.compression === 'none' && header.recordCount * SMALLEST_RECORD_BYTES > room) {
    throw batchInvalid(`${header.recordCount} records do not fit ${room} bytes`);
  }
}

/** Whether the CRC in the header is that of the bytes. */
export function crcMatches(bytes: Uint8Array, position = 0): boolean {
  const end = position + readInt32(bytes, position + 8) + BATCH_PREFIX_BYTES;
  if (end > bytes.length || end < position + BATCH_HEADER_BYTES) return false;
  return crc32c(bytes, position + CRC_FROM, end) === readInt32(bytes, position + 17) >>> 0;
}

/** Stamps where the batch lands. Outside the CRC: nothing else changes. */
export function setBaseOffset(
  bytes: Uint8Array,
  position: number,
  baseOffset: number,
  leaderEpoch = 0,
): void {
  writeInt64(bytes, position, baseOffset);
  writeInt32(bytes, position + 12, leaderEpoch);
}

/** Stamps the time of append over the maximum and sets bit 3, then renews the CRC. */
export function setAppendTime(bytes: Uint8Array, position: number, timeMs: number): void {
  writeInt16(bytes, position + 21, readInt16(bytes, position + 21) | 8);
  writeInt64(bytes, position + 35, timeMs);
  writeCrc(bytes, position);
}

/**
 * Makes the batch at the start of `bytes` one of a producer, or of its transaction. The CRC changes with it and is not made
 * anew: records that are damaged stay so, and large batches cost no more than small ones.
 */
export function setProducer(
  bytes: Uint8Array,
  producer: { readonly producerId: number; readonly epoch: number; readonly sequence: number },
  transactional = false,
): void {
  const change = Uint8Array.from(bytes.subarray(CRC_FROM, PRODUCER_END));
  writeInt16(bytes, 21, (readInt16(bytes, 21) & ~16) | (transactional ? 16 : 0));
  writeInt64(bytes, 43, producer.producerId);
  writeInt16(bytes, 51, producer.epoch);
  writeInt32(bytes, 53, producer.sequence);
  for (let index = 0; index < change.length; index++) change[index]! ^= bytes[CRC_FROM + index]!;
  const behind = readInt32(bytes, 8) + BATCH_PREFIX_BYTES - PRODUCER_END;
  writeInt32(bytes, 17, crc32cChanged(readInt32(bytes, 17), change, behind));
}

/** Computes and writes the CRC of the batch at `position`. */
export function writeCrc(bytes: Uint8Array, position: number): void {
  const end = position + readInt32(bytes, position + 8) + BATCH_PREFIX_BYTES;
  writeInt32(bytes, position + 17, crc32c(bytes, position + CRC_FROM, end));
}

export interface BatchSpan {
  readonly position: number;
  readonly header: BatchHeader;
}

/** The batches in `bytes`, back to back. Throws BATCH_INVALID when they do not fill it exactly. */
export function* splitBatches(bytes: Uint8Array): Generator<BatchSpan, void, undefined> {
  for (let position = 0; position < bytes.length; ) {
    const header = readBatchHeader(bytes, position);
    yield { position, header };
    position += header.sizeBytes;
  }
}

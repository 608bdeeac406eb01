import { readInt32, readInt64, varintSize, writeVarint } from './bytes.ts';
import { writeBatchHeader } from './encode.ts';
import { BATCH_HEADER_BYTES, type BatchHeader, batchInvalid, readBatchHeader } from './header.ts';

/** Most bytes that a record can grow by when its deltas are written anew. */
const GROWTH_BYTES = 16;

/** Whether `mergeBatches` takes it: plain records with times of their own, of no producer. */
export function isMergeable(header: BatchHeader): boolean {
  const { compression, timestampType, transactional, control, producerId } = header;
  return compression === 'none' && timestampType === 'create' && !transactional && !control && producerId < 0;
}

/**
 * One batch with the records of several in their order, copied but not decoded: only the deltas of time and offset in front
 * of each are written anew. It stands in `room` where that is given and large enough. Throws BATCH_INVALID.
 */
export function mergeBatches(batches: readonly Uint8Array[], room?: Uint8Array): Uint8Array {
  if (batches.length === 1) return batches[0]!;
  const headers = batches.map((batch) => readBatchHeader(batch));
  const count = headers.reduce((sum, header) => sum + header.recordCount, 0);
  const bytes = batches.reduce((sum, batch) => sum + batch.length, BATCH_HEADER_BYTES + count * GROWTH_BYTES);
  const merged = room && room.length >= bytes ? room : new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
  const baseTimeMs = headers[0]!.baseTimestampMs;
  let maxTimeMs = headers[0]!.maxTimestampMs;
  let at = BATCH_HEADER_BYTES;
  let offsets = 0;
  batches.forEach((batch, index) => {
    const header = headers[index]!;
    at = copyRecords(batch, merged, at, {
      count: header.recordCount,
      timeShiftMs: readInt64(batch, 27) - baseTimeMs,
      offsetShift: offsets,
    });
    offsets += header.lastOffsetDelta + 1;
    maxTimeMs = Math.max(maxTimeMs, header.maxTimestampMs);
  });
  const whole = merged.subarray(0, at);
  writeBatchHeader(
    whole,
    { timeMs: baseTimeMs },
    { count, baseTimeMs, maxTimeMs, lastOffsetDelta: offsets - 1 },
  );
  return whole;
}

interface Shift {
  readonly count: number;
  readonly timeShiftMs: number;
  readonly offsetShift: number;
}

/** A record is: length, attributes, delta of time, delta of offset, and what stays as it is. */
function copyRecords(from: Uint8Array, to: Uint8Array, at: number, shift: Shift): number {
  const end = readInt32(from, 8) + 12;
  const reading = { at: BATCH_HEADER_BYTES };
  for (let index = 0; index < shift.count; index++) {
    const length = readVarint(from, reading);
    const recordEnd = reading.at + length;
    if (length < 6 || recordEnd > end) throw batchInvalid('a record is longer than what is left');
    const attributes = from[reading.at++]!;
    const timeDelta = readVarint(from, reading) + shift.timeShiftMs;
    const offsetDelta = readVarint(from, reading) + shift.offsetShift;
    const rest = recordEnd - reading.at;
    at = writeVarint(to, at, 1 + varintSize(timeDelta) + varintSize(offsetDelta) + rest);
    to[at++] = attributes;
    at = writeVarint(to, at, timeDelta);
    at = writeVarint(to, at, offsetDelta);
    to.set(from.subarray(reading.at, recordEnd), at);
    at += rest;
    reading.at = recordEnd;
  }
  return at;
}

function readVarint(bytes: Uint8Array, reading: { at: number }): number {
  let value = 0;
  let scale = 1;
  for (let size = 0; size < 10; size++) {
    const byte = bytes[reading.at++];
    if (byte === undefined) break;
    value += (byte & 127) * scale;
    if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    scale *= 128;
  }
  throw batchInvalid('a varint does not end');
}

import { isMillraceError } from '../../kernel/index.ts';
import type { DiskFile } from '../disk.port.ts';
import { readInt64 } from '../record-batch/bytes.ts';
import {
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  type BatchHeader,
  batchSizeAt,
  crcMatches,
  readBatchHeader,
} from '../record-batch/index.ts';
import type { Segment } from './segment.ts';

/** One batch of a segment, or the place where there should be one. */
export type BatchAt =
  | {
      readonly kind: 'batch';
      readonly header: BatchHeader;
      readonly position: number;
      readonly bytes: Uint8Array;
      readonly at: number;
    }
  | {
      readonly kind: 'damage';
      readonly position: number;
      readonly nextPosition: number;
      readonly detail: string;
      readonly header: BatchHeader | undefined;
    };

const CHUNK_BYTES = 1024 * 1024;

function goodHeader(bytes: Uint8Array, at: number, segment: Segment): BatchHeader | undefined {
  try {
    // Only the header's own fields matter here: a batch longer than what is left is told by its size before.
    const header = readBatchHeader(bytes, at);
    const belongs = header.baseOffset >= segment.baseOffset && header.lastOffset < segment.endOffset;
    // The CRC leaves the leader epoch out; the log always writes 0.
    return belongs && header.leaderEpoch === 0 ? header : undefined;
  } catch (error) {
    if (isMillraceError(error, 'BATCH_INVALID')) return undefined;
    throw error;
  }
}

function isInPlace(bytes: Uint8Array, at: number, header: BatchHeader, expected: number): boolean {
  if (expected < 0 || header.baseOffset === expected) return true;
  return header.baseOffset > expected && !overlapsNext(bytes, at, header.sizeBytes, header.lastOffset);
}

/** Position of the next batch after `from` that is whole and matches its CRC; the segment's end when there is none. */
async function findNextBatch(
  file: DiskFile,
  segment: Segment,
  from: number,
  afterOffset: number,
): Promise<number> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let position = from; position < segment.bytes; position += CHUNK_BYTES - BATCH_HEADER_BYTES) {
    const filled = Math.min(await file.read(chunk, position), segment.bytes - position);
    for (let at = 0; at + BATCH_HEADER_BYTES <= filled; at++) {
      if (chunk[at + 16] !== 2 || chunk[at] !== 0) continue;
      const size = batchSizeAt(chunk, at)!;
      if (size < BATCH_HEADER_BYTES || position + at + size > segment.bytes) continue;
      const whole = new Uint8Array(size);
      await file.read(whole, position + at);
      const header = goodHeader(whole, 0, segment);
      if (header && header.baseOffset >= afterOffset && crcMatches(whole)) return position + at;
    }
  }
  return segment.bytes;
}

/**
 * Whether a batch that leaves a gap before it is told wrong by the one behind it. The CRC leaves the base offset out: one
 * that was raised by damage reaches over the offsets of the next batch.
 */
export function overlapsNext(bytes: Uint8Array, at: number, sizeBytes: number, lastOffset: number): boolean {
  const next = at + sizeBytes;
  if (next + BATCH_HEADER_BYTES > bytes.length || bytes[next + 16] !== 2) return false;
  return readInt64(bytes, next) <= lastOffset;
}

/**
 * The batches of a segment from `position` on, each with its CRC checked (unless `check` is false). Damage is yielded, and
 * reading goes on behind it. `expected` is the offset that `position` should have, -1 when nobody knows. Yielded bytes are a chunk's that the next step may not keep, unless the caller copies.
 */
export async function* readBatches(
  file: DiskFile,
  segment: Segment,
  position: number,
  endPosition = segment.bytes,
  check = true,
  expected = position === 0 ? segment.baseOffset : -1,
): AsyncGenerator<BatchAt, void, undefined> {
  while (position < endPosition) {
    let bytes = new Uint8Array(Math.min(CHUNK_BYTES, segment.bytes - position));
    const filled = await file.read(bytes, position);
    const size = batchSizeAt(bytes, 0);
    if (size !== undefined && size > bytes.length && position + size <= segment.bytes) {
      bytes = new Uint8Array(size);
      await file.read(bytes, position);
    } else if (filled < bytes.length) bytes = bytes.subarray(0, filled);
    let at = 0;
    while (at < bytes.length && position + at < endPosition) {
      const next = batchSizeAt(bytes, at);
      const beyond = next === undefined || at + next > bytes.length;
      if (beyond && at > 0 && position + at + (next ?? BATCH_PREFIX_BYTES) <= segment.bytes) break;
      const header = beyond ? undefined : goodHeader(bytes, at, segment);
      if (header && isInPlace(bytes, at, header, expected) && (!check || crcMatches(bytes, at))) {
        yield { kind: 'batch', header, position: position + at, bytes, at };
        expected = header.lastOffset + 1;
        at += header.sizeBytes;
        continue;
      }
      const nextPosition = await findNextBatch(file, segment, position + at + 1, expected);
      const detail = header
        ? 'A batch does not match its checksum.'
        : 'The header of a batch makes no sense.';
      yield { kind: 'damage', position: position + at, nextPosition, detail, header };
      at = nextPosition - position;
    }
    if (at === 0) return;
    position += at;
  }
}

import { readInt32, readInt64, writeInt32, writeInt64 } from '../record-batch/bytes.ts';
import { crc32c, crcMatches } from '../record-batch/index.ts';

/**
 * One frame of the write-ahead file holds one group: everything that one sync makes durable. Big-endian.
 *
 *   head   0 magic 'MWF1'   4 salt   8 sequence int64   16 length of the frame   20 count of entries
 *          24 CRC-32C of bytes 0-23 and of the table   28 zero
 *   table  per entry: 0 kind   4 topic number   8 partition   12 length   16 base offset int64   24 CRC-32C
 *          28 last offset delta, so that a damaged batch still says which offsets are lost
 *   then the entries' bytes back to back
 *
 * F1 No byte is summed twice: a batch is covered by the CRC that it carries, repeated in the table, and by the table's base
 *    offset and length for the bytes that its own CRC leaves out; metadata is covered by the CRC in the table.
 * F2 Sequences grow by one from frame to frame through all files, so a hole and a stale frame of a recycled file both show.
 */
export const FRAME_HEAD_BYTES = 32;
export const ENTRY_BYTES = 32;
const MAGIC = 0x4d574631;

export type EntryKind = 'batch' | 'metadata';

export interface FrameEntry {
  readonly kind: EntryKind;
  readonly topicNumber: number;
  readonly partition: number;
  readonly baseOffset: number;
  readonly bytes: Uint8Array;
}

export interface FrameId {
  readonly salt: number;
  readonly sequence: number;
}

export function frameBytes(entries: readonly FrameEntry[]): number {
  let total = FRAME_HEAD_BYTES + entries.length * ENTRY_BYTES;
  for (const entry of entries) total += entry.bytes.length;
  return total;
}

/** Writes head and table into `target` (at least `FRAME_HEAD_BYTES + ENTRY_BYTES * entries`). */
export function writeFrameHead(
  target: Uint8Array,
  id: FrameId,
  entries: readonly FrameEntry[],
  totalBytes: number,
): number {
  const size = FRAME_HEAD_BYTES + entries.length * ENTRY_BYTES;
  writeInt32(target, 0, MAGIC);
  writeInt32(target, 4, id.salt);
  writeInt64(target, 8, id.sequence);
  writeInt32(target, 16, totalBytes);
  writeInt32(target, 20, entries.length);
  let at = FRAME_HEAD_BYTES;
  for (const entry of entries) {
    writeInt32(target, at, entry.kind === 'batch' ? 0 : 1);
    writeInt32(target, at + 4, entry.topicNumber);
    writeInt32(target, at + 8, entry.partition);
    writeInt32(target, at + 12, entry.bytes.length);
    writeInt64(target, at + 16, entry.baseOffset);
    writeInt32(target, at + 24, entry.kind === 'batch' ? readInt32(entry.bytes, 17) : crc32c(entry.bytes));
    writeInt32(target, at + 28, entry.kind === 'batch' ? readInt32(entry.bytes, 23) : 0);
    at += ENTRY_BYTES;
  }
  writeInt32(target, 24, headCrc(target, 0, size));
  writeInt32(target, 28, 0);
  return size;
}

function headCrc(bytes: Uint8Array, at: number, size: number): number {
  return crc32c(bytes, at + FRAME_HEAD_BYTES, at + size, crc32c(bytes, at, at + 24));
}

export interface FrameHead extends FrameId {
  readonly position: number;
  readonly lengthBytes: number;
  readonly count: number;
}

/** The head of a frame at `position`, or undefined when none is there whole or its CRC does not match. */
export function readFrameHead(bytes: Uint8Array, position: number): FrameHead | undefined {
  if (position + FRAME_HEAD_BYTES > bytes.length || readInt32(bytes, position) !== MAGIC) return undefined;
  const lengthBytes = readInt32(bytes, position + 16) >>> 0;
  const count = readInt32(bytes, position + 20) >>> 0;
  const tableEnd = FRAME_HEAD_BYTES + count * ENTRY_BYTES;
  if (tableEnd > lengthBytes || position + tableEnd > bytes.length) return undefined;
  if (headCrc(bytes, position, tableEnd) !== readInt32(bytes, position + 24) >>> 0) return undefined;
  if (readInt32(bytes, position + 28) !== 0) return undefined;
  const salt = readInt32(bytes, position + 4) >>> 0;
  return { salt, sequence: readInt64(bytes, position + 8), position, lengthBytes, count };
}

export interface ReadEntry extends FrameEntry {
  readonly position: number;
  readonly lastOffset: number;
  /** False: its bytes are not those that were written. */
  readonly intact: boolean;
}

/** The entries of a frame whose head is good; entries past the end of `bytes` are not intact. */
export function readFrameEntries(bytes: Uint8Array, head: FrameHead): ReadEntry[] {
  const entries: ReadEntry[] = [];
  let position = head.position + FRAME_HEAD_BYTES + head.count * ENTRY_BYTES;
  for (let index = 0; index < head.count; index++) {
    const at = head.position + FRAME_HEAD_BYTES + index * ENTRY_BYTES;
    const length = readInt32(bytes, at + 12) >>> 0;
    const body = bytes.subarray(position, position + length);
    const entry = {
      kind: readInt32(bytes, at) === 0 ? ('batch' as const) : ('metadata' as const),
      topicNumber: readInt32(bytes, at + 4) >>> 0,
      partition: readInt32(bytes, at + 8) >>> 0,
      baseOffset: readInt64(bytes, at + 16),
      bytes: body,
      position,
    };
    const intact = body.length === length && isIntact(entry, readInt32(bytes, at + 24));
    const lastOffset = entry.baseOffset + readInt32(bytes, at + 28);
    entries.push({ ...entry, lastOffset, intact });
    position += length;
  }
  return entries;
}

function isIntact(entry: FrameEntry, crc: number): boolean {
  const { bytes } = entry;
  if (entry.kind === 'metadata') return crc32c(bytes) === crc >>> 0;
  return (
    bytes.length > 61 &&
    readInt64(bytes, 0) === entry.baseOffset &&
    readInt32(bytes, 8) === bytes.length - 12 &&
    readInt32(bytes, 12) === 0 &&
    bytes[16] === 2 &&
    readInt32(bytes, 17) === crc &&
    crcMatches(bytes)
  );
}

/** Position of the next good frame head at or after `from` whose sequence is above `sequence`; undefined without one. */
export function findNextFrame(bytes: Uint8Array, from: number, sequence: number): FrameHead | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = view.indexOf('MWF1', from, 'latin1'); at >= 0; at = view.indexOf('MWF1', at + 1, 'latin1')) {
    const head = readFrameHead(bytes, at);
    if (head && head.sequence > sequence) return head;
  }
  return undefined;
}

import { BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES } from '../../streams/index.ts';
import { keyText, type Slab } from './slab.ts';
import type { PartitionQueue, Work } from './types.ts';

export function emptyWork(queue: PartitionQueue): Work {
  return { queue, slabs: [], indexes: [], locks: [], texts: [], bytes: 0 };
}

export function pick(work: Work, slab: Slab, index: number): void {
  work.slabs.push(slab);
  work.indexes.push(index);
  work.bytes += slab.ends[index]! - slab.starts[index]!;
}

export const sizeOf = (work: Work): number => work.indexes.length;

export function offsetAt(work: Work, at: number): number {
  return work.slabs[at]!.offsets[work.indexes[at]!]!;
}

/** The key as `keyText` says, made once for all who ask: the state that is sent along and the writes that come back. */
export function keyTextAt(work: Work, at: number): string | null {
  let text = work.texts[at];
  if (text === undefined) work.texts[at] = text = keyText(work.slabs[at]!, work.indexes[at]!);
  return text;
}

/** The records at `positions` of `work`; the keys stay with `work`. */
export function part(work: Work, positions: Iterable<number>): Work {
  const taken = emptyWork(work.queue);
  for (const at of positions) pick(taken, work.slabs[at]!, work.indexes[at]!);
  return taken;
}

/** Sorts by offset. Records of one key are in that order already, whatever they waited for. */
export function sortWork(work: Work): void {
  work.texts.length = 0;
  const order = work.indexes.map((_, at) => at).sort((a, b) => offsetAt(work, a) - offsetAt(work, b));
  const { slabs, indexes } = part(work, order);
  for (let at = 0; at < order.length; at++) {
    work.slabs[at] = slabs[at]!;
    work.indexes[at] = indexes[at]!;
  }
}

/** Where a batch of the result begins in `work`, and the bytes of its records. */
interface Piece {
  readonly from: number;
  to: number;
  recordBytes: number;
}

function piecesOf(work: Work): Piece[] {
  const pieces: Piece[] = [];
  let piece: Piece | undefined;
  for (let at = 0; at < work.indexes.length; at++) {
    const slab = work.slabs[at]!;
    const index = work.indexes[at]!;
    const recordBytes = slab.ends[index]! - slab.starts[index]!;
    const before = at - 1;
    const joins =
      piece && work.slabs[before] === slab && slab.batchAt[index] === slab.batchAt[work.indexes[before]!];
    if (piece && joins) {
      piece.to = at + 1;
      piece.recordBytes += recordBytes;
    } else pieces.push((piece = { from: at, to: at + 1, recordBytes }));
  }
  return pieces;
}

/** Copies records `[from, to)`, neighbours at once; returns the position after them. */
function copyRecords(work: Work, from: number, to: number, target: Uint8Array, position: number): number {
  const slab = work.slabs[from]!;
  for (let at = from; at < to; ) {
    const start = slab.starts[work.indexes[at]!]!;
    let next = at + 1;
    while (next < to && work.indexes[next] === work.indexes[next - 1]! + 1) next++;
    const end = slab.ends[work.indexes[next - 1]!]!;
    target.set(slab.bytes.subarray(start, end), position);
    position += end - start;
    at = next;
  }
  return position;
}

/**
 * The records as RecordBatch v2 in a buffer of their own. A part of a batch keeps its header with another length and count:
 * base offset, base time and last offset delta stay, so offsets and times are unchanged. The CRC is not renewed.
 */
export function encodeWork(work: Work): Uint8Array<ArrayBuffer> {
  const pieces = piecesOf(work);
  const size = pieces.reduce((sum, piece) => sum + BATCH_HEADER_BYTES + piece.recordBytes, 0);
  const target = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  const view = new DataView(target.buffer);
  let position = 0;
  for (const { from, to, recordBytes } of pieces) {
    const slab = work.slabs[from]!;
    const batchAt = slab.batchAt[work.indexes[from]!]!;
    target.set(slab.bytes.subarray(batchAt, batchAt + BATCH_HEADER_BYTES), position);
    view.setInt32(position + 8, BATCH_HEADER_BYTES + recordBytes - BATCH_PREFIX_BYTES);
    view.setInt32(position + 57, to - from);
    position = copyRecords(work, from, to, target, position + BATCH_HEADER_BYTES);
  }
  return target;
}

import { BATCH_HEADER_BYTES, type BatchHeader, splitBatches } from '../../streams/index.ts';

/** What became of a record. Done is what a commit that was handed to the log covers. */
export const PENDING = 0;
export const DONE = 1;

/**
 * The records of one fetch, by column: where each begins and ends, its offset, and its key's place and hash. Values stay
 * unread bytes. One slab per fetch and not one object per record, since hundreds of thousands pass per second.
 */
export interface Slab {
  /** Emptied when all records are done. */
  bytes: Uint8Array;
  /** The same bytes, as what makes strings of them fastest. */
  text: Buffer;
  readonly sizeBytes: number;
  readonly count: number;
  readonly offsets: Float64Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly batchAt: Uint32Array;
  readonly keyAt: Uint32Array;
  /** -1: no key. */
  readonly keyLength: Int32Array;
  readonly keyHash: Int32Array;
  readonly status: Uint8Array;
  done: number;
  /** When it was read, by the monotonic clock. */
  arrivedMs: number;
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a. Only tells keys apart that must not wait for each other: two keys of one hash merely keep an order they need not. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = FNV_OFFSET;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, FNV_PRIME);
  return hash | 0;
}

/** A position that walks over varints; one object per fetch. */
interface Walk {
  at: number;
}

/** A zigzag varint that fits 32 bits. */
function varint(bytes: Uint8Array, walk: Walk): number {
  let shift = 0;
  let value = 0;
  for (;;) {
    const byte = bytes[walk.at++]!;
    value |= (byte & 127) << shift;
    if (byte < 128) break;
    shift += 7;
  }
  return (value >>> 1) ^ -(value & 1);
}

function skipVarint(bytes: Uint8Array, walk: Walk): void {
  while (bytes[walk.at++]! >= 128);
}

/** Whether the records of a batch are data that a reader of committed records sees. */
export type BatchFilter = (header: BatchHeader) => boolean;

function allocate(bytes: Uint8Array, count: number): Slab {
  return {
    bytes,
    text: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    sizeBytes: bytes.length,
    count,
    offsets: new Float64Array(count),
    starts: new Uint32Array(count),
    ends: new Uint32Array(count),
    batchAt: new Uint32Array(count),
    keyAt: new Uint32Array(count),
    keyLength: new Int32Array(count),
    keyHash: new Int32Array(count),
    status: new Uint8Array(count),
    done: 0,
    arrivedMs: 0,
  };
}

/**
 * Indexes uncompressed batches (the log has checked their CRCs when they came in). Records below `from` and at offsets in
 * `skip` count as done from the start.
 */
export function indexBatches(
  bytes: Uint8Array,
  from: number,
  skip: ReadonlySet<number>,
  visible: BatchFilter,
): Slab {
  const spans = [...splitBatches(bytes)].filter(({ header }) => visible(header));
  const slab = allocate(
    bytes,
    spans.reduce((sum, { header }) => sum + header.recordCount, 0),
  );
  const walk: Walk = { at: 0 };
  let index = 0;
  for (const { position, header } of spans) {
    walk.at = position + BATCH_HEADER_BYTES;
    for (let left = header.recordCount; left > 0; left--, index++) {
      indexRecord(slab, index, walk, position, header.baseOffset);
      const offset = slab.offsets[index]!;
      if (offset < from || skip.has(offset)) {
        slab.status[index] = DONE;
        slab.done++;
      }
    }
  }
  return slab;
}

function indexRecord(slab: Slab, index: number, walk: Walk, batchAt: number, baseOffset: number): void {
  const { bytes } = slab;
  slab.starts[index] = walk.at;
  const length = varint(bytes, walk);
  const end = walk.at + length;
  walk.at++; // attributes, unused
  skipVarint(bytes, walk); // time
  slab.offsets[index] = baseOffset + varint(bytes, walk);
  const keyLength = varint(bytes, walk);
  slab.keyAt[index] = walk.at;
  slab.keyLength[index] = keyLength;
  if (keyLength > 0) slab.keyHash[index] = hashOf(bytes, walk.at, walk.at + keyLength);
  slab.ends[index] = end;
  slab.batchAt[index] = batchAt;
  walk.at = end;
}

/** The key's bytes; null for a record without one. */
export function keyOf(slab: Slab, index: number): Uint8Array | null {
  const length = slab.keyLength[index]!;
  const at = slab.keyAt[index]!;
  return length < 0 ? null : slab.bytes.subarray(at, at + length);
}

/** The key as a string with one character per byte, for maps; null for a record without one. */
export function keyText(slab: Slab, index: number): string | null {
  const length = slab.keyLength[index]!;
  if (length < 0) return null;
  const at = slab.keyAt[index]!;
  return slab.text.toString('latin1', at, at + length);
}

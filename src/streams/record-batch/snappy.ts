/**
 * Snappy as Kafka's clients write it: the raw block format (google/snappy format_description.txt), or snappy-java's stream:
 * magic 82 'SNAPPY' 00, two versions of four bytes, then blocks, each behind its length in four big-endian bytes.
 */
const STREAM_MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const STREAM_HEAD_BYTES = 16;

/** Throws a plain Error for broken bytes and beyond `maxBytes`. */
export function snappy(packed: Uint8Array, maxBytes: number): Uint8Array {
  if (!STREAM_MAGIC.every((byte, index) => packed[index] === byte)) return rawSnappy(packed, maxBytes);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const blocks: Uint8Array[] = [];
  let total = 0;
  for (let at = STREAM_HEAD_BYTES; at < packed.length; ) {
    if (at + 4 > packed.length) throw new Error('it ends within the length of a block');
    const length = view.getUint32(at);
    if (length > packed.length - at - 4) throw new Error('a block is longer than what is left');
    const block = rawSnappy(packed.subarray(at + 4, at + 4 + length), maxBytes - total);
    blocks.push(block);
    total += block.length;
    at += 4 + length;
  }
  return Buffer.concat(blocks, total);
}

function readLength(packed: Uint8Array): { length: number; at: number } {
  let length = 0;
  for (let at = 0; at < 5 && at < packed.length; at++) {
    length += (packed[at]! & 127) * 2 ** (7 * at);
    if (packed[at]! < 128) return { length, at: at + 1 };
  }
  throw new Error('its length makes no sense');
}

function rawSnappy(packed: Uint8Array, maxBytes: number): Uint8Array {
  const { length, at: start } = readLength(packed);
  // No element unfolds to more than 64 bytes from 2: a length beyond that is a lie told to make us allocate.
  if (length > maxBytes) throw new Error(`it unfolds to more than ${maxBytes} bytes`);
  if (length > packed.length * 32 + 64) throw new Error('its length makes no sense');
  const output = new Uint8Array(length);
  let at = start;
  let out = 0;
  while (at < packed.length) {
    const tag = packed[at++]!;
    if ((tag & 3) === 0) {
      let size = tag >>> 2;
      if (size >= 60) {
        const extra = size - 59;
        size = 0;
        for (let byte = 0; byte < extra; byte++) size += (packed[at++] ?? 0) * 2 ** (8 * byte);
      }
      size++;
      if (size > packed.length - at || size > length - out)
        throw new Error('a literal is longer than what is left');
      output.set(packed.subarray(at, at + size), out);
      at += size;
      out += size;
      continue;
    }
    const copy = readCopy(packed, at, tag);
    at = copy.at;
    if (copy.distance === 0 || copy.distance > out || copy.size > length - out)
      throw new Error('a copy points outside');
    copyWithin(output, out, copy.distance, copy.size);
    out += copy.size;
  }
  if (out !== length) throw new Error('it unfolds to fewer bytes than it says');
  return output;
}

function readCopy(
  packed: Uint8Array,
  at: number,
  tag: number,
): { size: number; distance: number; at: number } {
  const byte = (index: number): number => packed[at + index] ?? 0;
  if ((tag & 3) === 1)
    return { size: ((tag >>> 2) & 7) + 4, distance: ((tag >>> 5) << 8) | byte(0), at: at + 1 };
  const size = (tag >>> 2) + 1;
  if ((tag & 3) === 2) return { size, distance: byte(0) | (byte(1) << 8), at: at + 2 };
  return { size, distance: (byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24)) >>> 0, at: at + 4 };
}

/** Copies from the output's own past; where source and target overlap, byte by byte, as the format means it. */
export function copyWithin(output: Uint8Array, at: number, distance: number, size: number): void {
  if (distance >= size && size > 16) output.copyWithin(at, at - distance, at - distance + size);
  else for (let index = 0; index < size; index++) output[at + index] = output[at + index - distance]!;
}

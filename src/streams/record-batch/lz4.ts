import { copyWithin } from './snappy.ts';

/**
 * The LZ4 frame format (lz4_Frame_format.md, version 1.6.x) with dependent or independent blocks. Checksums of the frame are
 * skipped: the batch has its own over all of it.
 */
const MAGIC = 0x184d2204;
const BLOCK_BYTES = [0, 0, 0, 0, 65_536, 262_144, 1_048_576, 4_194_304];

/** Throws a plain Error for broken bytes and beyond `maxBytes`. */
export function lz4Frame(packed: Uint8Array, maxBytes: number): Uint8Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const need = (at: number, bytes: number): number => {
    if (at + bytes > packed.length) throw new Error('it ends too early');
    return at;
  };
  if (view.getUint32(need(0, 7), true) !== MAGIC) throw new Error('it does not begin like an LZ4 frame');
  const flags = packed[4]!;
  if (flags >> 6 !== 1) throw new Error('its version is not known');
  const blockBytes = BLOCK_BYTES[(packed[5]! >> 4) & 7]!;
  if (blockBytes === 0) throw new Error('its block size is not known');
  let at = 6 + (flags & 8 ? 8 : 0) + (flags & 1 ? 4 : 0) + 1;
  let output = new Uint8Array(Math.min(maxBytes, Math.max(blockBytes, packed.length * 4)));
  let out = 0;
  for (;;) {
    const word = view.getUint32(need(at, 4), true);
    at += 4;
    if (word === 0) return output.subarray(0, out);
    const size = word & 0x7fffffff;
    need(at, size);
    if (size > blockBytes) throw new Error('a block is larger than its frame allows');
    // A block unfolds to at most the block size: grow for it once, not inside.
    const most = Math.min(maxBytes, out + blockBytes);
    if (output.length < most) {
      const grown = new Uint8Array(Math.min(maxBytes, Math.max(most, output.length * 2)));
      grown.set(output.subarray(0, out));
      output = grown;
    }
    const block = packed.subarray(at, at + size);
    if (word >>> 31) {
      if (out + size > most) throw new Error(`it unfolds to more than ${maxBytes} bytes`);
      output.set(block, out);
      out += size;
    } else out = lz4Block(block, output, out, most);
    at += size + (flags & 16 ? 4 : 0);
  }
}

/** One block (lz4_Block_format.md) behind `out`; returns where its output ends. */
function lz4Block(block: Uint8Array, output: Uint8Array, out: number, limit: number): number {
  let at = 0;
  const extended = (base: number): number => {
    let length = base;
    if (base < 15) return length;
    for (;;) {
      if (at >= block.length) throw new Error('it ends within a length');
      const byte = block[at++]!;
      length += byte;
      if (byte < 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++]!;
    const literals = extended(token >>> 4);
    if (literals > block.length - at || literals > limit - out)
      throw new Error('literals are longer than what is left');
    output.set(block.subarray(at, at + literals), out);
    at += literals;
    out += literals;
    if (at === block.length) return out; // the last sequence has no match
    if (at + 2 > block.length) throw new Error('it ends within a match');
    const distance = block[at]! | (block[at + 1]! << 8);
    at += 2;
    const size = extended(token & 15) + 4;
    if (distance === 0 || distance > out || size > limit - out) throw new Error('a match points outside');
    copyWithin(output, out, distance, size);
    out += size;
  }
  return out;
}

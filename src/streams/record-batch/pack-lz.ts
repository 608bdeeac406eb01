/**
 * LZ4 and Snappy as writers: one greedy search for what was there before, two formats for what it finds. Blocks are 64 KB, so
 * that every distance fits two bytes. It packs less tightly than the libraries do, and every reader of the formats reads it.
 */
const BLOCK_BYTES = 64 * 1024;
const HASH_BITS = 13;
const LEAST_MATCH = 4;

/** Literals from `from` to `at`, then `size` bytes as they stand `distance` before; `size` 0: literals alone, at the end. */
type Emit = (from: number, at: number, distance: number, size: number) => void;

/** Matches begin at least 12 bytes before the end and leave the last 5 as literals, as LZ4 asks (lz4_Block_format.md). */
function search(input: Uint8Array, emit: Emit): void {
  const seen = new Int32Array(1 << HASH_BITS).fill(-1);
  const end = input.length - 5;
  let from = 0;
  for (let at = 0; at < input.length - 12; ) {
    const word = wordAt(input, at);
    const slot = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
    const before = seen[slot]!;
    seen[slot] = at;
    if (before < 0 || wordAt(input, before) !== word) {
      // The longer nothing is found, the larger the steps: what cannot be packed costs little.
      at += 1 + ((at - from) >> 6);
      continue;
    }
    let size = LEAST_MATCH;
    while (at + size < end && input[before + size] === input[at + size]) size++;
    emit(from, at, at - before, size);
    at += size;
    from = at;
  }
  emit(from, input.length, 0, 0);
}

const wordAt = (input: Uint8Array, at: number): number =>
  input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16) | (input[at + 3]! << 24);

/** One block; never longer than the input and what little both formats add to it. */
function packBlock(input: Uint8Array, format: 'lz4' | 'snappy'): Uint8Array {
  const output = new Uint8Array(input.length + (input.length >> 6) + 32);
  let out = 0;
  const literals = (from: number, at: number): void => {
    output.set(input.subarray(from, at), out);
    out += at - from;
  };
  const rest = (value: number): void => {
    for (; value >= 255; value -= 255) output[out++] = 255;
    output[out++] = value;
  };
  const lz4: Emit = (from, at, distance, size) => {
    const [plain, match] = [at - from, size - LEAST_MATCH];
    output[out++] = (Math.min(plain, 15) << 4) | (size === 0 ? 0 : Math.min(match, 15));
    if (plain >= 15) rest(plain - 15);
    literals(from, at);
    if (size === 0) return;
    output[out++] = distance & 255;
    output[out++] = distance >> 8;
    if (match >= 15) rest(match - 15);
  };
  const snappy: Emit = (from, at, distance, size) => {
    const plain = at - from - 1;
    if (plain >= 256) {
      output.set([61 << 2, plain & 255, plain >> 8], out);
      out += 3;
    } else if (plain >= 60) {
      output.set([60 << 2, plain], out);
      out += 2;
    } else if (plain >= 0) output[out++] = plain << 2;
    literals(from, at);
    for (let left = size; left > 0; left -= 64) {
      output.set([((Math.min(left, 64) - 1) << 2) | 2, distance & 255, distance >> 8], out);
      out += 3;
    }
  };
  if (format === 'snappy') {
    let length = input.length;
    for (; length > 127; length >>>= 7) output[out++] = (length & 127) | 128;
    output[out++] = length;
  }
  search(input, format === 'lz4' ? lz4 : snappy);
  return output.subarray(0, out);
}

function* blocksOf(input: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < input.length; at += BLOCK_BYTES) yield input.subarray(at, at + BLOCK_BYTES);
}

/**
 * A frame of independent blocks without checksums (lz4_Frame_format.md). The last byte of its head is the second of the xxHash-32
 * of the two before, which never change.
 */
export function packLz4(input: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [new Uint8Array([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])];
  for (const block of blocksOf(input)) {
    const packed = packBlock(block, 'lz4');
    const stays = packed.length >= block.length;
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, stays ? (block.length | 0x80000000) >>> 0 : packed.length, true);
    parts.push(head, stays ? block : packed);
  }
  parts.push(new Uint8Array(4));
  return joined(parts);
}

/** The stream of snappy-java, which Java's clients need and others know: see `snappy.ts`. */
export function packSnappy(input: Uint8Array): Uint8Array {
  const head = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00, 0, 0, 0, 1, 0, 0, 0, 1];
  const parts: Uint8Array[] = [new Uint8Array(head)];
  for (const block of blocksOf(input)) {
    const packed = packBlock(block, 'snappy');
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, packed.length);
    parts.push(length, packed);
  }
  return joined(parts);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

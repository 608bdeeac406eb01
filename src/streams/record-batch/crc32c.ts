/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, RFC 3720 appendix B.4) by slicing 16 bytes at a time, in a
 * WebAssembly module of a few hundred bytes that is assembled below: three times as fast as the same tables in
 * JavaScript, because every lookup there pays for a bounds check and a signed conversion.
 */
const POLYNOMIAL = 0x82f63b78;
const SLICES = 16;
const TABLE_BYTES = SLICES * 1024;
const SCRATCH_BYTES = 128 * 1024 - TABLE_BYTES;
/** Below this many bytes the copy into the module costs more than it saves. */
const SMALL_BYTES = 128;

function makeTables(): Int32Array {
  const tables = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    tables[byte] = value;
  }
  for (let index = 256; index < SLICES * 256; index++) {
    const previous = tables[index - 256]!;
    tables[index] = (previous >>> 8) ^ tables[previous & 0xff]!;
  }
  return tables;
}

/** Unsigned and signed LEB128, the integers of the WebAssembly binary format. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}

const section = (id: number, content: number[]): number[] => [id, ...unsigned(content.length), ...content];
const constant = (value: number): number[] => [0x41, ...signed(value)];
const get = (local: number): number[] => [0x20, ...unsigned(local)];
const set = (local: number): number[] => [0x21, ...unsigned(local)];
const load = (offset: number): number[] => [0x28, 0x00, ...unsigned(offset)];
const [LOOP, IF, END, BRANCH, ADD, AND, XOR, SHIFT_LEFT, SHIFT_RIGHT, LESS_OR_EQUAL, LESS, LOAD_BYTE] = [
  [0x03, 0x40],
  [0x04, 0x40],
  [0x0b],
  [0x0c],
  [0x6a],
  [0x71],
  [0x73],
  [0x74],
  [0x76],
  [0x4d],
  [0x49],
  [0x2d, 0, 0],
] as const;

/** Table `slice` at byte `index` (0 the lowest) of the word in `local`. */
function lookup(slice: number, local: number, index: number): number[] {
  const shifted =
    index === 0
      ? [...get(local), ...constant(2), ...SHIFT_LEFT]
      : [...get(local), ...constant(8 * index - 2), ...SHIFT_RIGHT];
  return [...shifted, ...constant(0x3fc), ...AND, ...load(slice * 1024)];
}

/** `update(crc, at, end)`: 16 bytes a turn, then byte by byte. Locals: 0 crc, 1 at, 2 end, 3 to 6 words. */
function updateBody(): number[] {
  const words = [0, 1, 2, 3].flatMap((word) => [
    ...get(1),
    ...load(word * 4),
    ...(word === 0 ? [...get(0), ...XOR] : []),
    ...set(3 + word),
  ]);
  const lookups = Array.from({ length: SLICES }, (_, index) => [
    ...lookup(SLICES - 1 - index, 3 + (index >> 2), index & 3),
    ...(index > 0 ? XOR : []),
  ]).flat();
  const advance = (bytes: number): number[] => [...get(1), ...constant(bytes), ...ADD, ...set(1)];
  const wide = [...get(1), ...constant(16), ...ADD, ...get(2), ...LESS_OR_EQUAL, ...IF];
  const narrow = [...get(1), ...get(2), ...LESS, ...IF];
  const byte = [
    ...[...get(0), ...get(1), ...LOAD_BYTE, ...XOR, ...constant(255), ...AND, ...constant(2), ...SHIFT_LEFT],
    ...[...load(0), ...get(0), ...constant(8), ...SHIFT_RIGHT, ...XOR, ...set(0)],
  ];
  return [
    ...[1, 4, 0x7f], // four more locals of type i32
    ...[...LOOP, ...wide, ...words, ...lookups, ...set(0), ...advance(16), ...BRANCH, 1, ...END, ...END],
    ...[...LOOP, ...narrow, ...byte, ...advance(1), ...BRANCH, 1, ...END, ...END],
    ...[...get(0), ...END],
  ];
}

function assemble(): Uint8Array<ArrayBuffer> {
  const body = updateBody();
  const name = (text: string): number[] => [text.length, ...Buffer.from(text, 'latin1')];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 3, 0x7f, 0x7f, 0x7f, 1, 0x7f]), // type 0: (i32, i32, i32) -> i32
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 2]), // memory of two pages
    ...section(7, [2, ...name('memory'), 2, 0, ...name('update'), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
}

interface Engine {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly update: (crc: number, at: number, end: number) => number;
}

/** What is used of the global; its types come with browsers' libraries only. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object;
    readonly Instance: new (module: object) => { readonly exports: object };
  };
};

const tables = makeTables();
const engine = new WebAssembly.Instance(new WebAssembly.Module(assemble())).exports as Engine;
const scratch = new Uint8Array(engine.memory.buffer);
new Int32Array(engine.memory.buffer).set(tables);

/** CRC-32C of `bytes[start, end)`, unsigned. `seed` goes on from the result for the bytes before. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  let crc = ~seed;
  if (end - start < SMALL_BYTES) {
    for (let at = start; at < end; at++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[at]!) & 0xff]!;
    return ~crc >>> 0;
  }
  for (let at = start; at < end; ) {
    const size = Math.min(SCRATCH_BYTES, end - at);
    scratch.set(bytes.subarray(at, at + size), TABLE_BYTES);
    crc = engine.update(crc, TABLE_BYTES, TABLE_BYTES + size);
    at += size;
  }
  return ~crc >>> 0;
}

/*
 * A CRC is the remainder of a polynomial over GF(2), the first bit of the message its highest power; in this reflected form bit
 * 31 stands for x^0. So a change of some bytes changes it by the remainder of that change alone, times x for every bit behind.
 */

/** x^(2^k) modulo the polynomial, for sizes up to what 32 bits can tell. */
const POWERS = makePowers(36);

function makePowers(count: number): Int32Array {
  const powers = new Int32Array(count);
  powers[0] = 1 << 30;
  for (let index = 1; index < count; index++) {
    powers[index] = multiply(powers[index - 1]!, powers[index - 1]!);
  }
  return powers;
}

function multiply(left: number, right: number): number {
  let product = 0;
  for (let bit = 31; bit >= 0; bit--) {
    if ((left >>> bit) & 1) product ^= right;
    right = right & 1 ? (right >>> 1) ^ POLYNOMIAL : right >>> 1;
  }
  return product;
}

/** The CRC of bytes in which some are replaced, from `crc` before: `change` is old XOR new, with `behind` bytes unchanged after it. */
export function crc32cChanged(crc: number, change: Uint8Array, behind: number): number {
  let remainder = 0;
  for (const byte of change) remainder = (remainder >>> 8) ^ tables[(remainder ^ byte) & 0xff]!;
  for (let left = behind, power = 3; left > 0; left = Math.floor(left / 2), power++) {
    if (left % 2 === 1) remainder = multiply(remainder, POWERS[power]!);
  }
  return (crc ^ remainder) >>> 0;
}

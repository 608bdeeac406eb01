/** The bytes of a record's key from the JSON text of the member that its path names, or why there is none. */
export function keyOfJson(bytes: Uint8Array, from: number, to: number): Uint8Array | string {
  if (from < 0) return KEY_MISSING;
  const first = bytes[from]!;
  if (first === QUOTE) return keyOfText(bytes, from, to);
  if (first === OPEN_OBJECT || first === OPEN_ARRAY || first === 0x6e) {
    return KEY_NOT_SCALAR;
  }
  return isPlain(bytes, from, to) ? bytes.subarray(from, to) : keyOfNumber(bytes, from, to);
}

export const KEY_MISSING = 'is missing; the key of the record is taken from here';
export const KEY_NOT_SCALAR = 'must be text, a number or a boolean; the key of the record is taken from here';
export const KEY_NOT_WELL_FORMED = 'holds half of a surrogate pair, which no key can';
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const OPEN_ARRAY = 0x5b;

/** Text without escapes is its own UTF-8. */
function keyOfText(bytes: Uint8Array, from: number, to: number): Uint8Array | string {
  let at = from + 1;
  while (at < to && bytes[at] !== BACKSLASH) at++;
  if (at === to) return bytes.subarray(from + 1, to - 1);
  const text = JSON.parse(decode(bytes, from, to)) as string;
  // UTF-8 has no form for half a surrogate pair: different keys would become one.
  return text.isWellFormed() ? Buffer.from(text) : KEY_NOT_WELL_FORMED;
}

/** `true`, `false`, and whole numbers that are written the one way JSON.stringify writes them. */
function isPlain(bytes: Uint8Array, from: number, to: number): boolean {
  const first = bytes[from]!;
  if (first === 0x74 || first === 0x66) return true;
  const digits = first === 0x2d ? from + 1 : from;
  if (to - digits > 15 || (first === 0x2d && bytes[digits] === 0x30)) return false;
  for (let at = digits; at < to; at++) if (bytes[at]! < 0x30 || bytes[at]! > 0x39) return false;
  return true;
}

/** One number has one key, however it is written: 1.0 and 1e0 are 1. */
function keyOfNumber(bytes: Uint8Array, from: number, to: number): Uint8Array | string {
  const value = Number(decode(bytes, from, to));
  return Number.isFinite(value)
    ? Buffer.from(JSON.stringify(value))
    : 'is a number beyond what can be told apart';
}

function decode(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString();
}

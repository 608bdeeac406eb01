import { isUtf8 } from 'node:buffer';
import { MillraceError } from '../../kernel/index.ts';
import { createScanner, type JsonScanner } from './scanner.ts';

/** Throws BAD_ENCODING, naming the first byte that is not UTF-8. */
export function requireUtf8(bytes: Uint8Array, what: string): void {
  if (isUtf8(bytes)) return;
  const at = firstInvalidByte(bytes);
  throw new MillraceError(
    'BAD_ENCODING',
    `${what} is not valid UTF-8: byte ${at} (0x${bytes[at]!.toString(16).padStart(2, '0')}) does not belong there. Send JSON as UTF-8.`,
  );
}

/** Goes through the bytes in blocks that end before a character begins, then byte by byte through the first bad one. */
function firstInvalidByte(bytes: Uint8Array): number {
  let at = 0;
  for (
    let next = nextBlock(bytes, 0);
    next > at && isUtf8(bytes.subarray(at, next));
    next = nextBlock(bytes, at)
  ) {
    at = next;
  }
  for (;;) {
    const length = [1, 2, 3, 4].find((size) => isUtf8(bytes.subarray(at, at + size)));
    if (length === undefined) return at;
    at += length;
  }
}

function nextBlock(bytes: Uint8Array, at: number): number {
  let next = Math.min(at + 4096, bytes.length);
  while (next < bytes.length && (bytes[next]! & 0xc0) === 0x80) next++;
  return next;
}

/** Where in the input a value stood: which record of the call, from 0, and for lines the line, from 1. */
interface Place {
  readonly record: number;
  readonly line?: number;
}

type Failure = Pick<JsonScanner, 'failedAt' | 'expected'>;

/** What is wrong and where, after a failed scan. Bytes count from `start` and 1; the path is that of the record. */
export function jsonError(
  { failedAt, expected }: Failure,
  bytes: Uint8Array,
  start: number,
  place?: Place,
): MillraceError {
  const inLine = place?.line !== undefined;
  const holder = inLine ? ` on line ${place.line}` : place ? ` in record ${place.record}` : '';
  const where = `${holder} at byte ${failedAt - start + 1}`;
  const found = describeByte(bytes, failedAt, inLine);
  return new MillraceError('BAD_JSON', `Invalid JSON${where}: expected ${expected}, found ${found}.`, {
    errors: [
      { path: place ? `/${place.record}` : '', message: `expected ${expected}${where}, found ${found}` },
    ],
  });
}

function describeByte(bytes: Uint8Array, at: number, inLine: boolean): string {
  const byte = bytes[at];
  if (byte === undefined) return 'the end of the input';
  if (inLine && (byte === 0x0a || byte === 0x0d)) return 'the end of the line';
  if (byte === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf) return 'a byte order mark';
  if (byte < 0x20 || byte === 0x7f) return `the control character 0x${byte.toString(16).padStart(2, '0')}`;
  if (byte < 0x80) return byte === 0x27 ? `"'"` : `'${String.fromCharCode(byte)}'`;
  const [character] = Buffer.from(
    bytes.buffer,
    bytes.byteOffset + at,
    Math.min(4, bytes.length - at),
  ).toString();
  return `'${character}'`;
}

export interface WholeScan extends Failure, Pick<JsonScanner, 'valueStart' | 'keyStart' | 'keyEnd'> {
  /** Behind the value; -1 when the bytes do not hold exactly one. */
  readonly end: number;
}

/** Scans bytes that hold one value and nothing else but white space, with a scanner that may be used again. */
export function scanWhole(bytes: Uint8Array, scanner: JsonScanner): WholeScan {
  const end = scanner.scan(bytes, 0, bytes.length);
  const { valueStart, keyStart, keyEnd, failedAt, expected } = scanner;
  let behind = end;
  while (behind >= 0 && behind < bytes.length && isSpace(bytes[behind]!)) behind++;
  const more = end >= 0 && behind < bytes.length;
  return {
    ...{ valueStart, keyStart, keyEnd, end: more ? -1 : end },
    ...(more ? { failedAt: behind, expected: 'the end of the value' } : { failedAt, expected }),
  };
}

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;

/** Checks that `bytes` hold exactly one JSON value. Throws BAD_ENCODING or BAD_JSON. */
export function requireJson(bytes: Uint8Array): void {
  requireUtf8(bytes, 'The value');
  const scan = scanWhole(bytes, createScanner());
  if (scan.end < 0) throw jsonError(scan, bytes, 0);
}

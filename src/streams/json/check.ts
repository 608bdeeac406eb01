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

/** What is wrong and where, after a failed scan. `line` counts from 1; the column counts bytes from 1. */
export function jsonError(
  scanner: Pick<JsonScanner, 'failedAt' | 'expected'>,
  bytes: Uint8Array,
  start: number,
  line?: number,
): MillraceError {
  const at = scanner.failedAt;
  const column = at - start + 1;
  const where = line === undefined ? `at byte ${column}` : `on line ${line} at byte ${column}`;
  const found = describeByte(bytes, at, line !== undefined);
  return new MillraceError(
    'BAD_JSON',
    `Invalid JSON ${where}: expected ${scanner.expected}, found ${found}.`,
    {
      errors: [
        {
          path: line === undefined ? '' : `/${line - 1}`,
          message: `expected ${scanner.expected} ${where}, found ${found}`,
        },
      ],
    },
  );
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

const whole = (bytes: Uint8Array): { scanner: JsonScanner; end: number } => {
  const scanner = createScanner();
  let end = scanner.scan(bytes, 0, bytes.length);
  while (end >= 0 && end < bytes.length && ' \t\n\r'.includes(String.fromCharCode(bytes[end]!))) end++;
  return { scanner, end };
};

/** Checks that `bytes` hold exactly one JSON value. Throws BAD_ENCODING or BAD_JSON. */
export function requireJson(bytes: Uint8Array): void {
  requireUtf8(bytes, 'The value');
  const { scanner, end } = whole(bytes);
  if (end < 0) throw jsonError(scanner, bytes, 0);
  if (end === bytes.length) return;
  const found = describeByte(bytes, end, false);
  const message = `Invalid JSON at byte ${end + 1}: expected the end of the value, found ${found}.`;
  throw new MillraceError('BAD_JSON', message, { errors: [{ path: '', message }] });
}

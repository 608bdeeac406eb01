import { LIMITS, MillraceError } from '../../kernel/index.ts';
import { jsonError, requireUtf8 } from './check.ts';
import type { KeyPath } from './key-path.ts';
import { createScanner, type JsonScanner } from './scanner.ts';

/** Where the values of an NDJSON body lie, four numbers a value: value start and end, key start (-1: none) and end. */
export interface LineIndex {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly places: Int32Array;
}

export const PLACE = { valueStart: 0, valueEnd: 1, keyStart: 2, keyEnd: 3, size: 4 } as const;

const NEWLINE = 0x0a;

function isBlank(bytes: Uint8Array, at: number): boolean {
  const byte = bytes[at]!;
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

function skipBlank(bytes: Uint8Array, at: number): number {
  while (at < bytes.length && isBlank(bytes, at)) at++;
  return at;
}

function countNewlines(bytes: Uint8Array, to: number): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0 && at < to; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/**
 * Validates NDJSON, one value a line, and finds every value and its key without building anything. Lines that are
 * empty or blank are skipped; a carriage return before the newline is white space. A large body is gone through in
 * several calls of `advance`, so that other work gets its turn in between.
 */
export class LineIndexer implements LineIndex {
  readonly bytes: Uint8Array;
  count = 0;
  places = new Int32Array(PLACE.size * 1024);
  readonly #scanner: JsonScanner;
  #position: number;

  /** Throws BAD_ENCODING. */
  constructor(bytes: Uint8Array, path?: KeyPath) {
    requireUtf8(bytes, 'The body');
    this.bytes = bytes;
    this.#scanner = createScanner({ ...(path ? { path } : {}), oneLine: true });
    this.#position = nextLine(bytes, 0);
  }

  /**
   * Goes through at least `maxBytes` more, to the end of a line; true when the body is done. Throws BAD_JSON with the
   * line and the byte in it, and PAYLOAD_TOO_LARGE past `LIMITS.batchRecords` values.
   */
  advance(maxBytes: number): boolean {
    const { bytes } = this;
    const scanner = this.#scanner;
    const pause = this.#position + maxBytes;
    let at = this.#position;
    while (at < bytes.length && at < pause) {
      const end = scanner.scan(bytes, at, bytes.length);
      const behind = end < 0 ? -1 : skipBlank(bytes, end);
      if (end < 0 || (behind < bytes.length && bytes[behind] !== NEWLINE))
        throw lineError(scanner, bytes, behind, this.count);
      this.#add(scanner, end);
      at = nextLine(bytes, behind);
    }
    this.#position = at;
    return at >= bytes.length;
  }

  #add(scanner: JsonScanner, end: number): void {
    if (this.count === LIMITS.batchRecords) throw tooMany();
    const place = this.count++ * PLACE.size;
    if (place === this.places.length) this.places = grow(this.places);
    this.places[place + PLACE.valueStart] = scanner.valueStart;
    this.places[place + PLACE.valueEnd] = end;
    this.places[place + PLACE.keyStart] = scanner.keyStart;
    this.places[place + PLACE.keyEnd] = scanner.keyEnd;
  }
}

/** The index of a whole body at once. Throws what `LineIndexer` throws. */
export function indexLines(bytes: Uint8Array, path?: KeyPath): LineIndex {
  const indexer = new LineIndexer(bytes, path);
  indexer.advance(Number.POSITIVE_INFINITY);
  return indexer;
}

/** The first byte at or after `at` that is neither blank nor a newline. */
function nextLine(bytes: Uint8Array, at: number): number {
  while (at < bytes.length && (bytes[at] === NEWLINE || isBlank(bytes, at))) at++;
  return at;
}

function grow(places: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(places.length * 2);
  larger.set(places);
  return larger;
}

function lineError(scanner: JsonScanner, bytes: Uint8Array, behind: number, record: number): MillraceError {
  const at = behind < 0 ? Math.min(scanner.failedAt, bytes.length) : behind;
  // A failure at a newline belongs to the line that it ends.
  const lineStart = at === 0 ? 0 : bytes.lastIndexOf(NEWLINE, at - 1) + 1;
  const failure =
    behind < 0 ? scanner : { failedAt: behind, expected: 'the end of the line (one value a line)' };
  return jsonError(failure, bytes, lineStart, { record, line: countNewlines(bytes, lineStart) + 1 });
}

function tooMany(): MillraceError {
  const message = `More than ${LIMITS.batchRecords} values in one body. Send them in several requests.`;
  return new MillraceError('PAYLOAD_TOO_LARGE', message);
}

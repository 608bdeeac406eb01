import { isUtf8 } from 'node:buffer';
import { type Json, LIMITS, MillraceError } from '../../kernel/index.ts';

/** Text of a body. Throws BAD_ENCODING. */
export function decodeUtf8(bytes: Buffer): string {
  if (!isUtf8(bytes)) {
    throw new MillraceError(
      'BAD_ENCODING',
      'The body is not valid UTF-8. Encode it as UTF-8 and send it again.',
    );
  }
  return bytes.toString('utf8');
}

/** One JSON value, not nested deeper than the limit. Throws BAD_ENCODING, BAD_JSON. */
export function parseJson(bytes: Buffer): Json {
  const text = decodeUtf8(bytes);
  checkDepth(bytes);
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MillraceError('BAD_JSON', `The body is not valid JSON: ${reason}.`);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Throws BAD_JSON when brackets outside strings nest deeper than `limit` anywhere in the text. */
export function checkDepth(bytes: Uint8Array, limit: number = LIMITS.jsonDepth): void {
  // A value of depth n is at least 2n long.
  if (bytes.length <= limit * 2) return;
  if (deepest(bytes, 0, bytes.length, limit) > limit) throw tooDeep(limit);
}

/** The same for each line of an NDJSON body; short lines, which are nearly all, cost one search each. */
export function checkDepthOfLines(bytes: Uint8Array, limit: number = LIMITS.jsonDepth): void {
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    if (end - start > limit * 2 && deepest(bytes, start, end, limit) > limit) throw tooDeep(limit);
    start = end + 1;
  }
}

function deepest(bytes: Uint8Array, start: number, end: number, limit: number): number {
  let depth = 0;
  let inString = false;
  for (let index = start; index < end; index++) {
    const byte = bytes[index];
    if (inString) {
      if (byte === BACKSLASH) index++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++depth > limit) return depth;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
  }
  return 0;
}

function tooDeep(limit: number): MillraceError {
  return new MillraceError('BAD_JSON', `The JSON nests deeper than ${limit} levels. Flatten it.`);
}

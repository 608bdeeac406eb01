import { LIMITS } from '../../kernel/index.ts';
import { type KeyPath, matchesSegment } from './key-path.ts';

/**
 * Validates JSON over bytes without building a value. J1-J4 hold for every input whose bytes are valid UTF-8 (check
 * that first: `node:buffer` does it at several gigabytes a second).
 *
 * J1 accepts exactly what JSON.parse accepts (RFC 8259), except nesting beyond `LIMITS.jsonDepth`.
 * J2 never reads past `end` and never recurses.
 * J3 the value found at the key path is the one JSON.parse would give: the last of duplicate members wins.
 * J4 allocates nothing per value, unless a member name on the path's level is written with escapes.
 */
export interface JsonScanner {
  /** Validates the value that starts at or after `from`; gives the position behind it, or -1 when it is not valid. */
  scan(bytes: Uint8Array, from: number, end: number): number;
  /** Where the value begins, behind leading white space. */
  readonly valueStart: number;
  /** The value at the key path in the last scan: its bytes are [keyStart, keyEnd); keyStart is -1 when there is none. */
  readonly keyStart: number;
  readonly keyEnd: number;
  /** After a failed scan: where it stopped, and what was expected there. */
  readonly failedAt: number;
  readonly expected: string;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const NEWLINE = 0x0a;

/** 1 for bytes that end a run of plain string content: quote, backslash, control characters. */
const STRING_STOP = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);
const SPACE = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d ? 1 : 0,
);
/** Where a line holds one value, a newline ends it: it is no white space then. */
const SPACE_IN_LINE = SPACE.with(NEWLINE, 0);
const IS_DIGIT = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x30 && byte <= 0x39 ? 1 : 0));
const IS_HEX = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[0-9a-fA-F]/.test(String.fromCharCode(byte)) ? 1 : 0,
);
/** The characters that may follow a backslash, `u` apart. */
const IS_ESCAPE = Uint8Array.from({ length: 256 }, (_, byte) =>
  '"\\/bfnrt'.includes(String.fromCharCode(byte)) ? 1 : 0,
);
const LITERALS = new Map(
  ['true', 'false', 'null'].map((text) => [text.charCodeAt(0), Buffer.from(text)] as const),
);

function skipSpace(space: Uint8Array, bytes: Uint8Array, at: number, end: number): number {
  while (at < end && space[bytes[at]!] === 1) at++;
  return at;
}

/** Past the closing quote of a string whose content begins at `at`, or ~position of what is wrong. */
function skipString(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const byte = bytes[at]!;
    if (STRING_STOP[byte] === 0) {
      at++;
      continue;
    }
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH) return ~at;
    const next = skipEscape(bytes, at + 1, end);
    if (next < 0) return next;
    at = next;
  }
  return ~end;
}

function skipEscape(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return ~end;
  if (IS_ESCAPE[bytes[at]!] === 1) return at + 1;
  if (bytes[at] !== 0x75) return ~at;
  for (let digit = 1; digit <= 4; digit++) {
    if (at + digit >= end || IS_HEX[bytes[at + digit]!] === 0) return ~Math.min(at + digit, end);
  }
  return at + 5;
}

function skipDigits(bytes: Uint8Array, at: number, end: number): number {
  const first = at;
  while (at < end && IS_DIGIT[bytes[at]!] === 1) at++;
  return at === first ? ~at : at;
}

/** RFC 8259: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
function skipNumber(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] === 0x2d) at++;
  if (at < end && bytes[at] === 0x30) at++;
  else if ((at = skipDigits(bytes, at, end)) < 0) return at;
  if (at < end && bytes[at] === 0x2e) {
    if ((at = skipDigits(bytes, at + 1, end)) < 0) return at;
  }
  if (at < end && (bytes[at]! | 0x20) === 0x65) {
    at++;
    if (at < end && (bytes[at] === 0x2b || bytes[at] === 0x2d)) at++;
    return skipDigits(bytes, at, end);
  }
  return at;
}

function skipLiteral(bytes: Uint8Array, at: number, end: number): number {
  const literal = LITERALS.get(bytes[at]!);
  if (!literal) return ~at;
  for (let index = 1; index < literal.length; index++) {
    if (at + index >= end || bytes[at + index] !== literal[index]) return ~Math.min(at + index, end);
  }
  return at + literal.length;
}

function skipScalar(bytes: Uint8Array, at: number, end: number): number {
  const byte = bytes[at]!;
  if (byte === QUOTE) return skipString(bytes, at + 1, end);
  if (IS_DIGIT[byte] === 1 || byte === 0x2d) return skipNumber(bytes, at, end);
  return skipLiteral(bytes, at, end);
}

/** A class so that the state of a scan sits in fields of one shape, which the engine reads fastest. */
class Scanner implements JsonScanner {
  valueStart = 0;
  keyStart = -1;
  keyEnd = -1;
  failedAt = -1;
  expected = '';
  readonly #path: KeyPath | undefined;
  readonly #space: Uint8Array;
  /** 1 for an object, 0 for an array, per open container. */
  readonly #open = new Uint8Array(LIMITS.jsonDepth + 1);
  #depth = 0;
  /** How many segments of the path the open containers match. */
  #matched = 0;
  /** Depth of the object whose member is being captured as the key; 0 when none is. */
  #capture = 0;

  constructor(path: KeyPath | undefined, space: Uint8Array) {
    this.#path = path;
    this.#space = space;
  }

  scan(bytes: Uint8Array, from: number, end: number): number {
    this.keyStart = this.keyEnd = -1;
    this.#depth = this.#matched = this.#capture = 0;
    let at = (this.valueStart = skipSpace(this.#space, bytes, from, end));
    for (;;) {
      if (at >= end) return this.#fail(end, 'a value');
      const byte = bytes[at]!;
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        const inside = this.#enter(bytes, at, end);
        if (inside < 0) return -1;
        at = inside;
        if (bytes[at - 1] !== CLOSE_OBJECT && bytes[at - 1] !== CLOSE_ARRAY) continue;
      } else {
        const next = skipScalar(bytes, at, end);
        if (next < 0) return this.#fail(~next, byte === QUOTE ? 'the rest of a string' : 'a value');
        at = next;
      }
      at = this.#afterValue(bytes, at, end);
      if (at < 0 || this.#depth === 0) return at;
    }
  }

  /** Opens a container: to its first value, or behind its closing bracket when it is empty. */
  #enter(bytes: Uint8Array, at: number, end: number): number {
    const isObject = bytes[at] === OPEN_OBJECT;
    if (this.#depth >= LIMITS.jsonDepth)
      return this.#fail(at, `at most ${LIMITS.jsonDepth} levels of nesting`);
    at = skipSpace(this.#space, bytes, at + 1, end);
    if (at < end && bytes[at] === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) return at + 1;
    this.#open[++this.#depth] = isObject ? 1 : 0;
    return isObject ? this.#member(bytes, at, end, "a member name or '}'") : at;
  }

  /** A member's name and colon; gives the position of its value. */
  #member(bytes: Uint8Array, at: number, end: number, expected: string): number {
    if (at >= end || bytes[at] !== QUOTE) return this.#fail(at, expected);
    const after = skipString(bytes, at + 1, end);
    if (after < 0) return this.#fail(~after, 'the rest of a member name');
    const colon = skipSpace(this.#space, bytes, after, end);
    if (colon >= end || bytes[colon] !== COLON) return this.#fail(colon, "':'");
    const value = skipSpace(this.#space, bytes, colon + 1, end);
    if (this.#path !== undefined && this.#matched === this.#depth - 1) {
      this.#matchMember(this.#path, bytes, at + 1, after - 1, value);
    }
    return value;
  }

  #matchMember(path: KeyPath, bytes: Uint8Array, from: number, to: number, value: number): void {
    const segment = path.segments[this.#depth - 1];
    if (!segment || !matchesSegment(segment, bytes, from, to)) return;
    this.keyStart = this.keyEnd = -1;
    if (this.#depth === path.segments.length) {
      this.keyStart = value;
      this.#capture = this.#depth;
    } else {
      this.#matched = this.#depth;
    }
  }

  /** Behind a value: to the next value, or behind the outermost value with `#depth` 0. */
  #afterValue(bytes: Uint8Array, at: number, end: number): number {
    while (this.#depth > 0) {
      if (this.#capture === this.#depth) {
        this.keyEnd = at;
        this.#capture = 0;
      }
      if (this.#matched === this.#depth) this.#matched--;
      const isObject = this.#open[this.#depth] === 1;
      at = skipSpace(this.#space, bytes, at, end);
      const byte = at < end ? bytes[at]! : -1;
      if (byte === COMMA) {
        at = skipSpace(this.#space, bytes, at + 1, end);
        return isObject ? this.#member(bytes, at, end, 'a member name') : at;
      }
      if (byte !== (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        return this.#fail(at, isObject ? "',' or '}'" : "',' or ']'");
      }
      this.#depth--;
      at++;
    }
    return at;
  }

  #fail(at: number, expected: string): -1 {
    this.failedAt = at;
    this.expected = expected;
    return -1;
  }
}

/** `oneLine`: the value ends with its line; a newline inside it is an error. */
export function createScanner(options: { path?: KeyPath; oneLine?: boolean } = {}): JsonScanner {
  return new Scanner(options.path, options.oneLine ? SPACE_IN_LINE : SPACE);
}

import { MillraceError } from '../../kernel/index.ts';

/** A path of object members, parsed from a JSON Pointer (RFC 6901) such as `/user/id`. */
export interface KeyPath {
  readonly pointer: string;
  readonly segments: readonly Segment[];
}

interface Segment {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const BACKSLASH = 0x5c;

/** Throws STREAM_CONFIG_INVALID. */
export function parseKeyPath(pointer: string): KeyPath {
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer) || !pointer.isWellFormed()) {
    const message = `'${pointer}' is not a path to the key. Write a JSON Pointer to a member, such as '/card' or '/user/id'.`;
    throw new MillraceError('STREAM_CONFIG_INVALID', message, { errors: [{ path: '/keyPath', message }] });
  }
  const names = pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return { pointer, segments: names.map((name) => ({ name, bytes: Buffer.from(name) })) };
}

/** Whether the member name between its quotes, at [from, to), is this segment. */
export function matchesSegment(segment: Segment, bytes: Uint8Array, from: number, to: number): boolean {
  const name = segment.bytes;
  if (to - from === name.length) {
    let index = 0;
    while (index < name.length && bytes[from + index] === name[index]) index++;
    // Equal bytes are the same name only when none of them is an escape.
    if (index === name.length && !segment.name.includes('\\')) return true;
  }
  return hasEscape(bytes, from, to) && decodeName(bytes, from, to) === segment.name;
}

/** A loop, because a call into the engine's own search costs more than a name is long. */
function hasEscape(bytes: Uint8Array, from: number, to: number): boolean {
  while (from < to && bytes[from] !== BACKSLASH) from++;
  return from < to;
}

function decodeName(bytes: Uint8Array, from: number, to: number): string {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + from - 1, to - from + 2).toString('utf8'));
}

import { MillraceError } from '../../kernel/index.ts';

/**
 * The segments of a request's path, decoded one by one after splitting, so that `%2F` never separates. A trailing slash
 * does not count. Throws BAD_REQUEST for what is not a path, for broken percent-encoding, and for segments that a handler
 * could mistake for a step upwards (`..`, encoded or inside an encoded slash) or that hold NUL.
 */
export function pathSegments(path: string): string[] {
  if (path.charCodeAt(0) !== 0x2f) throw refused('must begin with a slash');
  const end = path.length > 1 && path.charCodeAt(path.length - 1) === 0x2f ? path.length - 1 : path.length;
  const segments = path.slice(1, end).split('/');
  for (let index = 0; index < segments.length; index++) segments[index] = decode(segments[index]!);
  return segments;
}

function decode(segment: string): string {
  let decoded = segment;
  if (segment.includes('%')) {
    try {
      decoded = decodeURIComponent(segment);
    } catch {
      throw refused('has broken percent-encoding; encode it as UTF-8');
    }
  }
  if (decoded.includes('..') && decoded.split(/[\\/]/).includes('..')) throw refused("holds a '..' segment");
  if (decoded === '.') throw refused("holds a '.' segment");
  if (decoded.includes('\0')) throw refused('holds a NUL character');
  return decoded;
}

function refused(why: string): MillraceError {
  return new MillraceError('BAD_REQUEST', `The path of the request ${why}.`);
}

import { MillraceError } from '../errors.ts';

const KEY = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;
const KEY_LENGTH = 512;
/** File systems allow names of 255 bytes. */
const SEGMENT_LENGTH = 200;

/** Throws BAD_REQUEST for a key that is not of the port's form. */
export function checkBlobKey(key: string): void {
  const segments = key.split('/');
  const misfit = segments.some((each) => each === '.' || each === '..' || each.length > SEGMENT_LENGTH);
  if (key.length <= KEY_LENGTH && KEY.test(key) && !misfit) return;
  const message =
    `'${key.slice(0, 80)}' is not a key of a blob. ` +
    `Use segments of A-Z a-z 0-9 . _ - parted by '/', at most ${SEGMENT_LENGTH} characters each, ${KEY_LENGTH} in all.`;
  throw new MillraceError('BAD_REQUEST', message);
}

export function blobNotFound(key: string): MillraceError {
  return new MillraceError('BLOB_NOT_FOUND', `There is no blob '${key}'. It may have been deleted.`);
}

/**
 * The bytes [start, end) of a blob of `bytes`; without an end, to its end; past it, fewer. Throws BAD_REQUEST for a
 * range that cannot be.
 */
export function checkBlobRange(
  range: { readonly start: number; readonly end?: number } | undefined,
  bytes: number,
): { start: number; end: number } {
  const { start = 0, end = bytes } = range ?? {};
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new MillraceError(
      'BAD_REQUEST',
      `There is no range from ${start} to ${end}. Give 0 ≤ start ≤ end.`,
    );
  }
  return { start: Math.min(start, bytes), end: Math.min(end, bytes) };
}

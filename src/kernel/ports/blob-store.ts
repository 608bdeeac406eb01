import type { Service } from '../lifecycle.ts';

/**
 * Immutable bytes under keys (`artifacts/ab12…`): artifacts, objects, large payloads, backups.
 *
 * B1 a blob is visible whole or not at all, and is durable before `put` resolves; a crash leaves no half of one.
 * B2 `put` over an existing key replaces it atomically; readers of the old one finish with the old bytes.
 * Must not leak: paths, temporary files, multipart uploads.
 * Keys: segments of `[A-Za-z0-9._-]` parted by `/`, no segment `.` or `..`, at most 200 characters a segment and
 * 512 in all; else BAD_REQUEST. `range` is [start, end).
 */
export interface BlobStore extends Service {
  put(key: string, bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo>;
  /** Throws BLOB_NOT_FOUND. */
  get(key: string, range?: { readonly start: number; readonly end?: number }): Promise<Uint8Array>;
  stream(key: string): AsyncIterable<Uint8Array>;
  info(key: string): Promise<BlobInfo | undefined>;
  list(
    prefix: string,
    options?: { readonly after?: string; readonly limit?: number },
  ): Promise<readonly BlobInfo[]>;
  delete(key: string): Promise<void>;
}

export interface BlobInfo {
  readonly key: string;
  readonly bytes: number;
  /** SHA-256 of the content, lower-case hexadecimal. */
  readonly sha256: string;
  readonly modifiedMs: number;
}

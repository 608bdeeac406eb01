import { createHash } from 'node:crypto';
import {
  type BlobInfo,
  type BlobStore,
  blobNotFound,
  type Clock,
  checkBlobKey,
  checkBlobRange,
} from '../../kernel/index.ts';

interface Blob {
  readonly info: BlobInfo;
  readonly bytes: Uint8Array;
}

const CHUNK_BYTES = 65_536;

async function gather(bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return bytes instanceof Uint8Array ? Uint8Array.from(bytes) : Buffer.concat(await Array.fromAsync(bytes));
}

/** The blob store for tests and for programs that keep nothing. */
export function memoryBlobStore({ clock }: { readonly clock: Clock }): BlobStore {
  const blobs = new Map<string, Blob>();
  const find = (key: string): Blob => {
    checkBlobKey(key);
    const blob = blobs.get(key);
    if (!blob) throw blobNotFound(key);
    return blob;
  };
  return {
    name: 'blobs',
    async put(key, source) {
      checkBlobKey(key);
      const bytes = await gather(source);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const info = { key, bytes: bytes.length, sha256, modifiedMs: clock.now() };
      blobs.set(key, { info, bytes });
      return info;
    },
    async get(key, range) {
      const { bytes } = find(key);
      const { start, end } = checkBlobRange(range, bytes.length);
      return bytes.slice(start, end);
    },
    async *stream(key) {
      const { bytes } = find(key);
      for (let start = 0; start < bytes.length; start += CHUNK_BYTES)
        yield bytes.slice(start, start + CHUNK_BYTES);
    },
    info: async (key) => {
      checkBlobKey(key);
      return blobs.get(key)?.info;
    },
    async list(prefix, { after = '', limit = 1000 } = {}) {
      const keys = [...blobs.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
      return keys.slice(0, limit).map((key) => blobs.get(key)!.info);
    },
    async delete(key) {
      checkBlobKey(key);
      blobs.delete(key);
    },
  };
}

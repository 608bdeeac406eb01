import { promisify } from 'node:util';
import {
  gunzip,
  gunzipSync,
  gzipSync,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib';
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchInvalid,
  type Compression,
  readBatchHeader,
} from './header.ts';
import { lz4Frame } from './lz4.ts';
import { packLz4, packSnappy } from './pack-lz.ts';
import { snappy } from './snappy.ts';

const gunzipAsync = promisify(gunzip);
const zstdAsync = promisify(zstdDecompress);

/** Most bytes that one batch may unfold to, unless told. */
export const MAX_DECOMPRESSED_BYTES = 64 * 1024 * 1024;

/** The records of the compressed batch at `position`, as they are without compression: what `RecordCursor` and `decodeBatch` take as `records`. */
export type Decompress = (batch: Uint8Array, position?: number) => Promise<Uint8Array>;

/**
 * Decompresses where it is called: gzip and zstd on Node's thread pool, snappy and lz4 in this thread. Throws BATCH_INVALID for broken
 * bytes and beyond `maxBytes`. What runs on the main thread takes a `Decompress` of `createDecompress` instead.
 */
export async function decompressRecords(
  batch: Uint8Array,
  position = 0,
  maxBytes = MAX_DECOMPRESSED_BYTES,
): Promise<Uint8Array> {
  const header = readBatchHeader(batch, position);
  const packed = packedRecords(batch, position, header);
  if (header.compression !== 'gzip' && header.compression !== 'zstd')
    return decompressNow(batch, position, maxBytes);
  const options = { maxOutputLength: maxBytes, chunkSize: chunkBytes(packed, maxBytes) };
  try {
    const unpacked =
      header.compression === 'gzip' ? gunzipAsync(packed, options) : zstdAsync(packed, options);
    return plain(await unpacked);
  } catch (error) {
    throw broken(header, error);
  }
}

/** The same, all of it in this thread: for platform workers, and for what is known to be small. */
export function decompressNow(
  batch: Uint8Array,
  position = 0,
  maxBytes = MAX_DECOMPRESSED_BYTES,
): Uint8Array {
  const header = readBatchHeader(batch, position);
  const packed = packedRecords(batch, position, header);
  const options = { maxOutputLength: maxBytes, chunkSize: chunkBytes(packed, maxBytes) };
  try {
    switch (header.compression) {
      case 'none':
        return packed;
      case 'gzip':
        return plain(gunzipSync(packed, options));
      case 'zstd':
        return plain(zstdDecompressSync(packed, options));
      case 'snappy':
        return plain(snappy(packed, maxBytes));
      case 'lz4':
        return lz4Frame(packed, maxBytes);
    }
  } catch (error) {
    throw broken(header, error);
  }
}

/** The records of a batch, packed for the fastest reader. */
export function compressNow(records: Uint8Array, compression: Exclude<Compression, 'none'>): Uint8Array {
  switch (compression) {
    case 'gzip':
      return plain(gzipSync(records, { level: 1 }));
    case 'zstd':
      return plain(zstdCompressSync(records));
    case 'lz4':
      return packLz4(records);
    case 'snappy':
      return packSnappy(records);
  }
}

const packedRecords = (batch: Uint8Array, position: number, header: BatchHeader): Uint8Array =>
  batch.subarray(position + BATCH_HEADER_BYTES, position + header.sizeBytes);

/** Every chunk is a way to the thread pool and back: as few as memory allows. */
const chunkBytes = (packed: Uint8Array, maxBytes: number): number =>
  Math.max(64, Math.min(maxBytes, 1024 * 1024, packed.length * 4));

function broken({ compression }: BatchHeader, error: unknown): Error {
  const why = error instanceof Error ? error.message : String(error);
  return batchInvalid(`its ${compression} records cannot be decompressed (${why})`);
}

/** Not a Buffer: its `slice` and its way to print differ from what callers expect of bytes. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

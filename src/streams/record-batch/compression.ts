import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';
import { BATCH_HEADER_BYTES, batchInvalid, readBatchHeader } from './header.ts';
import { lz4Frame } from './lz4.ts';
import { snappy } from './snappy.ts';

const gunzipAsync = promisify(gunzip);
const zstdAsync = promisify(zstdDecompress);

/** Most bytes that one batch may unfold to, unless told. */
export const MAX_DECOMPRESSED_BYTES = 64 * 1024 * 1024;

/**
 * The records of the compressed batch at `position`, as they are without compression: what `RecordCursor` and `decodeBatch` take
 * as `records`. gzip and zstd run on Node's thread pool. Throws BATCH_INVALID for broken bytes and beyond `maxBytes`.
 */
export async function decompressRecords(
  batch: Uint8Array,
  position = 0,
  maxBytes = MAX_DECOMPRESSED_BYTES,
): Promise<Uint8Array> {
  const header = readBatchHeader(batch, position);
  const packed = batch.subarray(position + BATCH_HEADER_BYTES, position + header.sizeBytes);
  try {
    switch (header.compression) {
      case 'none':
        return packed;
      case 'gzip':
        return plain(await gunzipAsync(packed, { maxOutputLength: maxBytes }));
      case 'zstd':
        return plain(await zstdAsync(packed, { maxOutputLength: maxBytes }));
      case 'snappy':
        return plain(snappy(packed, maxBytes));
      case 'lz4':
        return lz4Frame(packed, maxBytes);
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw batchInvalid(`its ${header.compression} records cannot be decompressed (${why})`);
  }
}

/** Not a Buffer: its `slice` and its way to print differ from what callers expect of bytes. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

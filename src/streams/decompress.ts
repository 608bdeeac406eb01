import { siblingModule, type Workers } from '../kernel/index.ts';
import {
  type Decompress,
  decompressNow,
  decompressRecords,
  MAX_DECOMPRESSED_BYTES,
  readBatchHeader,
} from './record-batch/index.ts';

/** Packed records up to this size that unfold to at most `NEAR_BYTES` are unpacked at once: well under a millisecond. */
const NEAR_PACKED_BYTES = 16 * 1024;
const NEAR_BYTES = 256 * 1024;
const TASK = { module: siblingModule(import.meta.url, './decompress-task'), task: 'unpackBatch' };

/**
 * Decompression that never holds the main thread: gzip and zstd run on Node's thread pool; snappy and lz4, which are this
 * program's own, on platform workers where they are more than a little. Without workers they run where they are called.
 */
export function createDecompress(workers?: Workers): Decompress {
  return async (batch, position = 0) => {
    const { compression, sizeBytes } = readBatchHeader(batch, position);
    const ours = compression === 'snappy' || compression === 'lz4';
    if (!workers || !ours) return decompressRecords(batch, position);
    if (sizeBytes <= NEAR_PACKED_BYTES) {
      const unpacked = tryNear(batch, position);
      if (unpacked) return unpacked;
    }
    const copy = new Uint8Array(batch.subarray(position, position + sizeBytes));
    return workers.run<Uint8Array>(TASK, copy, { transfer: [copy.buffer] });
  };
}

/** Undefined when it unfolds to too much, or is broken: the worker tells which, against the limit that counts. */
function tryNear(batch: Uint8Array, position: number): Uint8Array | undefined {
  try {
    return decompressNow(batch, position, Math.min(NEAR_BYTES, MAX_DECOMPRESSED_BYTES));
  } catch {
    return undefined;
  }
}

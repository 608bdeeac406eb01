import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createWorkers, isMillraceError, manualClock } from '../kernel/index.ts';
import { createDecompress } from './decompress.ts';
import { BATCH_HEADER_BYTES, COMPRESSIONS, encodeBatch, packBatch } from './record-batch/index.ts';

/** The batch with its records as one stored LZ4 block a frame of 4 MB blocks allows. */
function lz4Batch(plain: Uint8Array): Uint8Array {
  const records = plain.subarray(BATCH_HEADER_BYTES);
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < records.length; at += 4 * 1024 * 1024) {
    const block = records.subarray(at, at + 4 * 1024 * 1024);
    const size = Buffer.alloc(4);
    size.writeUInt32LE((block.length | 0x80000000) >>> 0);
    blocks.push(size, block);
  }
  const head = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0];
  const batch = Buffer.concat([
    plain.subarray(0, BATCH_HEADER_BYTES),
    Uint8Array.from(head),
    ...blocks,
    Buffer.alloc(4),
  ]);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt16BE(COMPRESSIONS.indexOf('lz4'), 21);
  return new Uint8Array(batch);
}

describe('decompression off the main thread', () => {
  const workers = createWorkers({ size: 1, queue: 10, idleMs: 1000, clock: manualClock() });
  after(() => workers.stop!(AbortSignal.abort()));
  const batchOf = (bytes: number): Uint8Array =>
    encodeBatch([{ value: new Uint8Array(bytes).fill(7) }], { timeMs: 1 });

  it('unpacks what is small where it is, what is large in a worker, and gives the same', async () => {
    const decompress = createDecompress(workers);
    const small = batchOf(1000);
    assert.deepEqual(await decompress(lz4Batch(small)), small.slice(BATCH_HEADER_BYTES));
    assert.equal(workers.threads, 0);
    const large = batchOf(6_000_000);
    for (const packed of [lz4Batch(large), packBatch(large, 'gzip'), packBatch(large, 'zstd')]) {
      const behind = new Uint8Array(packed.length + 100);
      behind.set(packed, 100);
      assert.ok(Buffer.from(await decompress(behind, 100)).equals(large.subarray(BATCH_HEADER_BYTES)));
    }
    assert.equal(workers.threads, 1);
  });

  it('tells what is broken, wherever it is found', async () => {
    for (const decompress of [createDecompress(workers), createDecompress()]) {
      for (const bytes of [1000, 100_000]) {
        const batch = lz4Batch(batchOf(bytes));
        batch[BATCH_HEADER_BYTES] = 0;
        await assert.rejects(decompress(batch), (error) => isMillraceError(error, 'BATCH_INVALID'));
      }
    }
  });
});

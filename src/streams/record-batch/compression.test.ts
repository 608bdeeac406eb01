import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { isMillraceError } from '../../kernel/index.ts';
import {
  BATCH_HEADER_BYTES,
  COMPRESSIONS,
  type Compression,
  decodeBatch,
  decompressRecords,
  encodeBatch,
  packBatch,
  repackBatch,
} from './index.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** The batch with its records replaced by `packed`. */
function repacked(batch: Uint8Array, compression: Compression, packed: Uint8Array): Uint8Array {
  const result = new Uint8Array(BATCH_HEADER_BYTES + packed.length);
  result.set(batch.subarray(0, BATCH_HEADER_BYTES));
  result.set(packed, BATCH_HEADER_BYTES);
  const view = new DataView(result.buffer);
  view.setInt32(8, result.length - 12);
  view.setInt16(21, COMPRESSIONS.indexOf(compression));
  return result;
}

/** Literals only: valid snappy without a compressor. */
function snappyLiteral(bytes: Uint8Array): Uint8Array {
  const length = [(bytes.length & 127) | 128, ((bytes.length >> 7) & 127) | 128, bytes.length >> 14];
  return Uint8Array.from([...length, 61 << 2, (bytes.length - 1) & 255, (bytes.length - 1) >> 8, ...bytes]);
}

const batch = encodeBatch(
  Array.from({ length: 40 }, (_, index) => ({ key: text(`k${index}`), value: text(`value ${index % 3}`) })),
  { timeMs: 1 },
);
const records = batch.subarray(BATCH_HEADER_BYTES);
const lz4Head = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];

describe('compressed batches', () => {
  test('gzip, zstd, snappy raw and framed, and stored LZ4 blocks give the same records', async () => {
    const stream = Uint8Array.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    const block = snappyLiteral(records);
    const framed = Buffer.concat([stream, Buffer.from([0, 0, block.length >> 8, block.length & 255]), block]);
    const stored = [records.length & 255, records.length >> 8, 0, 0x80];
    const cases: [Compression, Uint8Array][] = [
      ['gzip', gzipSync(records)],
      ['zstd', zstdCompressSync(records)],
      ['snappy', block],
      ['snappy', framed],
      ['lz4', Uint8Array.from([...lz4Head, ...stored, ...records, 0, 0, 0, 0])],
    ];
    for (const [compression, packed] of cases) {
      const whole = repacked(batch, compression, packed);
      assert.deepEqual(
        decodeBatch(whole, 0, await decompressRecords(whole)),
        decodeBatch(batch),
        compression,
      );
    }
  });

  test('matches that overlap themselves unfold byte by byte', async () => {
    // LZ4: literal 'ab', then a match of 6 at distance 2; the last sequence is one literal.
    const lz4 = Uint8Array.from([...lz4Head, 7, 0, 0, 0, 0x22, 97, 98, 2, 0, 0x10, 33, 0, 0, 0, 0]);
    assert.equal(Buffer.from(await decompressRecords(repacked(batch, 'lz4', lz4))).toString(), 'abababab!');
    // Snappy: 8 bytes; literal 'ab', then a copy of 6 at distance 2.
    const snappy = Uint8Array.from([8, 1 << 2, 97, 98, (5 << 2) | 2, 2, 0]);
    assert.equal(
      Buffer.from(await decompressRecords(repacked(batch, 'snappy', snappy))).toString(),
      'abababab',
    );
  });

  test('a bomb stops at the bound', async () => {
    const bomb = gzipSync(new Uint8Array(8_000_000));
    await assert.rejects(decompressRecords(repacked(batch, 'gzip', bomb), 0, 1_000_000), (error) =>
      isMillraceError(error, 'BATCH_INVALID'),
    );
  });

  test('random bytes are BATCH_INVALID or some records, never a crash', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<Compression>('gzip', 'zstd', 'snappy', 'lz4'),
        fc.uint8Array({ maxLength: 300 }),
        fc.boolean(),
        async (compression, bytes, lz4) => {
          const packed = lz4 ? Uint8Array.from([...lz4Head, ...bytes]) : bytes;
          const whole = repacked(batch, compression, packed.length > 0 ? packed : new Uint8Array(1));
          await decompressRecords(whole, 0, 100_000).catch((error) =>
            assert.ok(isMillraceError(error, 'BATCH_INVALID'), String(error)),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  for (const compression of ['gzip', 'zstd', 'lz4', 'snappy'] as const) {
    test(`${compression}: what is packed here unfolds to what it was`, async () => {
      const words = fc.array(fc.constantFrom('payment ', 'of ', 'card ', 'x', '\0', 'amount '), {
        maxLength: 3_000,
      });
      const values = fc.oneof(
        fc.uint8Array({ maxLength: 3_000 }),
        words.map((some) => text(some.join(''))),
        // Longer than a block, and with matches as long as they come.
        fc.nat(200_000).map((size) => new Uint8Array(size).fill(7)),
      );
      const property = fc.asyncProperty(fc.array(values, { minLength: 1, maxLength: 4 }), async (some) => {
        const plain = encodeBatch(
          some.map((value) => ({ value })),
          { timeMs: 1 },
        );
        const packed = packBatch(plain, compression);
        const records = await decompressRecords(packed);
        assert.ok(Buffer.compare(records, plain.subarray(BATCH_HEADER_BYTES)) === 0);
        assert.deepEqual(Buffer.compare(repackBatch(packed, records, 'none'), plain), 0);
      });
      await fc.assert(property, { numRuns: 60 });
    });
  }

  test('lz4 and snappy pack what repeats itself', () => {
    const plain = encodeBatch([{ value: text('{"card":"1234","amount":12.5},'.repeat(5_000)) }], {
      timeMs: 1,
    });
    for (const compression of ['lz4', 'snappy'] as const) {
      assert.ok(packBatch(plain, compression).length < plain.length / 10, compression);
    }
  });
});

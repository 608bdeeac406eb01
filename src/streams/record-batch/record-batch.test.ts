import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isMillraceError, seededRandom } from '../../kernel/index.ts';
import {
  type BatchRecord,
  crc32c,
  crcMatches,
  decodeBatch,
  encodeBatch,
  encodeMarker,
  murmur2,
  partitionOfKey,
  RecordCursor,
  readBatchHeader,
  readMarker,
  setAppendTime,
  setBaseOffset,
  splitBatches,
} from './index.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const bytes = fc.uint8Array({ maxLength: 200 });
const record: fc.Arbitrary<BatchRecord> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.array(fc.record({ key: fc.string(), value: fc.option(bytes) }, { noNullPrototype: true }), {
    maxLength: 3,
  }),
  timeMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
});

describe('record batches', () => {
  test('CRC-32C agrees with the check value of RFC 3720 and with itself in any pieces', () => {
    assert.equal(crc32c(text('123456789')), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    const long = seededRandom(7).bytes(300_000);
    let pieces = 0;
    for (let at = 0; at < long.length; at += 77)
      pieces = crc32c(long, at, Math.min(at + 77, long.length), pieces);
    assert.equal(crc32c(long), pieces);
  });

  test('a batch laid out by hand from the protocol guide is read as it says', () => {
    // One record: key 'k', value 'v', no headers; its body is 8 bytes, the batch 70.
    const batch = Buffer.from(
      `000000000000002a0000003a${'00000005'}02${'00000000'}0000${'00000000'}${'0000018bcfe56800'.repeat(2)}` +
        `${'ffffffffffffffff'}ffffffffffffffff`.slice(0, 28) +
        `00000001${'10'}00000002${'6b'}0276${'00'}`,
      'hex',
    );
    const header = readBatchHeader(batch);
    assert.equal(header.baseOffset, 42);
    assert.equal(header.sizeBytes, batch.length);
    assert.equal(header.leaderEpoch, 5);
    assert.equal(header.producerId, -1);
    assert.equal(header.baseSequence, -1);
    const [only] = decodeBatch(batch);
    assert.deepEqual(
      [only?.offset, only?.timeMs, Buffer.from(only!.key!).toString(), Buffer.from(only!.value!).toString()],
      [42, 1_700_000_000_000, 'k', 'v'],
    );
  });

  test('what is encoded is decoded, whatever it is', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 30 }), (records) => {
        const batch = encodeBatch(records, { timeMs: 5, baseOffset: 1000 });
        assert.ok(crcMatches(batch));
        const decoded = decodeBatch(batch);
        assert.deepEqual(
          decoded.map(({ offset, ...rest }) => rest),
          records.map(({ key, value, headers, timeMs }) => ({ timeMs, key, value, headers })),
        );
        assert.deepEqual(
          decoded.map((entry) => entry.offset),
          records.map((_, index) => 1000 + index),
        );
        assert.equal(
          readBatchHeader(batch).maxTimestampMs,
          Math.max(...records.map((entry) => entry.timeMs!)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('mutated bytes give BATCH_INVALID or a readable batch whose CRC tells, never anything else', () => {
    const batch = encodeBatch(
      Array.from({ length: 20 }, (_, index) => ({ key: text(`k${index}`), value: text('value'.repeat(9)) })),
      { timeMs: 1 },
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(batch.length - 1), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.nat(batch.length),
        (flips, cut) => {
          const mutated = cut % 3 === 0 ? batch.slice(0, cut) : batch.slice();
          for (const [at, mask] of flips) if (at < mutated.length) mutated[at]! ^= mask;
          try {
            for (const { position } of splitBatches(mutated)) decodeBatch(mutated, position);
          } catch (error) {
            assert.ok(isMillraceError(error, 'BATCH_INVALID'), String(error));
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('one flipped bit anywhere under the CRC is found', () => {
    const batch = encodeBatch([{ value: text('hello') }], { timeMs: 1 });
    for (let bit = 17 * 8; bit < batch.length * 8; bit++) {
      const mutated = batch.slice();
      mutated[bit >> 3]! ^= 1 << (bit & 7);
      assert.ok(!crcMatches(mutated), `bit ${bit}`);
    }
  });

  test('a count that promises more records than there are bytes is refused before anything is allocated', () => {
    const batch = encodeBatch([{ value: text('x') }], { timeMs: 1 });
    new DataView(batch.buffer).setInt32(23, 0x7ffffffe);
    new DataView(batch.buffer).setInt32(57, 0x7fffffff);
    assert.throws(
      () => readBatchHeader(batch),
      (error) => isMillraceError(error, 'BATCH_INVALID'),
    );
  });

  test('base offset and leader epoch change without touching the CRC; the time of append renews it', () => {
    const batch = encodeBatch([{ value: text('a') }, { value: text('b') }], { timeMs: 1 });
    setBaseOffset(batch, 0, 2 ** 40, 3);
    assert.ok(crcMatches(batch));
    assert.equal(readBatchHeader(batch).lastOffset, 2 ** 40 + 1);
    setAppendTime(batch, 0, 99);
    assert.ok(crcMatches(batch));
    assert.deepEqual(
      decodeBatch(batch).map((entry) => entry.timeMs),
      [99, 99],
    );
  });

  test('markers say how a transaction ended', () => {
    for (const outcome of ['commit', 'abort'] as const) {
      const marker = encodeMarker(outcome, { producerId: 7, epoch: 2 }, 1);
      assert.equal(readMarker(marker), outcome);
      const header = readBatchHeader(marker);
      assert.deepEqual(
        [header.control, header.transactional, header.producerId, header.producerEpoch, header.recordCount],
        [true, true, 7, 2, 1],
      );
    }
  });

  test('a cursor finds keys and values in place', () => {
    const batch = encodeBatch([{ key: text('one'), value: null }, { value: text('') }], { timeMs: 1 });
    const cursor = new RecordCursor(batch);
    assert.ok(cursor.next());
    assert.deepEqual([cursor.keyLength, cursor.valueLength], [3, -1]);
    assert.equal(cursor.key()!.buffer, batch.buffer);
    assert.ok(cursor.next());
    assert.deepEqual([cursor.key(), cursor.valueLength], [null, 0]);
    assert.ok(!cursor.next());
  });

  test("murmur2 gives what Kafka's clients give", () => {
    // The vectors of Kafka's UtilsTest.testMurmur2.
    const vectors: [string, number][] = [
      ['21', -973932308],
      ['foobar', -790332482],
      ['a-little-bit-long-string', -985981536],
      ['a-little-bit-longer-string', -1486304829],
      ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
      ['abc', 479470107],
    ];
    for (const [key, hash] of vectors) assert.equal(murmur2(text(key)), hash, key);
    for (let count = 1; count < 9; count++) assert.ok(partitionOfKey(text('foobar'), count) < count);
  });
});

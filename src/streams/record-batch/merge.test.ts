import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { crcMatches, decodeBatch, encodeBatch, mergeBatches, readBatchHeader, setProducer } from './index.ts';

const bytes = fc.uint8Array({ maxLength: 40 });
const record = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  timeMs: fc.integer({ min: 0, max: 2 ** 42 }),
  headers: fc.array(fc.record({ key: fc.string({ maxLength: 4 }), value: fc.option(bytes) }), {
    maxLength: 2,
  }),
});

describe('merged batches', () => {
  it('hold all records of the parts in their order', () => {
    const parts = fc.array(fc.array(record, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(parts, (lists) => {
        const batch = mergeBatches(lists.map((records) => encodeBatch(records, { timeMs: 0 })));
        const whole = decodeBatch(encodeBatch(lists.flat(), { timeMs: 0 }));
        assert.deepEqual(decodeBatch(batch), whole);
        assert.ok(crcMatches(batch));
        const room = new Uint8Array(64 * 1024).fill(7);
        assert.deepEqual(
          mergeBatches(
            lists.map((records) => encodeBatch(records, { timeMs: 0 })),
            room,
          ),
          batch,
        );
        const { maxTimestampMs, recordCount } = readBatchHeader(batch);
        assert.equal(recordCount, whole.length);
        assert.equal(maxTimestampMs, Math.max(...whole.map((one) => one.timeMs)));
      }),
    );
  });

  it('can be stamped with a producer', () => {
    const batch = encodeBatch([{ value: new Uint8Array(3) }], { timeMs: 5 });
    setProducer(batch, { producerId: 7, epoch: 2, sequence: 11 }, true);
    const { producerId, producerEpoch, baseSequence, transactional } = readBatchHeader(batch);
    assert.deepEqual([producerId, producerEpoch, baseSequence, transactional], [7, 2, 11, true]);
    assert.ok(crcMatches(batch));
  });

  it('keep a checksum that matches, or does not, whatever their size and producer', () => {
    const producer = fc.record({
      producerId: fc.integer({ min: -1, max: 2 ** 50 }),
      epoch: fc.integer({ min: -1, max: 32_767 }),
      sequence: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
    });
    const sizes = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 200_000 }));
    fc.assert(
      fc.property(
        sizes,
        fc.array(producer, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        (size, all, txn) => {
          const batch = Buffer.from(encodeBatch([{ value: new Uint8Array(size).fill(size) }], { timeMs: 5 }));
          for (const one of all) setProducer(batch, one, txn);
          assert.ok(crcMatches(batch));
          batch[batch.length - 1]! ^= 1;
          for (const one of all) setProducer(batch, one, !txn);
          assert.ok(!crcMatches(batch), 'damage is not sealed');
        },
      ),
    );
  });
});

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
});

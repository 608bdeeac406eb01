import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BatchWriter, encodeBatch, WriterBuffers } from './index.ts';

const bytes = fc.uint8Array({ maxLength: 200 });
const record = fc.record({
  key: fc.option(bytes),
  value: fc.oneof(bytes, fc.string({ unit: 'grapheme', maxLength: 80 }), fc.string({ maxLength: 40 })),
  headers: fc.option(
    fc.array(fc.record({ key: fc.string({ unit: 'grapheme' }), value: fc.option(bytes) }), { maxLength: 3 }),
    { nil: undefined },
  ),
  timeMs: fc.option(fc.integer({ min: 0, max: 4_000_000_000_000 }), { nil: undefined }),
});

describe('a batch written record by record', () => {
  test('is byte for byte the batch encoded at once, with buffers used again', () => {
    const buffers = new WriterBuffers();
    const timeMs = 1_700_000_000_000;
    const producer = { producerId: 7, epoch: 1, sequence: 3 };
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 60 }), (records) => {
        const writer = new BatchWriter(buffers, timeMs);
        for (const { key, value, headers, timeMs: own } of records) {
          const parts = { key, headers, timeMs: own };
          if (typeof value === 'string') writer.addText(parts, value);
          else writer.addBytes(parts, Uint8Array.of(9, ...value, 9), 1, value.length + 1);
        }
        const same = records.map(({ key, value, headers, timeMs: own }) => ({
          key,
          value: Buffer.from(value as string),
          ...(headers ? { headers } : {}),
          ...(own === undefined ? {} : { timeMs: own }),
        }));
        assert.equal(writer.count, records.length);
        assert.deepEqual(writer.finish({ timeMs, producer }), encodeBatch(same, { timeMs, producer }));
      }),
    );
  });

  test('carries the time at which it is finished where no record has one of its own', () => {
    const writer = new BatchWriter(new WriterBuffers(), 1000);
    writer.addText({ key: null }, 'a');
    const expected = encodeBatch([{ key: null, value: Buffer.from('a') }], { timeMs: 2000 });
    assert.deepEqual(writer.finish({ timeMs: 2000 }), expected);
  });
});

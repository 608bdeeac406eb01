import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBatch } from '../../streams/record-batch/index.ts';
import { decodeRecords } from './record-decoding.ts';

describe('the value of a record in a handler', () => {
  it('is JSON, behind the frame of a schema registry too, else text or bytes', () => {
    const frame = [0, 0, 0, 0, 7];
    const values = [
      Buffer.from('{"a":1}'),
      Buffer.from([...frame, ...Buffer.from('{"a":2}')]),
      Buffer.from([...frame, 2, 6]),
      Buffer.from('text'),
      Buffer.from([0xff, 0xfe]),
    ];
    const batch = encodeBatch(
      values.map((value) => ({ value })),
      { timeMs: 1 },
    );
    assert.deepEqual(
      decodeRecords('s', 0, batch).records.map(({ value }) => value),
      [{ a: 1 }, { a: 2 }, '\0\0\0\0\u0007\u0002\u0006', 'text', Uint8Array.of(0xff, 0xfe)],
    );
  });
});

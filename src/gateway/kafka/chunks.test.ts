import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Chunks } from './chunks.ts';

describe('bytes as they arrive', () => {
  it('come out as they went in, however they are cut, and stay what they are', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(sizes, sizes, (arriving, taken) => {
        const chunks = new Chunks();
        let next = 0;
        for (const size of arriving) {
          // Memory of its own, as the system gives it.
          const chunk = Buffer.from(new Uint8Array(size).buffer);
          for (let at = 0; at < size; at++) chunk[at] = next++;
          chunks.push(chunk);
        }
        const frames: Buffer[] = [];
        for (const size of taken) if (size <= chunks.sizeBytes) frames.push(chunks.take(size));
        let expected = 0;
        for (const byte of Buffer.concat(frames)) assert.equal(byte, expected++ & 255);
      }),
    );
  });

  it('give numbers across a cut, and memory back that was copied', () => {
    const chunks = new Chunks();
    const [first, second] = [
      Buffer.from(new Uint8Array([0, 0, 1]).buffer),
      Buffer.from(new Uint8Array([2, 9, 9]).buffer),
    ];
    chunks.push(first);
    chunks.push(second);
    assert.equal(chunks.takeInt32(), 258);
    assert.equal(first.length, 0, 'given back');
    const view = chunks.take(2);
    assert.deepEqual([...view], [9, 9]);
    assert.equal(chunks.sizeBytes, 0);
    assert.deepEqual([...second], [2, 9, 9], 'still there: a frame is a view of it');
  });
});

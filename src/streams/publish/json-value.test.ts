import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../kernel/index.ts';
import { scanWhole } from '../json/check.ts';
import { parseKeyPath } from '../json/key-path.ts';
import { createScanner } from '../json/scanner.ts';
import { isPlainJson, KeyBytes } from './json-value.ts';
import { keyOfJson } from './keys.ts';

const parsed = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json);
const PATHS = ['/k', '/k/k', '/é', '/'].map(parseKeyPath);
const member = fc.oneof(parsed, fc.string({ unit: 'binary' }), fc.double(), fc.constant({ k: 'deep' }));
const keyed = fc
  .dictionary(fc.constantFrom('k', 'é', '', 'other'), member)
  .map((value) => JSON.parse(JSON.stringify(value)) as Json);

describe('values at hand', () => {
  test('are plain when their text gives the same value back', () => {
    fc.assert(fc.property(parsed, (value) => assert.ok(isPlainJson(value))));
    for (const value of [1, 'a', null, true, [], {}, [{ a: [1] }]]) assert.ok(isPlainJson(value));
  });

  test('are not plain when their text would say something else, or nothing', () => {
    class Money {
      amount = 1;
    }
    const others = [undefined, Number.NaN, 1n, new Date(), new Money(), new Map(), Object.create(null)];
    const own = { toJSON: () => 1 };
    for (const value of [...others, own, Symbol('a'), () => 1]) {
      assert.equal(isPlainJson(value), false);
      assert.equal(isPlainJson({ value }), false);
      assert.equal(isPlainJson([value]), false);
    }
    assert.equal(isPlainJson(new Array(1)), false);
    let deep: Json = 1;
    for (let level = 0; level < 40; level++) deep = [deep];
    assert.equal(isPlainJson(deep), false, 'left to the check of the text, which knows the limit');
  });

  test('have the key that their text has', () => {
    const keys = new KeyBytes();
    fc.assert(
      fc.property(fc.oneof(keyed, parsed), fc.constantFrom(...PATHS), (value, path) => {
        const bytes = Buffer.from(JSON.stringify(value));
        const { keyStart, keyEnd } = scanWhole(bytes, createScanner({ path }));
        const expected = keyOfJson(bytes, keyStart, keyEnd);
        const found = keys.of(value, path);
        if (typeof expected === 'string') assert.equal(found, expected);
        else
          assert.equal(
            Buffer.from(found as Uint8Array).toString('hex'),
            Buffer.from(expected).toString('hex'),
          );
      }),
      { numRuns: 500 },
    );
  });
});

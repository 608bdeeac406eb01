import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { manualClock, seededRandom } from '../../kernel/index.ts';
import { KeyedState } from './keyed-state.ts';

const write = fc.record({
  key: fc.uint8Array({ minLength: 1, maxLength: 2, max: 3 }),
  value: fc.option(fc.uint8Array({ maxLength: 3000 })),
});

const hex = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && Buffer.from(bytes).toString('hex');

describe('keyed state', () => {
  test('holds what a map would hold, however often it moves, and what it gave out stays as it was', () => {
    fc.assert(
      fc.property(fc.array(write, { maxLength: 120 }), (writes) => {
        const state = new KeyedState(manualClock());
        const expected = new Map<string, string>();
        const given: { bytes: Uint8Array; was: string }[] = [];
        for (const { key, value } of writes) {
          const before = state.get(key);
          if (before) given.push({ bytes: before, was: hex(before)! });
          const own = value && new Uint8Array(value);
          state.apply({ key, value: own });
          own?.fill(0);
          if (value) expected.set(hex(key)!, hex(value)!);
          else expected.delete(hex(key)!);
          assert.equal(hex(state.get(key)), expected.get(hex(key)!));
          assert.equal(
            hex(state.get(Buffer.from(key).toString('latin1'))),
            expected.get(hex(key)!),
            'a string stands for its bytes',
          );
        }
        for (const { bytes, was } of given) assert.equal(hex(bytes), was);
        const entries = [...state.entries()].map(({ key, value }) => [hex(key), hex(value)]);
        assert.deepEqual(new Map(entries as [string, string][]), expected);
        assert.equal(state.size, expected.size);
      }),
    );
  });

  test('takes little more than twice what lives, whatever is written how often', () => {
    const state = new KeyedState(manualClock());
    const random = seededRandom(3);
    const sizes = new Map<string, number>();
    const chunk = 64 * 1024;
    for (let step = 0; step < 30_000; step++) {
      const key = `k${random.integer(300)}`;
      const size = random.integer(2000);
      state.apply({ key: Buffer.from(key), value: step % 7 === 0 ? null : new Uint8Array(size).fill(step) });
      if (step % 7 === 0) sizes.delete(key);
      else sizes.set(key, size);
      if (step % 100 > 0) continue;
      const live = sizes.values().reduce((sum, each) => sum + each, 0);
      assert.ok(state.memoryBytes <= 2.2 * live + 3 * chunk, `${state.memoryBytes} bytes for ${live}`);
    }
    for (const [key, size] of sizes) assert.equal(state.get(key)?.length, size);
  });

  test('hides what is past its time and frees it', () => {
    const clock = manualClock();
    const state = new KeyedState(clock);
    state.apply({ key: Buffer.from('a'), value: Buffer.from('1'), expiresAtMs: clock.now() + 10 });
    state.apply({ key: Buffer.from('b'), value: Buffer.from('2') });
    assert.equal(state.size, 2);
    clock.advance(10);
    assert.equal(state.get('a'), undefined);
    assert.equal(state.size, 1);
    assert.deepEqual(state.removeExpired().map(hex), [hex(Buffer.from('a'))]);
    assert.equal(hex(state.get('b')), hex(Buffer.from('2')));
  });
});

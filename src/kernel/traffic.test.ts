import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { chooseWeighted, type WeightedChoice } from './traffic.ts';

const KEYS = Array.from({ length: 20_000 }, (_, index) => `user-${index}`);

function assign(weights: { [name: string]: number }): Map<string, string | undefined> {
  const choices = Object.entries(weights).map(([name, weight]) => ({ name, weight }));
  return new Map(KEYS.map((key) => [key, chooseWeighted(choices, key)?.name]));
}

function share(assigned: Map<string, string | undefined>, name: string): number {
  return [...assigned.values()].filter((each) => each === name).length / KEYS.length;
}

describe('the weighted, sticky choice', () => {
  it('gives each choice its share of many keys', () => {
    const assigned = assign({ stable: 90, canary: 10, shadow: 0 });
    // Four standard deviations of a share of 10 % over 20,000 keys are 0.0085.
    assert.ok(Math.abs(share(assigned, 'canary') - 0.1) < 0.0085);
    assert.equal(share(assigned, 'shadow'), 0);
  });

  it('moves only what a change of weights has to move', () => {
    const before = assign({ stable: 95, canary: 5 });
    const after = assign({ stable: 90, canary: 10 });
    const moved = KEYS.filter((key) => before.get(key) !== after.get(key));
    assert.ok(
      moved.every((key) => after.get(key) === 'canary'),
      'none goes back',
    );
    assert.ok(Math.abs(moved.length / KEYS.length - 0.05) < 0.007);
  });

  it('leaves the others alone when a choice comes or goes', () => {
    const before = assign({ a: 1, b: 1, c: 1 });
    const after = assign({ a: 1, c: 1 });
    assert.ok(KEYS.every((key) => before.get(key) === 'b' || before.get(key) === after.get(key)));
  });

  it('depends on nothing but names, weights and the key', () => {
    const choices = fc.uniqueArray(
      fc.record({ name: fc.string({ minLength: 1 }), weight: fc.integer({ min: 0, max: 100 }) }),
      { selector: (each) => each.name, maxLength: 5 },
    );
    fc.assert(
      fc.property(choices, fc.string(), fc.integer({ min: 2, max: 9 }), (list, key, factor) => {
        const chosen = chooseWeighted(list, key);
        assert.equal(chooseWeighted(list.toReversed(), key), chosen);
        const scaled: WeightedChoice[] = list.map((each) => ({ ...each, weight: each.weight * factor }));
        assert.equal(chooseWeighted(scaled, key)?.name, chosen?.name);
        assert.equal(
          chosen === undefined,
          list.every((each) => each.weight === 0),
        );
      }),
    );
  });

  it('stays as it is from version to version', () => {
    const choices = [
      { name: 'blue', weight: 1 },
      { name: 'green', weight: 1 },
    ];
    const picks = ['a', 'b', 'c', 'd', 'e', 'f'].map((key) => chooseWeighted(choices, key)?.name[0]);
    assert.equal(picks.join(''), 'bggbbb');
  });

  it('refuses weights that mean nothing', () => {
    for (const weight of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => chooseWeighted([{ name: 'a', weight }], 'k'), RangeError);
    }
  });
});

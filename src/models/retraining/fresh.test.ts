import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addDelay, type Delays, delayOf } from '../labels/delays.ts';
import { freshWeights, heldBackPlaces } from './fresh.ts';

const places = (held: Set<number>): number[] => [...held].sort((a, b) => a - b);

describe('rows of a new period', () => {
  it('judge and are learnt from, together with the latest before them', () => {
    const timesMs = Array.from({ length: 20 }, (_, at) => at);
    const parting = { part: 0.2, freshFromMs: null, leastRows: 0 };
    assert.deepEqual(places(heldBackPlaces(timesMs, parting)), [16, 17, 18, 19]);
    // Of six new ones two judge, and as many before them.
    assert.deepEqual(places(heldBackPlaces(timesMs, { ...parting, freshFromMs: 14 })), [12, 13, 14, 17]);
    // The gates need five: three of those before, but no more than a fifth.
    assert.deepEqual(
      places(heldBackPlaces(timesMs, { ...parting, freshFromMs: 14, leastRows: 5 })),
      [11, 12, 13, 14, 17],
    );
    assert.deepEqual(places(heldBackPlaces(timesMs, { ...parting, freshFromMs: 99 })), [16, 17, 18, 19]);
  });

  it('count for as much as all others, at most ten times as much each', () => {
    assert.deepEqual([...freshWeights([false, false, false, true], undefined)], [1, 1, 1, 3]);
    assert.deepEqual([...freshWeights([false, true], Float64Array.of(50, 2))], [50, 20]);
    assert.deepEqual([...freshWeights([true, true, false], undefined)], [1, 1, 1]);
  });
});

describe('how late labels come', () => {
  it('is told within a fifth, from counts alone', () => {
    const delays: Delays = [];
    assert.equal(delayOf(delays, 0.9), 0);
    for (let label = 0; label < 100; label++) addDelay(delays, label < 80 ? 5000 : 604_800_000);
    const [most, almostAll] = [delayOf(delays, 0.7), delayOf(delays, 0.9)];
    assert.ok(most >= 5000 && most < 6000, `${most}`);
    assert.ok(almostAll >= 604_800_000 && almostAll < 1.2 * 604_800_000, `${almostAll}`);
    addDelay(delays, -1);
    addDelay(delays, Number.MAX_SAFE_INTEGER);
    assert.ok(delays.length <= 220);
  });
});

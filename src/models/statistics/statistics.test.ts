import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../kernel/index.ts';
import { chiSquareTail, hypergeometricTail, logGamma, normalTail, normalUpperQuantile } from './special.ts';
import {
  beyondRangeTest,
  holm,
  homogeneityTest,
  kolmogorovSmirnovTest,
  largerShareTest,
  shareTest,
} from './tests.ts';

const close = (actual: number, expected: number, tolerance = 1e-9): void =>
  assert.ok(
    Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${actual} ≠ ${expected}`,
  );

describe('distributions', () => {
  it('agree with the tables', () => {
    close(logGamma(0.5), Math.log(Math.PI) / 2);
    close(logGamma(101), 363.7393755555635, 1e-13);
    close(chiSquareTail(3.841458820694124, 1), 0.05);
    close(chiSquareTail(18.307038053275146, 10), 0.05);
    // With two degrees of freedom the tail is exp(-x/2), far out too.
    close(chiSquareTail(200, 2) / Math.exp(-100), 1);
    close(normalTail(1.959963984540054), 0.025);
    close(normalUpperQuantile(0.025), 1.959963984540054, 1e-8);
    close(normalUpperQuantile(0.9), -1.2815515655446004, 1e-8);
  });

  it('give the lady tasting tea her chances (Fisher, 1935)', () => {
    close(hypergeometricTail(4, 4, 4, 8), 1 / 70);
    close(hypergeometricTail(3, 4, 4, 8), 17 / 70);
    assert.equal(hypergeometricTail(0, 4, 4, 8), 1);
    assert.equal(hypergeometricTail(5, 4, 4, 8), 0);
  });

  it('count every hypergeometric outcome once', () => {
    const counts = fc.tuple(fc.nat(30), fc.nat(30), fc.nat(30));
    fc.assert(
      fc.property(counts, ([marked, others, wanted]) => {
        const total = marked + others;
        const drawn = Math.min(wanted, total);
        for (let k = 0; k <= drawn; k++) {
          const here = hypergeometricTail(k, drawn, marked, total);
          // P(X ≥ k) of the marked and P(Y ≥ drawn - k + 1) of the others are all there is.
          close(here + hypergeometricTail(drawn - k + 1, drawn, others, total), 1, 1e-8);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('tests of two samples', () => {
  it('agree with worked examples', () => {
    // G of (10, 20) and (25, 15) without correction, over Williams' factor, both worked out apart.
    const { statistic } = homogeneityTest([10, 20], [25, 15]);
    close(statistic, 5.924696128065079 / 1.0220238095238094);
    const ks = kolmogorovSmirnovTest([100, 0], [0, 100]);
    assert.equal(ks.statistic, 1);
    assert.ok(ks.p < 1e-40);
    // The highest three of ten and five values are all new: 5/15 · 4/14 · 3/13.
    close(beyondRangeTest(3, 5, 10).p, (5 * 4 * 3) / (15 * 14 * 13));
    close(shareTest(1, 10, 9, 10).p, 2 * hypergeometricTail(9, 10, 10, 20));
    assert.ok(largerShareTest(9, 10, 1, 10).p > 0.99);
  });

  it('say nothing without data', () => {
    for (const test of [homogeneityTest, kolmogorovSmirnovTest]) {
      assert.equal(test([0, 0], [3, 4]).p, 1);
      assert.equal(test([5], [4]).p, 1);
    }
    assert.equal(shareTest(0, 0, 1, 1).p, 1);
    assert.equal(beyondRangeTest(3, 3, 0).p, 1);
  });

  it('alarm as often as they say when nothing changed, wherever the cells come from', () => {
    const random = seededRandom(3);
    const rounds = 1500;
    const alarms = { g: 0, ks: 0, range: 0, share: 0 };
    const level = 0.05;
    for (let round = 0; round < rounds; round++) {
      const reference = Array.from({ length: 800 }, () => random.float()).sort((a, b) => a - b);
      const edges = Array.from({ length: 19 }, (_, index) => reference[(index + 1) * 40 - 1]!);
      const live = Array.from({ length: 300 }, () => random.float());
      const counts = new Array<number>(20).fill(0);
      for (const value of live) counts[edges.filter((edge) => edge < value).length]! += 1;
      const before = new Array<number>(20).fill(40);
      const above = live.filter((value) => value > reference.at(-1)!).length;
      if (homogeneityTest(before, counts).p <= level) alarms.g++;
      if (kolmogorovSmirnovTest(before, counts).p <= level) alarms.ks++;
      if (beyondRangeTest(above, 300, 800).p <= level) alarms.range++;
      const [hits, otherHits] = [reference, live].map((all) => all.filter((value) => value < 0.2).length);
      if (shareTest(hits!, 800, otherHits!, 300).p <= level) alarms.share++;
    }
    // Four standard deviations of a share of 5 % over 1,500 rounds are 2.3 %.
    for (const [test, count] of Object.entries(alarms)) {
      assert.ok(count / rounds <= level + 0.023, `${test}: ${count} of ${rounds}`);
      assert.ok(count / rounds > 0.005, `${test} never alarms: ${count}`);
    }
  });

  it('correct for many as Holm does', () => {
    const corrected = holm([0.01, 0.04, 0.03, 0.005]);
    for (const [index, expected] of [0.03, 0.06, 0.06, 0.02].entries()) close(corrected[index]!, expected);
    assert.deepEqual(holm([0.9, 0.8]), [1, 1]);
    assert.deepEqual(holm([]), []);
  });
});

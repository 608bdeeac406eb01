import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError, seededRandom } from '../../../kernel/index.ts';
import type { Column, Dataset } from '../dataset.ts';
import type { OnProgress } from '../fitted.ts';
import { auc, logLoss, rootMeanSquaredError } from '../metrics.ts';
import { rawScores } from '../trees.ts';
import { type BoostedTrees, boost as boostWith, probabilitiesOf } from './booster.ts';
import { BOOSTING_DEFAULTS, type BoostingSettings } from './settings.ts';

const settings = (given: Partial<BoostingSettings>): BoostingSettings => ({
  ...BOOSTING_DEFAULTS,
  ...given,
});

const boost = (
  dataset: Labelled,
  given: BoostingSettings,
  seed = 1,
  validation?: Dataset,
  onProgress?: OnProgress,
) => boostWith(dataset, given, seed, validation, onProgress);

const scoresOf = ({ ensemble }: BoostedTrees, { columns, rows }: Dataset): Float64Array =>
  rawScores(
    ensemble,
    columns.map(({ values }) => values),
    rows,
  );

type Labelled = Dataset & { readonly label: Float64Array };

/** Rows of `width` uniform numbers, and a label that `truth` makes of a row's numbers and some chance. */
function madeUp(
  rows: number,
  width: number,
  truth: (values: readonly number[], chance: number) => number,
  seed = 1,
): Labelled {
  const random = seededRandom(seed);
  const columns = Array.from(
    { length: width },
    (_, place): Column => ({
      name: `x${place}`,
      kind: 'number',
      values: Float32Array.from({ length: rows }, () => random.float()),
    }),
  );
  const label = Float64Array.from({ length: rows }, (_, row) =>
    truth(
      columns.map(({ values }) => values[row]!),
      random.float(),
    ),
  );
  return { rows, columns, label };
}

const classified = (dataset: Labelled, classes: number): Labelled => ({
  ...dataset,
  classes: Array.from({ length: classes }, (_, place) => `class ${place}`),
});

/** Neither column says anything alone. */
const crossed = ([a, b]: readonly number[]): number => (a! > 0.5 === b! > 0.5 ? 1 : 0);

describe('boosted trees', () => {
  it('learn what no column says alone, in both ways of growing', () => {
    const train = classified(madeUp(2000, 4, crossed), 2);
    const fresh = madeUp(1000, 4, crossed, 2);
    for (const grow of ['leaf', 'depth'] as const) {
      const trees = boost(train, settings({ grow, maxDepth: 4, rounds: 30 }));
      assert.ok(auc(fresh.label, scoresOf(trees, fresh)) > 0.98, grow);
    }
  });

  it('learn numbers and several classes', () => {
    const truth = ([a, b]: readonly number[]): number => 3 * a! + Math.sin(6 * b!);
    const train = madeUp(3000, 3, truth);
    const trees = boost(train, settings({ rounds: 100 }));
    const fresh = madeUp(1000, 3, truth, 2);
    assert.ok(rootMeanSquaredError(fresh.label, scoresOf(trees, fresh)) < 0.1);

    const third = ([a, b]: readonly number[]): number => (a! > 0.6 ? 2 : b! > 0.5 ? 1 : 0);
    const classes = boost(classified(madeUp(2000, 3, third), 3), settings({ rounds: 30 }));
    const other = madeUp(500, 3, third, 2);
    const probabilities = probabilitiesOf(scoresOf(classes, other), 3);
    assert.ok(logLoss(other.label, probabilities, 3) < 0.1);
  });

  it('are the same for the same seed, and others for another', () => {
    const train = madeUp(500, 5, ([a], chance) => a! + chance);
    const fit = (seed: number) =>
      boost(train, settings({ subsample: 0.5, columnSample: 0.5, rounds: 5 }), seed);
    assert.deepEqual(fit(7), fit(7));
    assert.notDeepEqual(fit(7), fit(8));
  });

  it('send missing values where they fit best, even when nothing else is there', () => {
    const train = madeUp(1000, 2, ([a]) => (a! > 0.8 ? 5 : 0));
    const { values } = train.columns[0]!;
    for (let row = 0; row < 1000; row++) if (values[row]! > 0.8) values[row] = Number.NaN;
    const scores = scoresOf(boost(train, settings({ rounds: 50 })), train);
    assert.ok(rootMeanSquaredError(train.label, scores) < 0.1);
    const asked = {
      ...train,
      rows: 1,
      columns: train.columns.map((column) => ({ ...column, values: Float32Array.of(Number.NaN) })),
    };
    assert.ok(scoresOf(boost(train, settings({ rounds: 50 })), asked as Dataset)[0]! > 4.5);
  });

  it('tell categories apart, and a missing one from all of them', () => {
    const random = seededRandom(1);
    const values = Int32Array.from({ length: 2000 }, () => random.integer(6) - 1);
    const meaning = [4, 0, 4, 9, 0];
    const train: Labelled = {
      rows: 2000,
      columns: [{ name: 'kind', kind: 'category', values, categories: ['a', 'b', 'c', 'd', 'e'] }],
      label: Float64Array.from(values, (code) => meaning[code] ?? -3),
    };
    const scores = scoresOf(boost(train, settings({ rounds: 100 })), train);
    assert.ok(rootMeanSquaredError(train.label, scores) < 0.05);
  });

  it('count a row of weight two as two rows', () => {
    const once = madeUp(300, 2, ([a], chance) => a! * 2 + chance);
    const weights = Float64Array.from({ length: 300 }, (_, row) => 1 + (row % 2));
    const places = Int32Array.from({ length: 450 }, (_, place) =>
      place < 300 ? place : 2 * (place - 300) + 1,
    );
    const twice: Labelled = {
      rows: 450,
      columns: once.columns.map(
        (column) =>
          ({ ...column, values: Float32Array.from(places, (row) => column.values[row]!) }) as Column,
      ),
      label: Float64Array.from(places, (row) => once.label[row]!),
    };
    // One bin per value and no least number of rows: only the sums count.
    const given = settings({ rounds: 10, maxLeaves: 8, minDataInLeaf: 1, minChildWeight: 20 });
    const [weighted, repeated] = [boost({ ...once, weights }, given), boost(twice, given)];
    const difference = rootMeanSquaredError(scoresOf(weighted, once), scoresOf(repeated, once));
    assert.ok(difference < 0.02, `they differ by ${difference}`);
  });

  it('give rare classes their weight', () => {
    const train = classified(
      madeUp(2000, 2, ([a], chance) => (a! > 0.9 && chance > 0.5 ? 1 : 0)),
      2,
    );
    const mean = (given: Partial<BoostingSettings>): number => {
      const trees = boost(train, settings({ rounds: 20, ...given }));
      const probabilities = probabilitiesOf(scoresOf(trees, train), 2);
      return probabilities.reduce((sum, each, place) => sum + (place % 2 === 1 ? each : 0), 0) / train.rows;
    };
    assert.ok(Math.abs(mean({}) - 0.05) < 0.02);
    assert.ok(mean({ classWeights: 'balanced' }) > 0.1);
    assert.ok(mean({ classWeights: { 'class 1': 20 } }) > 0.1);
  });

  it('never fall where they must not, whatever the data', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.constantFrom(1 as const, -1 as const),
        (seed, direction) => {
          const train = madeUp(300, 3, ([a, b], chance) => Math.sin(9 * a!) + b! * chance, seed);
          const trees = boost(train, settings({ rounds: 15, minDataInLeaf: 5, monotone: { x0: direction } }));
          for (const rest of [0.1, 0.5, 0.9]) {
            const grid = Float32Array.from({ length: 50 }, (_, place) => place / 49);
            const others = new Float32Array(50).fill(rest);
            const columns = [grid, others, others].map(
              (values, place): Column => ({ name: `x${place}`, kind: 'number', values }),
            );
            const scores = scoresOf(trees, { rows: 50, columns });
            for (let place = 1; place < 50; place++) {
              assert.ok((scores[place]! - scores[place - 1]!) * direction >= -1e-6);
            }
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('stop when they no longer get better, and keep the best rounds', () => {
    const noisy = ([a]: readonly number[], chance: number): number => a! + 2 * chance;
    const train = madeUp(300, 3, noisy);
    const validation = madeUp(300, 3, noisy, 2);
    const progress: number[] = [];
    const given = settings({ rounds: 500, learningRate: 0.3, earlyStoppingRounds: 10 });
    const trees = boost(train, given, 1, validation, ({ done }) => progress.push(done));
    assert.ok(trees.rounds < 100 && trees.ensemble.trees.length === trees.rounds);
    assert.equal(progress.at(-1), trees.rounds + 10);
    assert.equal(Math.min(...trees.history), trees.history[trees.rounds - 1]);
    // What was measured on bins is what the trees answer to the values themselves.
    const again = rootMeanSquaredError(validation.label, scoresOf(trees, validation));
    assert.ok(Math.abs(again - trees.history[trees.rounds - 1]!) < 1e-9);
  });

  it('stay within their limits', () => {
    const train = madeUp(2000, 3, ([a, b], chance) => a! * b! + chance);
    const trees = boost(train, settings({ rounds: 5, maxLeaves: 9, maxDepth: 3, minDataInLeaf: 50 }));
    for (const tree of trees.ensemble.trees) {
      const leaves = tree.left.reduce((count, left) => count + (left < 0 ? 1 : 0), 0);
      assert.ok(leaves <= 8, 'at most 2^3');
      for (const [node, left] of tree.left.entries()) if (left < 0) assert.ok(tree.cover[node]! >= 45);
      assert.equal(tree.cover[0], 2000);
    }
    const constant = boost(
      madeUp(100, 2, () => 3),
      settings({ rounds: 50 }),
    );
    assert.equal(constant.ensemble.trees.length, 1, 'nothing is left to learn after the first round');
  });

  it('name every column, class and word that does not exist', () => {
    const train = classified(
      madeUp(10, 1, () => 1),
      2,
    );
    const given = settings({ grow: 'sideways' as 'leaf', monotone: { y: 1 }, classWeights: { third: 2 } });
    assert.throws(
      () => boost(train, given),
      (error) => isMillraceError(error, 'INVALID_INPUT') && error.errors.length === 3,
    );
  });
});

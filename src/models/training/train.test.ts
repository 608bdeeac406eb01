import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError, seededRandom } from '../../kernel/index.ts';
import { checkReference } from '../watch/reference.ts';
import { madeUpRows } from './made-up.support.ts';
import { ALGORITHMS, type Algorithm, type TrainingSpec } from './spec.ts';
import { trainModel } from './train.ts';

const specOf = (algorithm: Algorithm, more: Partial<TrainingSpec> = {}): TrainingSpec => ({
  algorithm,
  ...more,
});

describe('training', () => {
  it('learns what is there, by every algorithm that predicts', () => {
    const cases = [
      ['boosted-trees', 'classes', { auc: 0.97 }],
      ['boosted-trees', 'number', { rSquared: 0.9 }],
      ['logistic-regression', 'classes', { auc: 0.97 }],
      ['logistic-regression', 'three', { accuracy: 0.85 }],
      ['linear-regression', 'number', { rSquared: 0.95 }],
      ['mlp', 'classes', { auc: 0.97 }],
      ['mlp', 'three', { accuracy: 0.85 }],
      ['mlp', 'number', { rSquared: 0.95 }],
      ['text-classifier', 'texts', { accuracy: 0.95 }],
    ] as const;
    for (const [algorithm, label, wanted] of cases) {
      const { metrics, rows } = trainModel(specOf(algorithm), madeUpRows(label, 1500));
      assert.deepEqual(rows, { trained: 1200, heldBack: 300 });
      for (const [name, least] of Object.entries(wanted)) {
        assert.ok(metrics[name]! > least, `${algorithm} of ${label}: ${name} ${metrics[name]}`);
      }
    }
  });

  it('gives the weights that made the data', () => {
    const random = seededRandom(4);
    const values = [0, 1].map(() => Float32Array.from({ length: 500 }, () => random.float() * 10));
    const label = Float64Array.from(values[0]!, (a, row) => 3 * a - 2 * values[1]![row]! + 7);
    const columns = values.map((each, place) => ({
      name: `x${place}`,
      kind: 'number' as const,
      values: each,
    }));
    const model = trainModel(specOf('linear-regression'), { rows: 500, columns, label });
    const ask = (...row: number[]): number =>
      model.predict({
        rows: 1,
        columns: columns.map((column, place) => ({ ...column, values: Float32Array.of(row[place]!) })),
      })[0]!;
    assert.ok(
      Math.abs(ask(0, 0) - 7) < 1e-3 && Math.abs(ask(1, 0) - 10) < 1e-3 && Math.abs(ask(0, 1) - 5) < 1e-3,
    );
    const [a, b] = [model.importance.x0!, model.importance.x1!];
    assert.ok(Math.abs(a / b - 1.5) < 0.1, 'three to two, for columns that vary alike');
  });

  it('finds the rows that are unlike the others', () => {
    const random = seededRandom(5);
    const values = Float32Array.from({ length: 1000 }, (_, row) =>
      row < 10 ? 8 + random.float() : random.float(),
    );
    const columns = [{ name: 'x', kind: 'number' as const, values }];
    const scores = trainModel(specOf('isolation-forest'), { rows: 1000, columns }).predict({
      rows: 1000,
      columns,
    });
    const mean = (from: number, to: number): number =>
      scores.slice(from, to).reduce((sum, each) => sum + each, 0) / (to - from);
    assert.ok(mean(0, 10) > 0.6 && mean(10, 1000) < 0.5);
  });

  it('finds groups', () => {
    const random = seededRandom(6);
    const group = (row: number): number => row % 3;
    const columns = [0, 1].map((place) => ({
      name: `x${place}`,
      kind: 'number' as const,
      values: Float32Array.from(
        { length: 600 },
        (_, row) => 10 * (place === 0 ? group(row) : group(row) ** 2) + random.float(),
      ),
    }));
    const model = trainModel(specOf('k-means', { settings: { clusters: 3 } }), { rows: 600, columns });
    const distances = model.predict({ rows: 600, columns });
    const nearest = Array.from({ length: 600 }, (_, row) => {
      const own = distances.subarray(3 * row, 3 * row + 3);
      return own.indexOf(Math.min(...own));
    });
    for (const each of [0, 1, 2])
      assert.equal(new Set(nearest.filter((_, row) => group(row) === each)).size, 1);
    assert.equal(new Set(nearest).size, 3);
  });

  it('gives the same bytes for the same seed, a reference for drift, and metrics of rows held back alone', () => {
    for (const algorithm of ALGORITHMS) {
      const rows = madeUpRows(
        algorithm === 'text-classifier' ? 'texts' : algorithm === 'linear-regression' ? 'number' : 'classes',
        200,
      );
      const [one, other] = [1, 1].map((seed) => trainModel(specOf(algorithm, { seed }), rows));
      assert.deepEqual(one!.onnx, other!.onnx, algorithm);
      checkReference(one!.reference);
      assert.ok(one!.reference.outputs.length > 0);
      assert.deepEqual(trainModel(specOf(algorithm, { holdout: 0 }), rows).metrics, {});
    }
  });

  it('leaves a reference of the rows as they were before some of them were left out', () => {
    // Of a thousand rows each from 0 to 99, the low half is kept by one in ten, each with the weight of ten.
    const values = Array.from({ length: 1000 }, (_, row) => (row * 37) % 100);
    const kept = values.filter((value, row) => value >= 50 || row % 10 === 0);
    const { reference } = trainModel(
      { algorithm: 'k-means', settings: { clusters: 2 } },
      {
        rows: kept.length,
        columns: [{ name: 'x', kind: 'number', values: Float32Array.from(kept) }],
        weights: Float64Array.from(kept, (value) => (value >= 50 ? 1 : 10)),
      },
    );
    const [x] = reference.inputs as readonly { counts: readonly number[]; edges: readonly number[] }[];
    const counted = x!.counts.reduce((sum, count) => sum + count, 0);
    // Half of them weigh as much as the other half; they are worth fewer rows than there are.
    assert.ok(counted > 100 && counted < kept.length, `${counted} rows`);
    const upTo = x!.edges.findLastIndex((edge) => edge < 50) + 1;
    const low = x!.counts.slice(0, upTo).reduce((sum, count) => sum + count, 0);
    assert.ok(Math.abs(low / counted - 0.5) < 0.06, `${low} of ${counted} are low`);
  });

  it('holds back the last rows where time counts', () => {
    const values = Float32Array.from({ length: 100 }, (_, row) => row);
    const rows = {
      rows: 100,
      columns: [{ name: 'x', kind: 'number' as const, values }],
      label: Float64Array.from(values),
    };
    const { reference } = trainModel(specOf('linear-regression', { split: 'last', holdout: 0.3 }), rows);
    const [input] = reference.inputs;
    assert.deepEqual(input?.kind === 'numeric' && [input.low, input.high], [0, 69]);
  });

  it('says what does not fit, all of it, whatever it is given', () => {
    const rows = madeUpRows('classes', 50);
    const refused = (spec: TrainingSpec, given: typeof rows, problems: number) =>
      assert.throws(
        () => trainModel(spec, given),
        (error) => isMillraceError(error, 'INVALID_INPUT') && error.errors.length === problems,
      );
    refused({ algorithm: 'magic' as Algorithm, holdout: 2, seed: -1 }, rows, 3);
    refused(specOf('boosted-trees', { settings: { rounds: 0, learningRate: 'fast', depth: 3 } }), rows, 3);
    refused(specOf('mlp', { settings: { hidden: [0] } }), rows, 1);
    refused(specOf('linear-regression'), rows, 1);
    refused(specOf('logistic-regression'), madeUpRows('number', 50), 1);
    refused(specOf('logistic-regression'), { ...rows, classes: ['only'], label: new Float64Array(50) }, 1);
    refused(
      specOf('boosted-trees'),
      { ...rows, label: new Float64Array(49), weights: new Float64Array(3).fill(-1) },
      2,
    );
    refused(specOf('boosted-trees'), { ...rows, label: new Float64Array(50).fill(Number.NaN) }, 1);
    refused(specOf('k-means'), { rows: 0, columns: [] }, 2);
  });

  it('survives columns of any kind of number', () => {
    const number = fc.oneof(fc.float(), fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, 3.4e38, 1e-45));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(number, number, fc.boolean()), { minLength: 4, maxLength: 40 }),
        fc.constantFrom('boosted-trees', 'isolation-forest'),
        (given, algorithm) => {
          const columns = [0, 1].map((place) => ({
            name: `x${place}`,
            kind: 'number' as const,
            values: Float32Array.from(given, (row) => row[place] as number),
          }));
          const label = Float64Array.from(given, ([, , fraud], row) => (row < 2 ? row : Number(fraud)));
          const model = trainModel(specOf(algorithm as Algorithm, { holdout: 0 }), {
            rows: given.length,
            columns,
            label,
            classes: ['a', 'b'],
          });
          const answers = model.predict({ rows: given.length, columns });
          assert.ok(answers.every((answer) => answer >= 0 && answer <= 1));
        },
      ),
      { numRuns: 100 },
    );
  });
});

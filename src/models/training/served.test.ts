import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileModel } from '../evaluator/index.ts';
import { createExplainer } from '../explain/explainer.ts';
import type { Values } from '../inference.port.ts';
import { countNgrams } from '../inputs/hashed-ngrams.ts';
import type { Tensor } from '../tensor.ts';
import type { Dataset } from './dataset.ts';
import { madeUpRows } from './made-up.support.ts';
import type { Algorithm } from './spec.ts';
import { trainModel } from './train.ts';

/** A dataset's rows as the trained file takes them. */
function inputsOf({ columns, rows }: Dataset): Values {
  if (columns.every(({ kind }) => kind === 'number')) {
    const data = new Float32Array(rows * columns.length);
    for (let cell = 0; cell < data.length; cell++) {
      data[cell] = columns[cell % columns.length]!.values[Math.floor(cell / columns.length)]!;
    }
    return { features: { type: 'float32', dims: [rows, columns.length], data } };
  }
  const tensors = columns.map((column): [string, Tensor] => [
    column.name,
    column.kind === 'number'
      ? { type: 'float32', dims: [rows, 1], data: column.values }
      : {
          type: 'string',
          dims: [rows, 1],
          data: Array.from(column.values, (code) => column.categories[code] ?? ''),
        },
  ]);
  return Object.fromEntries(tensors);
}

const CASES: readonly (readonly [Algorithm, 'classes' | 'three' | 'number' | 'none'])[] = [
  ['boosted-trees', 'classes'],
  ['boosted-trees', 'three'],
  ['boosted-trees', 'number'],
  ['logistic-regression', 'classes'],
  ['logistic-regression', 'three'],
  ['linear-regression', 'number'],
  ['mlp', 'three'],
  ['mlp', 'number'],
  ['isolation-forest', 'none'],
  ['k-means', 'none'],
];

describe('a trained file', () => {
  for (const [algorithm, kind] of CASES) {
    it(`answers in the evaluator as its trainer did: ${algorithm}, ${kind}`, () => {
      for (const columns of [3, 4]) {
        const { label, ...made } = madeUpRows(kind === 'none' ? 'number' : kind, 200);
        const dataset: Dataset = {
          ...made,
          columns: made.columns.slice(0, columns),
          ...(kind === 'none' ? {} : { label: label! }),
        };
        const model = trainModel({ algorithm }, dataset);
        const outputs = compileModel(model.onnx).run(inputsOf(dataset));
        const answer = outputs.probabilities ?? outputs.value ?? outputs.score ?? outputs.distances;
        const expected = model.predict(dataset);
        const { data } = answer as Tensor;
        assert.equal(data.length, expected.length);
        expected.forEach((value, place) => {
          const difference = Math.abs(Number(data[place]) - value) / Math.max(1, Math.abs(value));
          assert.ok(difference < 1e-5, `${data[place]} for ${value}`);
        });
      }
    });
  }

  it('classifies texts by the counts that serving makes', () => {
    const dataset = madeUpRows('texts', 400);
    const model = trainModel(
      { algorithm: 'text-classifier', features: ['text'], settings: { size: 512 } },
      dataset,
    );
    const declared = model.serving.preprocess!.counts;
    assert.equal(declared.from, 'text');
    const counts = new Float32Array(dataset.rows * declared.size);
    dataset.texts!.forEach((text, row) => {
      countNgrams(text, declared, (column) => void counts[row * declared.size + column]!++);
    });
    const inputs = {
      counts: { type: 'float32', dims: [dataset.rows, declared.size], data: counts } as const,
    };
    const { probabilities } = compileModel(model.onnx).run(inputs);
    const expected = model.predict(dataset);
    expected.forEach((value, place) => {
      assert.ok(Math.abs(Number((probabilities as Tensor).data[place]) - value) < 1e-5);
    });
  });

  it('is explained by contributions that add up to its raw answer, categories as one feature each', () => {
    const cases = [
      ['boosted-trees', 'number', 'value'],
      ['linear-regression', 'number', 'value'],
      ['boosted-trees', 'classes', 'probabilities'],
      ['logistic-regression', 'classes', 'probabilities'],
    ] as const;
    for (const [algorithm, kind, output] of cases) {
      const dataset = madeUpRows(kind, 150);
      const model = trainModel({ algorithm }, dataset);
      const answers = model.predict(dataset);
      const explanations = createExplainer(model.onnx).explain(inputsOf(dataset), undefined);
      assert.equal(explanations.length, 150);
      explanations.forEach(([explanation], row) => {
        const { base, contributions } = explanation!;
        assert.deepEqual(Object.keys(contributions), ['x0', 'x1', 'x2', 'kind']);
        const sum = Object.values(contributions).reduce((total, each) => total + each, base);
        const expected = output === 'value' ? answers[row]! : answers[2 * row + 1]!;
        const answer = output === 'value' ? sum : 1 / (1 + Math.exp(-sum));
        assert.ok(Math.abs(answer - expected) < 1e-5, `${algorithm}: ${answer} for ${expected}`);
      });
    }
  });
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { compileModel } from '../../evaluator/index.ts';
import { readRows } from '../table/read-file.ts';
import { trainModel } from '../train.ts';

const CATEGORIES = 600;

it('a category counts however many there are, in the file as in training', () => {
  // The last ones, which are beyond the bins of one column, are told apart from each other and from the first.
  const rows = Array.from({ length: CATEGORIES * 10 }, (_, row) => {
    const category = row % CATEGORIES;
    const special = category === 3 ? 8 : category === 300 ? 5 : category >= CATEGORIES - 2 ? -6 : 0;
    return { kind: `k${category}`, size: (row * 7919) % 100, price: special + 2 };
  });
  const spec = {
    algorithm: 'boosted-trees',
    label: 'price',
    holdout: 0,
    settings: { rounds: 60, minDataInLeaf: 2 },
  } as const;
  const dataset = readRows(rows, spec);
  const { onnx, predict, importance } = trainModel(spec, dataset);
  const inTraining = predict(dataset);
  const asked = ['k3', 'k300', 'k599', 'k598', 'k0', 'never heard of'];
  const { value } = compileModel(onnx).run({
    kind: { type: 'string', dims: [asked.length, 1], data: asked },
    size: { type: 'float32', dims: [asked.length, 1], data: new Float32Array(asked.length).fill(50) },
  });
  const served = Array.from((value as { data: Float32Array }).data);
  for (const [place, expected] of [10, 7, -4, -4, 2, 2].entries()) {
    assert.ok(Math.abs(served[place]! - expected) < 0.1, `${asked[place]}: ${served[place]}`);
  }
  assert.ok(Math.abs(inTraining[300]! - served[1]!) < 1e-4);
  assert.deepEqual(Object.keys(importance), ['kind', 'size']);
  assert.ok(importance.kind! > 0.9);
});

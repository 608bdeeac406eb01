import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { attribute, named, node, type OnnxNode } from '../../onnx/index.ts';
import type { SequenceValue, Tensor } from '../../tensor.ts';
import { floats, integers, type ModelParts, modelOf } from '../model.support.ts';

const WIDTH = 5;
const ROWS = 4;
const ML = 'ai.onnx.ml';

const constants = [
  named(
    'square',
    floats(
      [WIDTH, WIDTH],
      Array.from({ length: 25 }, (_, index) => Math.sin(index)),
    ),
  ),
  named('column', floats([WIDTH], [0.5, -1, 2, 1, -3])),
  named('row', floats([1, WIDTH], [1, 2, 3, 4, 5])),
  named('one', floats([], [0.25])),
  named('places', integers([WIDTH], [4, 3, 0, 1, 1])),
  named('order', integers([WIDTH], [4, -2, 0, 1, 1])),
];

/** Links of a chain, each from [rows, 5] to [rows, 5]. */
const LINKS: readonly ((from: string, to: string) => OnnxNode)[] = [
  ...['Relu', 'Tanh', 'Sigmoid', 'Abs', 'Neg', 'Softplus', 'Identity', 'Dropout'].map(
    (type) => (from: string, to: string) => node(type, [from], [to]),
  ),
  (from, to) => node('LeakyRelu', [from], [to], [attribute.float('alpha', 0.3)]),
  (from, to) =>
    node(
      'Gemm',
      [from, 'square', 'column'],
      [to],
      [attribute.float('alpha', 0.5), attribute.float('beta', 2)],
    ),
  (from, to) => node('Gemm', [from, 'square'], [to], [attribute.int('transB', 1)]),
  (from, to) => node('MatMul', [from, 'square'], [to]),
  ...['Add', 'Sub', 'Mul', 'Div'].flatMap((type) =>
    ['column', 'row', 'one'].map((other) => (from: string, to: string) => node(type, [from, other], [to])),
  ),
  (from, to) => node('Sub', ['row', from], [to]),
  (from, to) => node('Mul', [from, from], [to]),
  (from, to) => node('Softmax', [from], [to], [attribute.int('axis', -1)]),
  (from, to) => node('Gather', [from, 'order'], [to], [attribute.int('axis', 1)]),
  (from, to) => node('ArrayFeatureExtractor', [from, 'places'], [to], [], ML),
  (from, to) =>
    node(
      'Scaler',
      [from],
      [to],
      [attribute.floats('offset', [1]), attribute.floats('scale', [1, 2, 3, 4, 5])],
      ML,
    ),
  (from, to) => node('Normalizer', [from], [to], [attribute.string('norm', 'L2')], ML),
  (from, to) =>
    node(
      'Imputer',
      [from],
      [to],
      [attribute.floats('imputed_value_floats', [7]), attribute.float('replaced_value_float', Number.NaN)],
      ML,
    ),
];

const cells = fc.array(fc.float({ min: -4, max: 4, noNaN: true }), {
  minLength: ROWS * WIDTH,
  maxLength: ROWS * WIDTH,
});

function closeTo(actual: Tensor, expected: Tensor): void {
  assert.deepEqual(actual.dims, expected.dims);
  for (const [index, value] of (expected.data as Float32Array).entries()) {
    const found = (actual.data as Float32Array)[index]!;
    const close =
      Object.is(found, value) || found === value || Math.abs(found - value) <= 2e-6 * (1 + Math.abs(value));
    assert.ok(close, `${index}: ${found} and ${value}`);
  }
}

describe('the program for rows', () => {
  it('gives what the operators give, for every chain of them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(LINKS.length - 1), { minLength: 1, maxLength: 4 }),
        cells,
        (chain, values) => {
          const nodes = chain.map((link, index) =>
            LINKS[link]!(index === 0 ? 'x' : `v${index}`, `v${index + 1}`),
          );
          const parts: ModelParts = {
            ...{ nodes, initializers: constants, outputs: [`v${chain.length}`] },
            inputs: { x: ['N', WIDTH] },
          };
          const byRow = modelOf(parts);
          // A fixed number of rows has no program for rows.
          const whole = modelOf({ ...parts, inputs: { x: [ROWS, WIDTH] } });
          assert.ok(byRow.rows, nodes.map(({ type }) => type).join(' '));
          assert.equal(whole.rows, undefined);
          const feeds = { x: floats([ROWS, WIDTH], values) };
          const [name] = parts.outputs as [string];
          closeTo(byRow.run(feeds)[name] as Tensor, whole.run(feeds)[name] as Tensor);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('takes several inputs side by side, and gives several outputs', () => {
    const model = modelOf({
      nodes: [
        node('Concat', ['a', 'b'], ['c'], [attribute.int('axis', 1)]),
        node('ArgMax', ['c'], ['best'], [attribute.int('axis', 1), attribute.int('keepdims', 0)]),
      ],
      inputs: { a: ['N', 1], b: ['N', 2] },
      outputs: ['c', 'best'],
    });
    const out = new Float64Array(4);
    model.rows!.predict([1, 3, 2], out);
    assert.deepEqual([...out], [1, 3, 2, 1]);
    assert.deepEqual(
      model.rows!.outputs.map(({ name, at, width }) => [name, at, width]),
      [
        ['c', 0, 3],
        ['best', 3, 1],
      ],
    );
    const results = model.run({ a: floats([2, 1], [1, 9]), b: floats([2, 2], [3, 2, 0, 0]) });
    assert.deepEqual(results.best, integers([2], [1, 0]));
  });

  it('gives labels of texts, and maps from label to score', () => {
    const classify = node(
      'LinearClassifier',
      ['x'],
      ['label', 'scores'],
      [
        attribute.floats('coefficients', [1, 0, 0, 1]),
        attribute.floats('intercepts', [0, 0]),
        attribute.strings('classlabels_strings', ['no', 'yes']),
      ],
      ML,
    );
    const zip = node(
      'ZipMap',
      ['scores'],
      ['maps'],
      [attribute.strings('classlabels_strings', ['no', 'yes'])],
      ML,
    );
    const model = modelOf({ nodes: [classify, zip], inputs: { x: [null, 2] }, outputs: ['label', 'maps'] });
    assert.ok(model.rows);
    assert.deepEqual(model.rows.outputs[0]!.texts, ['no', 'yes']);
    assert.deepEqual(model.rows.outputs[1]!.labels, ['no', 'yes']);
    const { label, maps } = model.run({ x: floats([2, 2], [1, 2, 4, 3]) });
    assert.deepEqual((label as Tensor).data, ['yes', 'no']);
    const [first] = (maps as SequenceValue).items;
    assert.deepEqual(first, {
      kind: 'map',
      keyType: 'string',
      entries: new Map([
        ['no', 1],
        ['yes', 2],
      ]),
    });
  });

  it('is not there where a node mixes rows', () => {
    const mixed = modelOf({
      nodes: [node('ReduceSum', ['x'], ['y'], [attribute.int('keepdims', 0)])],
      ...{ inputs: { x: ['N', 2] }, outputs: ['y'] },
    });
    assert.equal(mixed.rows, undefined);
    assert.deepEqual(mixed.run({ x: floats([2, 2], [1, 2, 3, 4]) }).y, floats([], [10]));
  });
});

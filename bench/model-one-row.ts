import { seededRandom } from '../src/kernel/index.ts';
import {
  attribute,
  type CompiledModel,
  compileModel,
  encodeModel,
  named,
  node,
  type OnnxGraph,
  type OnnxNode,
} from '../src/models/index.ts';
import { bench, median, type Reading } from './lib/harness.ts';

const FEATURES = 30;
const random = seededRandom(7);
const uniform = (): number => random.float() * 2 - 1;
const weights = (count: number): Float32Array => Float32Array.from({ length: count }, uniform);

function modelOf(
  nodes: readonly OnnxNode[],
  outputs: readonly string[],
  initializers: OnnxGraph['initializers'] = [],
): CompiledModel {
  const bytes = encodeModel({
    ...{ irVersion: 8, opsets: [{ version: 17 }, { domain: 'ai.onnx.ml', version: 3 }] },
    graph: {
      ...{ nodes, initializers },
      inputs: [{ name: 'x', type: { kind: 'tensor', type: 'float32', dims: ['N', FEATURES] } }],
      outputs: outputs.map((name) => ({ name })),
    },
  });
  return compileModel(bytes);
}

const ML = 'ai.onnx.ml';

interface Case {
  readonly name: string;
  readonly model: CompiledModel;
  /** The same computed by hand, without anything around it. */
  readonly plain: (row: Float32Array) => number;
  readonly atMostMicroseconds: number;
}

function logisticCase(): Case {
  const w = weights(FEATURES);
  const model = modelOf(
    [
      node(
        'LinearClassifier',
        ['x'],
        ['label', 'scores'],
        [
          attribute.floats('coefficients', [...w.map((each) => -each), ...w]),
          attribute.floats('intercepts', [-0.1, 0.1]),
          attribute.ints('classlabels_ints', [0, 1]),
          attribute.string('post_transform', 'LOGISTIC'),
        ],
        ML,
      ),
    ],
    ['label', 'scores'],
  );
  const plain = (row: Float32Array): number => {
    let sum = 0.1;
    for (let feature = 0; feature < FEATURES; feature += 1) sum += w[feature]! * row[feature]!;
    return 1 / (1 + Math.exp(-sum));
  };
  return { name: 'logistic, 30 features', model, plain, atMostMicroseconds: 1 };
}

/** Complete trees in arrays: node `n` has children `2n + 1` and `2n + 2`. */
function treesCase(trees: number, depth: number, atMostMicroseconds: number): Case {
  const inner = 2 ** depth - 1;
  const size = 2 * inner + 1;
  const features = Int32Array.from({ length: trees * size }, () => Math.floor(random.float() * FEATURES));
  const values = weights(trees * size);
  const all = Array.from({ length: trees * size }, (_, index) => index);
  const leaves = all.filter((index) => index % size >= inner);
  const isInner = (index: number): boolean => index % size < inner;
  const child = (side: number): number[] =>
    all.map((index) => (isInner(index) ? 2 * (index % size) + side : 0));
  const tree = (index: number): number => Math.floor(index / size);
  const model = modelOf(
    [
      node(
        'TreeEnsembleRegressor',
        ['x'],
        ['y'],
        [
          attribute.int('n_targets', 1),
          attribute.ints('nodes_treeids', all.map(tree)),
          attribute.ints(
            'nodes_nodeids',
            all.map((index) => index % size),
          ),
          attribute.ints('nodes_featureids', features),
          attribute.floats('nodes_values', values),
          attribute.strings(
            'nodes_modes',
            all.map((index) => (isInner(index) ? 'BRANCH_LEQ' : 'LEAF')),
          ),
          attribute.ints('nodes_truenodeids', child(1)),
          attribute.ints('nodes_falsenodeids', child(2)),
          attribute.ints('target_treeids', leaves.map(tree)),
          attribute.ints(
            'target_nodeids',
            leaves.map((index) => index % size),
          ),
          attribute.ints(
            'target_ids',
            leaves.map(() => 0),
          ),
          attribute.floats(
            'target_weights',
            leaves.map((index) => values[index]!),
          ),
        ],
        ML,
      ),
    ],
    ['y'],
  );
  const plain = (row: Float32Array): number => {
    let sum = 0;
    for (let start = 0; start < trees * size; start += size) {
      let at = 0;
      while (at < inner) at = 2 * at + (row[features[start + at]!]! <= values[start + at]! ? 1 : 2);
      sum += values[start + at]!;
    }
    return sum;
  };
  return { name: `${trees} trees of depth ${depth}`, model, plain, atMostMicroseconds };
}

function perceptronCase(): Case {
  const sizes = [FEATURES, 64, 32, 1];
  const layers = sizes.slice(1).map((columns, index) => ({
    ...{ features: sizes[index]!, columns, w: weights(sizes[index]! * columns), b: weights(columns) },
  }));
  const nodes = layers.flatMap((_, index) => [
    node('Gemm', [index === 0 ? 'x' : `a${index - 1}`, `w${index}`, `b${index}`], [`z${index}`]),
    node(index === 2 ? 'Sigmoid' : 'Relu', [`z${index}`], [`a${index}`]),
  ]);
  const initializers = layers.flatMap(({ features, columns, w, b }, index) => [
    named(`w${index}`, { type: 'float32', dims: [features, columns], data: w }),
    named(`b${index}`, { type: 'float32', dims: [columns], data: b }),
  ]);
  const plain = (row: Float32Array): number => {
    let x = row;
    for (const [index, { features, columns, w, b }] of layers.entries()) {
      const out = Float32Array.from(b);
      for (let feature = 0; feature < features; feature += 1) {
        for (let column = 0; column < columns; column += 1)
          out[column]! += x[feature]! * w[feature * columns + column]!;
      }
      if (index < 2)
        for (let column = 0; column < columns; column += 1) out[column] = Math.max(0, out[column]!);
      x = out;
    }
    return 1 / (1 + Math.exp(-x[0]!));
  };
  return {
    name: 'MLP 30-64-32-1',
    model: modelOf(nodes, ['a2'], initializers),
    plain,
    atMostMicroseconds: 7,
  };
}

/** Median over rounds of the time of one call, in microseconds; rows differ, as they do in life. */
function microseconds(
  rows: readonly Float32Array[],
  call: (row: Float32Array) => void,
  rounds: number,
): number {
  const samples: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const started = performance.now();
    for (const row of rows) call(row);
    samples.push(((performance.now() - started) * 1000) / rows.length);
  }
  return median(samples.slice(Math.floor(rounds / 3)));
}

function readingsOf({ name, model, plain, atMostMicroseconds }: Case, rounds: number): Reading[] {
  const rows = Array.from({ length: 1000 }, () => weights(FEATURES));
  const { rows: program } = model;
  if (!program) throw new Error(`${name} has no program for rows`);
  const out = new Float64Array(program.outputWidth);
  let sink = 0;
  const one = microseconds(
    rows,
    (row) => {
      program.predict(row, out);
      sink += out[0]!;
    },
    rounds,
  );
  const tensors = microseconds(
    rows,
    (row) => {
      model.run({ x: { type: 'float32', dims: [1, FEATURES], data: row } });
    },
    rounds,
  );
  const byHand = microseconds(
    rows,
    (row) => {
      sink += plain(row);
    },
    rounds,
  );
  if (Number.isNaN(sink)) throw new Error(`${name} gives NaN`);
  return [
    { what: `calibration: ${name}, by hand`, value: byHand, unit: 'µs' },
    { what: `${name}`, value: one, unit: 'µs', reach: { atMost: atMostMicroseconds } },
    { what: `${name}, through tensors`, value: tensors, unit: 'µs' },
    { what: `${name}, of by hand`, value: one / byHand, unit: 'ratio' },
  ];
}

await bench({
  name: 'model-one-row',
  question: 'How long does one prediction of one row take in the TypeScript evaluator?',
  leavesOut:
    'Everything around it: HTTP, JSON, batching, checks against a schema. Features are random, so trees are walked without a pattern that a processor could learn.',
  run: async ({ short }) => {
    const cases = [logisticCase(), treesCase(100, 6, 8), treesCase(500, 6, 35), perceptronCase()];
    return cases.flatMap((each) => readingsOf(each, short ? 30 : 300));
  },
});

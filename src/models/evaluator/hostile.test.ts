import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError, seededRandom } from '../../kernel/index.ts';
import {
  attribute,
  decodeModel,
  encodeModel,
  named,
  node,
  type OnnxAttribute,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
} from '../onnx/index.ts';
import type { Tensor } from '../tensor.ts';
import { compileModel } from './compile.ts';
import type { EvaluatorLimits } from './limits.ts';
import { floats, integers, type ModelParts, modelBytes, modelOf } from './model.support.ts';
import { OPERATORS } from './operators.ts';

/** Small, so that a model that would take all there is stops at once. */
const LIMITS: EvaluatorLimits = { tensorBytes: 2 ** 22, runBytes: 2 ** 24, operations: 2e6, nodes: 2000 };

const x = floats([2, 3], [1, 2, 3, 4, 5, 6]);

function refuses(
  parts: ModelParts,
  code: 'MODEL_INVALID' | 'MODEL_UNSUPPORTED' | 'INVALID_INPUT',
  message: RegExp,
): void {
  assert.throws(
    () => modelOf({ ...parts, limits: LIMITS }).run({ x }),
    (error) => isMillraceError(error, code) && message.test(error.message),
  );
}

const graphOf = (
  nodes: readonly OnnxNode[],
  outputs: readonly string[],
): Partial<ModelParts> & Pick<ModelParts, 'nodes' | 'outputs' | 'inputs'> => ({
  ...{ nodes, outputs, inputs: { x: [null, 3] } },
});

const sizes = (values: readonly number[]): OnnxAttribute =>
  attribute.tensor('value', integers([values.length], values));

const body = (
  nodes: readonly OnnxNode[],
  inputs: readonly string[],
  outputs: readonly string[],
): OnnxGraph => ({
  ...{ nodes, initializers: [] },
  inputs: inputs.map((name) => ({ name })),
  outputs: outputs.map((name) => ({ name })),
});

describe('a hostile model', () => {
  it('cannot have a graph that does not hold together', () => {
    const cycle = [node('Add', ['x', 'b'], ['a']), node('Neg', ['a'], ['b'])];
    refuses(graphOf(cycle, ['b']), 'MODEL_INVALID', /cycle through Add/);
    refuses(
      graphOf([node('Neg', ['z'], ['y'])], ['y']),
      'MODEL_INVALID',
      /Nothing makes "z", which node Neg "y" takes/,
    );
    refuses(graphOf([], ['y']), 'MODEL_INVALID', /Nothing makes the output "y"/);
    refuses(graphOf([node('Neg', ['x'], ['x'])], ['x']), 'MODEL_INVALID', /Two nodes or inputs make "x"/);
    refuses(graphOf([node('Add', ['x'], ['y'])], ['y']), 'MODEL_INVALID', /Add lacks its input 1/);
  });

  it('says all that is missing at once', () => {
    const nodes = [
      node('Magic', ['x'], ['a']),
      node('More', ['a'], ['b'], [], 'com.example'),
      node('Neg', ['b'], ['y']),
    ];
    refuses(
      graphOf(nodes, ['y']),
      'MODEL_UNSUPPORTED',
      /Magic, com\.example\.More\. Serve the model with ONNX Runtime/,
    );
    assert.throws(
      () => modelOf({ ...graphOf([], ['x']), opset: 99 }),
      /opset 99 of ai\.onnx, and the newest known here is/,
    );
  });

  it('cannot ask for more memory than there is', () => {
    const huge = node('Constant', [], ['size'], [sizes([2 ** 30, 2 ** 30])]);
    refuses(
      graphOf([huge, node('ConstantOfShape', ['size'], ['y'])], ['y']),
      'MODEL_UNSUPPORTED',
      /a tensor of .* bytes/,
    );
    refuses(
      graphOf([huge, node('Expand', ['one', 'size'], ['y'])], ['y']),
      'MODEL_INVALID',
      /Nothing makes "one"/,
    );
    const wide = node('Constant', [], ['size'], [sizes([1000, 1000])]);
    const tiled = [
      wide,
      ...Array.from({ length: 5 }, (_, index) =>
        node('Tile', [index === 0 ? 'x' : `t${index - 1}`, 'size'], [`t${index}`]),
      ),
    ];
    refuses(graphOf(tiled, ['t4']), 'MODEL_UNSUPPORTED', /bytes/);
    const doubled = Array.from({ length: 60 }, (_, index) =>
      node(
        'Concat',
        index === 0 ? ['x', 'x'] : [`c${index - 1}`, `c${index - 1}`],
        [`c${index}`],
        [attribute.int('axis', 0)],
      ),
    );
    refuses(graphOf(doubled, ['c59']), 'MODEL_UNSUPPORTED', /bytes/);
    for (const scales of [
      [2 ** 53, -2],
      [2 ** 53, 0],
    ]) {
      const resized = node('Upsample', ['x', 'scales'], ['y']);
      refuses(
        { ...graphOf([resized], ['y']), initializers: [named('scales', floats([2], scales))] },
        'MODEL_UNSUPPORTED',
        /bytes/,
      );
    }
    refuses(
      graphOf(
        [
          node('Constant', [], ['size'], [sizes([2 ** 40, 0])]),
          node('Resize', ['x', '', '', 'size'], ['y'], [attribute.string('mode', 'cubic')]),
        ],
        ['y'],
      ),
      'MODEL_UNSUPPORTED',
      /bytes/,
    );
    const vast = { type: 'float32', dims: [2 ** 50, 1, 0], data: new Float32Array() } as const;
    const kernel = named('k', floats([1, 1, 3], [1, 0, -1]));
    for (const walker of [node('Conv', ['vast', 'k'], ['y']), node('ReduceSum', ['vast'], ['y'])]) {
      const initializers = [named('vast', vast), kernel];
      refuses({ ...graphOf([walker], ['y']), initializers }, 'MODEL_UNSUPPORTED', /an empty tensor of/);
    }
    const tree = node(
      'TreeEnsembleRegressor',
      ['x'],
      ['y'],
      [attribute.int('n_targets', 2 ** 40)],
      'ai.onnx.ml',
    );
    refuses(graphOf([tree], ['y']), 'MODEL_INVALID', /targets/);
  });

  it('cannot loop without end', () => {
    const turn = body(
      [node('Identity', ['go'], ['again']), node('Add', ['v', 'v'], ['w'])],
      ['i', 'go', 'v'],
      ['again', 'w'],
    );
    const forever = node('Loop', ['', '', 'x'], ['y'], [attribute.graph('body', turn)]);
    refuses(graphOf([forever], ['y']), 'MODEL_UNSUPPORTED', /more than 2000000 operations in one run/);
    const growing = body(
      [node('Identity', ['go'], ['again']), node('SequenceConstruct', ['s', 's'], ['t'])],
      ['i', 'go', 's'],
      ['again', 't'],
    );
    const nested = node('Loop', ['', '', 'x'], ['y'], [attribute.graph('body', growing)]);
    refuses(graphOf([nested], ['y']), 'MODEL_UNSUPPORTED', /operations in one run/);
    const empty = body([], ['i', 'go'], ['go']);
    const idle = node('Loop', ['', ''], [], [attribute.graph('body', empty)]);
    refuses(graphOf([idle, node('Neg', ['x'], ['y'])], ['y']), 'MODEL_UNSUPPORTED', /operations in one run/);
  });

  it('cannot nest or multiply functions without end', () => {
    const define = (name: string, nodes: readonly OnnxNode[]): OnnxFunction => ({
      ...{ name, domain: 'own', inputs: ['a'], outputs: ['b'], attributes: [], defaults: [], nodes },
      opsets: [{ version: 17 }, { domain: 'own', version: 1 }],
    });
    const call = (name: string, from: string, to: string): OnnxNode => node(name, [from], [to], [], 'own');
    const modelWith = (functions: readonly OnnxFunction[]): Uint8Array => {
      const model = decodeModel(modelBytes(graphOf([call('f0', 'x', 'y')], ['y'])));
      return encodeModel({ ...model, functions, opsets: [...model.opsets, { domain: 'own', version: 1 }] });
    };
    const itself = [define('f0', [call('f0', 'a', 'b')])];
    assert.throws(() => compileModel(modelWith(itself), LIMITS), /nest more than 64 levels/);
    const twice = Array.from({ length: 40 }, (_, index) =>
      define(`f${index}`, [call(`f${index + 1}`, 'a', 'm'), call(`f${index + 1}`, 'm', 'b')]),
    );
    const last = define('f40', [node('Neg', ['a'], ['b'])]);
    assert.throws(() => compileModel(modelWith([...twice, last]), LIMITS), /more than 2000 nodes/);
    assert.deepEqual(
      compileModel(modelWith([define('f0', [node('Neg', ['a'], ['b'])])])).run({ x }).y,
      floats([2, 3], [-1, -2, -3, -4, -5, -6]),
    );
  });

  it('is refused with the node that does not fit, at compiling or at the first run', () => {
    const weights = named('w', floats([4, 2], [1, 2, 3, 4, 5, 6, 7, 8]));
    const product = { ...graphOf([node('MatMul', ['x', 'w'], ['y'])], ['y']), initializers: [weights] };
    refuses(product, 'INVALID_INPUT', /node MatMul "y": \[2, 3\] and \[4, 2\] cannot be multiplied/);
    refuses(
      graphOf([node('Gather', ['x', 'at'], ['y']), node('Constant', [], ['at'], [sizes([7])])], ['y']),
      'INVALID_INPUT',
      /index 7 of 2/,
    );
    const kind = node('Softmax', ['x'], ['y'], [attribute.string('axis', 'one')]);
    refuses(
      graphOf([kind], ['y']),
      'MODEL_INVALID',
      /attribute axis of Softmax is of type string and has to be int/,
    );
  });
});

const SAMPLES: readonly ModelParts[] = [
  {
    ...graphOf(
      [node('Gemm', ['x', 'w', 'b'], ['h']), node('Relu', ['h'], ['r']), node('Softmax', ['r'], ['y'])],
      ['y'],
    ),
    initializers: [named('w', floats([3, 2], [1, 2, 3, 4, 5, 6])), named('b', floats([2], [1, 2]))],
  },
  {
    ...graphOf(
      [
        node('Slice', ['x', 'from', 'to'], ['s']),
        node('Reshape', ['s', 'shape'], ['r']),
        node('Conv', ['r', 'k'], ['c'], [attribute.ints('pads', [1, 1]), attribute.ints('strides', [1])]),
        node('ReduceSum', ['c'], ['y'], [attribute.int('keepdims', 0)]),
      ],
      ['y'],
    ),
    initializers: [
      named('from', integers([1], [0])),
      named('to', integers([1], [2])),
      named('shape', integers([3], [1, 1, -1])),
      named('k', floats([1, 1, 3], [1, 0, -1])),
    ],
  },
  {
    ...graphOf(
      [node('TopK', ['x', 'k'], ['v', 'i']), node('Tile', ['v', 'n'], ['t']), node('Pad', ['t', 'p'], ['y'])],
      ['y', 'i'],
    ),
    initializers: [
      named('k', integers([1], [2])),
      named('n', integers([2], [2, 1])),
      named('p', integers([4], [1, 0, 0, 1])),
    ],
  },
];

const NUMBERS = [-1, 0, 1, 2, 3, -2, 64, 255, 1e6, 2 ** 31, -(2 ** 31), 2 ** 53];

/** One change somewhere in a model: another operator, attribute, input or constant. */
function change(model: OnnxModel, pick: <T>(values: readonly T[]) => T): OnnxModel {
  const { graph } = model;
  const names = ['', 'x', ...graph.initializers.map(({ name }) => name)];
  const target = pick(graph.nodes);
  const edits: readonly (() => OnnxNode)[] = [
    () => ({ ...target, type: pick([...OPERATORS.get('')!.keys()]) }),
    () => ({ ...target, inputs: [...target.inputs.slice(0, -1), pick(names)] }),
    () => ({ ...target, inputs: [...target.inputs, pick(names)] }),
    () => ({ ...target, inputs: target.inputs.slice(0, -1) }),
    () => ({
      ...target,
      attributes: [attribute.int(pick(['axis', 'keepdims', 'block_size', 'group']), pick(NUMBERS))],
    }),
    () => ({
      ...target,
      attributes: [
        attribute.ints(pick(['pads', 'strides', 'axes', 'kernel_shape']), [pick(NUMBERS), pick(NUMBERS)]),
      ],
    }),
  ];
  const nodes = graph.nodes.map((each) => (each === target ? pick(edits)() : each));
  const initializers = graph.initializers.map((each) =>
    each.data instanceof BigInt64Array && pick([true, false])
      ? { ...each, data: BigInt64Array.from(each.data, () => BigInt(pick(NUMBERS))) }
      : each,
  );
  return { ...model, graph: { ...graph, nodes, initializers } };
}

describe('a mutated model', () => {
  it('gives a result or says what is wrong, whatever changes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SAMPLES),
        fc.nat(),
        fc.integer({ min: 1, max: 3 }),
        (sample, seed, changes) => {
          const random = seededRandom(seed);
          const pick = <T>(values: readonly T[]): T => values[random.integer(values.length)]!;
          let model = decodeModel(modelBytes(sample));
          for (let index = 0; index < changes; index += 1) model = change(model, pick);
          try {
            const results = compileModel(model, LIMITS).run({ x });
            for (const value of Object.values(results) as Tensor[])
              assert.ok('kind' in value || value.data.length >= 0);
          } catch (error) {
            const known =
              isMillraceError(error) &&
              ['MODEL_INVALID', 'MODEL_UNSUPPORTED', 'INVALID_INPUT'].includes(error.code);
            assert.ok(known, String((error as Error).stack));
          }
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('is never taken for another when its bytes change', () => {
    const bytes = modelBytes(SAMPLES[0]!);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        (edits) => {
          const changed = bytes.slice();
          for (const [at, byte] of edits) changed[at] = byte;
          try {
            compileModel(changed, LIMITS).run({ x });
          } catch (error) {
            assert.ok(
              isMillraceError(error) && /^(MODEL_|INVALID_INPUT)/.test(error.code),
              String((error as Error).stack),
            );
          }
        },
      ),
      { numRuns: 1500 },
    );
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMillraceError, seededRandom } from '../../../kernel/index.ts';
import { attribute, encodeModel, node } from '../../onnx/index.ts';
import { compileModel } from '../compile.ts';

const COLUMNS = 3;

/** Two stumps and a deeper tree, a line for each node. */
const NODES = [
  { tree: 0, id: 0, mode: 'BRANCH_LEQ', feature: 0, value: 0.5, yes: 1, no: 2, weight: 0 },
  { tree: 0, id: 1, mode: 'LEAF', feature: 0, value: 0, yes: 0, no: 0, weight: 1 },
  { tree: 0, id: 2, mode: 'LEAF', feature: 0, value: 0, yes: 0, no: 0, weight: 2 },
  { tree: 7, id: 0, mode: 'BRANCH_LT', feature: 1, value: 0.25, yes: 1, no: 2, weight: 0 },
  { tree: 7, id: 1, mode: 'BRANCH_GT', feature: 2, value: 0.75, yes: 3, no: 4, weight: 0 },
  { tree: 7, id: 2, mode: 'LEAF', feature: 0, value: 0, yes: 0, no: 0, weight: 10 },
  { tree: 7, id: 3, mode: 'LEAF', feature: 0, value: 0, yes: 0, no: 0, weight: 20 },
  { tree: 7, id: 4, mode: 'LEAF', feature: 0, value: 0, yes: 0, no: 0, weight: 40 },
];
type Line = (typeof NODES)[number];

function ensemble(lines: readonly Line[]): Uint8Array {
  const leaves = lines.filter(({ mode }) => mode === 'LEAF');
  const column = (name: string, field: keyof Line) =>
    attribute.ints(
      name,
      lines.map((line) => Number(line[field])),
    );
  const trees = node(
    'TreeEnsembleRegressor',
    ['x'],
    ['y'],
    [
      column('nodes_treeids', 'tree'),
      column('nodes_nodeids', 'id'),
      column('nodes_featureids', 'feature'),
      column('nodes_truenodeids', 'yes'),
      column('nodes_falsenodeids', 'no'),
      attribute.floats(
        'nodes_values',
        lines.map(({ value }) => value),
      ),
      attribute.strings(
        'nodes_modes',
        lines.map(({ mode }) => mode),
      ),
      attribute.ints(
        'target_treeids',
        leaves.map(({ tree }) => tree),
      ),
      attribute.ints(
        'target_nodeids',
        leaves.map(({ id }) => id),
      ),
      attribute.ints(
        'target_ids',
        leaves.map(() => 0),
      ),
      attribute.floats(
        'target_weights',
        leaves.map(({ weight }) => weight),
      ),
    ],
    'ai.onnx.ml',
  );
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }, { domain: 'ai.onnx.ml', version: 3 }],
    graph: {
      nodes: [trees],
      initializers: [],
      inputs: [{ name: 'x', type: { kind: 'tensor', type: 'float32', dims: ['n', COLUMNS] } }],
      outputs: [{ name: 'y', type: { kind: 'tensor', type: 'float32', dims: ['n', 1] } }],
    },
  });
}

function answer(bytes: Uint8Array, row: readonly number[]): unknown {
  const { y } = compileModel(bytes).run({
    x: { type: 'float32', dims: [1, COLUMNS], data: Float32Array.from(row) },
  });
  return Array.from((y as { data: Float32Array }).data);
}

const ROWS = [
  { row: [0.5, 0.2, 0.8], expected: 1 + 20 },
  { row: [0.6, 0.2, 0.7], expected: 2 + 40 },
  { row: [0.6, 0.25, 0.7], expected: 2 + 10 },
];

describe('the lists of nodes of an ensemble', () => {
  it('may be in any order, and number trees and nodes as they like', () => {
    const random = seededRandom(11);
    const orders = [NODES, NODES.toReversed(), NODES.toSorted(() => random.float() - 0.5)];
    const renumbered = NODES.map((line) => ({
      ...line,
      ...{ tree: line.tree * 1000 - 3, id: line.id * 5 + 2 },
      ...{ yes: line.yes * 5 + 2, no: line.no * 5 + 2 },
    }));
    for (const lines of [...orders, renumbered]) {
      const bytes = ensemble(lines);
      for (const { row, expected } of ROWS) assert.deepEqual(answer(bytes, row), [expected]);
    }
  });

  it('are refused where a child is not there, is shared', () => {
    const broken = [
      { ...NODES[0]!, no: 9 },
      { ...NODES[0]!, no: -1 },
      { ...NODES[0]!, no: 2 ** 32 + 2 },
      { ...NODES[0]!, no: 1 },
      { ...NODES[0]!, feature: -1 },
      { ...NODES[0]!, feature: 2 ** 40 },
    ];
    for (const line of broken) {
      assert.throws(
        () => answer(ensemble([line, ...NODES.slice(1)]), ROWS[0]!.row),
        (error) => isMillraceError(error, 'MODEL_INVALID'),
        JSON.stringify(line),
      );
    }
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError, seededRandom } from '../../kernel/index.ts';
import { attribute, decodeModel, node } from '../onnx/index.ts';
import { type Column, type Dataset, trainModel } from '../training/index.ts';
import { LEAF, type OnnxTrees, readTrees } from './ensemble.ts';
import { TreeShap } from './tree-shap.ts';

const WIDTH = 4;

/** Trees that ask for some features more than once on a way, with missing values in the rows. */
function trained(seed: number, classes: number): { trees: OnnxTrees; dataset: Dataset } {
  const random = seededRandom(seed);
  const rows = 300;
  const columns = Array.from({ length: WIDTH }, (_, place): Column => {
    const values = Float32Array.from({ length: rows }, () =>
      random.float() < 0.1 ? Number.NaN : random.float(),
    );
    return { name: `x${place}`, kind: 'number', values };
  });
  const value = (row: number): number => {
    const [a, b] = [columns[0]!.values[row]!, columns[1]!.values[row]!];
    return (Number.isNaN(a) ? 0.7 : a) * 2 + (b > 0.5 ? 1 : 0) + random.float();
  };
  const label = Float64Array.from({ length: rows }, (_, row) =>
    classes === 0 ? value(row) : Math.min(classes - 1, Math.floor(value(row))),
  );
  const names = Array.from({ length: classes }, (_, place) => `${place}`);
  const dataset = { rows, columns, label, ...(classes > 0 ? { classes: names } : {}) };
  const settings = { rounds: 3, maxLeaves: 12, minDataInLeaf: 5 };
  const model = decodeModel(trainModel({ algorithm: 'boosted-trees', holdout: 0, settings }, dataset).onnx);
  const found = model.graph.nodes.find(({ type }) => type === 'TreeEnsembleRegressor')!;
  return { trees: readTrees(found), dataset };
}

const rowOf = ({ columns }: Dataset, row: number): Float32Array =>
  Float32Array.from(columns, ({ values }) => values[row]!);

/** What the trees answer when only some features are known: both ways are taken, by cover, where one is not. */
function answer(trees: OnnxTrees, node: number, row: Float32Array, known: number, output: number): number {
  if (trees.mode[node] === LEAF) {
    let sum = 0;
    for (let each = trees.firstWeight[node]!; each < trees.firstWeight[node + 1]!; each++) {
      if (trees.target[each] === output) sum += trees.weight[each]!;
    }
    return sum;
  }
  const feature = trees.feature[node]!;
  const [yes, no] = [trees.yes[node]!, trees.no[node]!];
  const x = row[feature]!;
  if ((known >> feature) & 1) {
    const isYes = Number.isNaN(x) ? trees.missingIsYes[node] === 1 : x <= trees.value[node]!;
    return answer(trees, isYes ? yes : no, row, known, output);
  }
  const part = (child: number): number =>
    (trees.cover[child]! / trees.cover[node]!) * answer(trees, child, row, known, output);
  return part(yes) + part(no);
}

/** Shapley values by their definition: over all subsets of features. */
function shapley(trees: OnnxTrees, row: Float32Array, output: number, feature: number): number {
  const factorial = [1, 1, 2, 6, 24];
  let sum = 0;
  for (let known = 0; known < 2 ** WIDTH; known++) {
    if ((known >> feature) & 1) continue;
    const size = known.toString(2).replaceAll('0', '').length;
    const weight = (factorial[size]! * factorial[WIDTH - size - 1]!) / factorial[WIDTH]!;
    for (const root of trees.roots) {
      const [without, with_] = [known, known | (1 << feature)].map((set) =>
        answer(trees, root, row, set, output),
      );
      sum += weight * (with_! - without!);
    }
  }
  return sum;
}

/** As if half of the rows went either way at each node. */
function evenly({ roots, mode, yes, no }: OnnxTrees): Float64Array {
  const cover = new Float64Array(mode.length);
  for (const root of roots) cover[root] = 1;
  for (const [node, each] of mode.entries()) {
    if (each !== LEAF) for (const child of [yes[node]!, no[node]!]) cover[child] = cover[node]! / 2;
  }
  return cover;
}

describe('contributions of trees', () => {
  it('are the Shapley values, and add up to the answer', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.constantFrom(0, 2, 3),
        fc.boolean(),
        (seed, classes, isEven) => {
          const { trees: counted, dataset } = trained(seed, classes);
          const trees = isEven ? { ...counted, cover: evenly(counted) } : counted;
          const shap = new TreeShap(trees);
          for (const each of [0, 7, 42]) {
            const row = rowOf(dataset, each);
            const contributions = new Float64Array(trees.outputs * WIDTH);
            shap.explain(row, contributions, WIDTH);
            for (let output = 0; output < trees.outputs; output++) {
              let total = shap.expected[output]!;
              for (let feature = 0; feature < WIDTH; feature++) {
                const contribution = contributions[output * WIDTH + feature]!;
                assert.ok(Math.abs(contribution - shapley(trees, row, output, feature)) < 1e-9);
                total += contribution;
              }
              let whole = trees.base[output]!;
              for (const root of trees.roots) whole += answer(trees, root, row, 15, output);
              assert.ok(Math.abs(total - whole) < 1e-9);
            }
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('say when the file does not tell how many rows reached its nodes, and are of no tree that is none', () => {
    const trees = (changes: { [name: string]: number[] }, modes = ['BRANCH_LEQ', 'LEAF', 'LEAF']) => {
      const ints = {
        nodes_treeids: [0, 0, 0],
        nodes_nodeids: [0, 1, 2],
        nodes_featureids: [0, 0, 0],
        nodes_truenodeids: [1, 0, 0],
        nodes_falsenodeids: [2, 0, 0],
        nodes_hitrates: [10, 4, 6],
        nodes_values: [0.5, 0, 0],
        target_treeids: [0, 0],
        target_nodeids: [1, 2],
        target_ids: [0, 0],
        target_weights: [1, 2],
        ...changes,
      };
      const attributes = Object.entries(ints).map(([name, values]) => attribute.ints(name, values));
      return () =>
        readTrees(
          node(
            'TreeEnsembleRegressor',
            ['x'],
            ['y'],
            [...attributes, attribute.strings('nodes_modes', modes)],
          ),
        );
    };
    const { outputs, cover, coverKind } = trees({})();
    assert.deepEqual([outputs, coverKind, [...cover].sort()], [1, 'rows', [10, 4, 6]]);
    for (const hits of [[], [1, 1, 1]]) {
      const uncounted = trees({ nodes_hitrates: hits })();
      assert.deepEqual([uncounted.coverKind, [...uncounted.cover]], ['even', [1, 0.5, 0.5]]);
    }
    const refused = (make: () => unknown, code: 'MODEL_INVALID' | 'MODEL_UNSUPPORTED') =>
      assert.throws(make, (error) => isMillraceError(error, code));
    refused(trees({}, ['BRANCH_MEMBER', 'LEAF', 'LEAF']), 'MODEL_UNSUPPORTED');
    refused(trees({ nodes_truenodeids: [0, 0, 0] }), 'MODEL_INVALID');
    refused(trees({ nodes_falsenodeids: [1, 0, 0] }), 'MODEL_INVALID');
    refused(trees({ nodes_falsenodeids: [9, 0, 0] }), 'MODEL_INVALID');
    refused(trees({ nodes_treeids: [0, 0] }), 'MODEL_INVALID');
    refused(trees({ target_nodeids: [1, 9] }), 'MODEL_INVALID');
    refused(trees({ target_ids: [0, 3] }), 'MODEL_INVALID');
  });
});

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createExplainer } from '../../src/models/explain/explainer.ts';
import { attribute, encodeModel, node } from '../../src/models/index.ts';
import { findPython, runPython } from '../support/python.ts';

const python = findPython(['lightgbm', 'numpy']);
const skip = 'skip' in python ? python.skip : false;

/** Trains, and writes the trees as JSON beside rows and their contributions as doubles. */
const TRAIN = `
import json, sys
import lightgbm, numpy
folder, objective, classes = sys.argv[1], sys.argv[2], int(sys.argv[3])
random = numpy.random.default_rng(7)
x = random.random((3000, 12)).astype(numpy.float32)
x[random.random(x.shape) < 0.1] = numpy.nan
score = numpy.nan_to_num(x[:, 0]) * 3 + numpy.nan_to_num(x[:, 1]) * numpy.nan_to_num(x[:, 2]) * 4 + random.random(3000)
edges = numpy.quantile(score, [each / max(classes, 1) for each in range(1, max(classes, 1))])
y = numpy.digitize(score, edges) if classes > 0 else score
settings = dict(objective=objective, num_leaves=31, verbose=-1, num_threads=1, boost_from_average=False)
if objective == 'multiclass': settings['num_class'] = classes
model = lightgbm.train(settings, lightgbm.Dataset(x, y), 100)
json.dump([each['tree_structure'] for each in model.dump_model()['tree_info']], open(folder + '/trees.json', 'w'))
x[:200].tofile(folder + '/rows.f32')
numpy.ascontiguousarray(model.predict(x[:200], pred_contrib=True), dtype=numpy.float64).tofile(folder + '/contributions.f64')
`;

interface LightNode {
  readonly split_feature?: number;
  readonly threshold?: number;
  readonly default_left?: boolean;
  readonly internal_count?: number;
  readonly left_child?: LightNode;
  readonly right_child?: LightNode;
  readonly leaf_value?: number;
  readonly leaf_count?: number;
}

/** LightGBM's trees as a TreeEnsembleRegressor, with the counts that it keeps of each node. */
function toOnnx(trees: readonly LightNode[], outputs: number): Uint8Array {
  const lists: { [name: string]: number[] } = {};
  const modes: string[] = [];
  const add = (name: string, value: number): void => void (lists[name] ??= []).push(value);
  trees.forEach((root, tree) => {
    let next = 0;
    const visit = (each: LightNode): number => {
      const id = next++;
      const isLeaf = each.left_child === undefined;
      const place = modes.push(isLeaf ? 'LEAF' : 'BRANCH_LEQ') - 1;
      add('nodes_treeids', tree);
      add('nodes_nodeids', id);
      add('nodes_featureids', each.split_feature ?? 0);
      add('nodes_values', belowOrAt(each.threshold ?? 0));
      add('nodes_missing_value_tracks_true', each.default_left ? 1 : 0);
      add('nodes_hitrates', each.internal_count ?? each.leaf_count ?? 3000);
      add('nodes_truenodeids', 0);
      add('nodes_falsenodeids', 0);
      if (isLeaf) {
        add('target_treeids', tree);
        add('target_nodeids', id);
        add('target_ids', tree % outputs);
        add('target_weights', each.leaf_value!);
      } else {
        lists.nodes_truenodeids![place] = visit(each.left_child!);
        lists.nodes_falsenodeids![place] = visit(each.right_child!);
      }
      return id;
    };
    visit(root);
  });
  const attributes = Object.entries(lists).map(([name, values]) =>
    /values|hitrates|weights/.test(name) ? attribute.floats(name, values) : attribute.ints(name, values),
  );
  const named = [attribute.int('n_targets', outputs), attribute.strings('nodes_modes', modes), ...attributes];
  return encodeModel({
    irVersion: 8,
    opsets: [{ domain: 'ai.onnx.ml', version: 3 }],
    graph: {
      nodes: [node('TreeEnsembleRegressor', ['features'], ['value'], named, 'ai.onnx.ml')],
      initializers: [],
      inputs: [{ name: 'features', type: { kind: 'tensor', type: 'float32', dims: ['rows', 12] } }],
      outputs: [{ name: 'value', type: { kind: 'tensor', type: 'float32', dims: ['rows', outputs] } }],
    },
  });
}

/** The largest float32 that is not above: for float32 values it decides as the double does. */
function belowOrAt(threshold: number): number {
  const near = Math.fround(threshold);
  if (near <= threshold) return near;
  const bits = new Int32Array(Float32Array.of(near).buffer);
  bits[0]! += near > 0 ? -1 : 1;
  return new Float32Array(bits.buffer)[0]!;
}

for (const [objective, classes] of [
  ['regression', 0],
  ['binary', 2],
  ['multiclass', 3],
] as const) {
  test(`contributions of ${objective} trees are those of LightGBM`, { skip }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-shap-'));
    try {
      runPython((python as { path: string }).path, TRAIN, [folder, objective, String(classes)]);
      const trees = JSON.parse(readFileSync(join(folder, 'trees.json'), 'utf8')) as LightNode[];
      const outputs = objective === 'multiclass' ? classes : 1;
      const data = new Float32Array(new Uint8Array(readFileSync(join(folder, 'rows.f32'))).buffer);
      const expected = new Float64Array(
        new Uint8Array(readFileSync(join(folder, 'contributions.f64'))).buffer,
      );
      const explanations = createExplainer(toOnnx(trees, outputs)).explain(
        { features: { type: 'float32', dims: [200, 12], data } },
        undefined,
      );
      let worst = 0;
      explanations.forEach((explanation, row) => {
        explanation.forEach(({ base, contributions }, output) => {
          const first = (row * outputs + output) * 13;
          for (let feature = 0; feature < 12; feature++) {
            worst = Math.max(worst, Math.abs(contributions[feature]! - expected[first + feature]!));
          }
          worst = Math.max(worst, Math.abs(base - expected[first + 12]!));
        });
      });
      assert.equal(explanations.length, 200);
      assert.ok(worst < 1e-6, `the largest difference is ${worst}`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

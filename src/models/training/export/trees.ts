import { attribute, type OnnxAttribute } from '../../onnx/index.ts';
import type { Tree, TreeEnsemble } from '../trees.ts';

/**
 * Attributes of a TreeEnsembleRegressor that adds the trees up, one target per output. The rows that reached each node when it
 * was learnt are its `nodes_hitrates`: without them nothing could say later what the trees' answers are made of.
 */
export function treeAttributes({ base, trees }: TreeEnsemble): readonly OnnxAttribute[] {
  const size = trees.reduce((sum, tree) => sum + tree.left.length, 0);
  const leaves = trees.reduce((sum, tree) => sum + leavesOf(tree), 0);
  const [treeIds, nodeIds, features] = [new Int32Array(size), new Int32Array(size), new Int32Array(size)];
  const [yes, no, missing] = [new Int32Array(size), new Int32Array(size), new Int32Array(size)];
  const [values, hits] = [new Float32Array(size), new Float32Array(size)];
  const modes: string[] = [];
  const [leafTrees, leafNodes, targets] = [
    new Int32Array(leaves),
    new Int32Array(leaves),
    new Int32Array(leaves),
  ];
  const weights = new Float32Array(leaves);
  let leaf = 0;
  trees.forEach((tree, treeId) => {
    for (let id = 0; id < tree.left.length; id++) {
      const place = modes.length;
      const isLeaf = tree.left[id]! < 0;
      treeIds[place] = treeId;
      nodeIds[place] = id;
      hits[place] = tree.cover[id]!;
      modes.push(isLeaf ? 'LEAF' : tree.equals[id] === 1 ? 'BRANCH_EQ' : 'BRANCH_LEQ');
      if (isLeaf) {
        leafTrees[leaf] = treeId;
        leafNodes[leaf] = id;
        targets[leaf] = treeId % base.length;
        weights[leaf++] = tree.value[id]!;
        continue;
      }
      features[place] = tree.feature[id]!;
      values[place] = tree.threshold[id]!;
      yes[place] = tree.left[id]!;
      no[place] = tree.right[id]!;
      missing[place] = tree.missingLeft[id]!;
    }
  });
  return [
    attribute.int('n_targets', base.length),
    attribute.floats('base_values', Float32Array.from(base)),
    attribute.ints('nodes_treeids', treeIds),
    attribute.ints('nodes_nodeids', nodeIds),
    attribute.ints('nodes_featureids', features),
    attribute.strings('nodes_modes', modes),
    attribute.floats('nodes_values', values),
    attribute.floats('nodes_hitrates', hits),
    attribute.ints('nodes_truenodeids', yes),
    attribute.ints('nodes_falsenodeids', no),
    attribute.ints('nodes_missing_value_tracks_true', missing),
    attribute.ints('target_treeids', leafTrees),
    attribute.ints('target_nodeids', leafNodes),
    attribute.ints('target_ids', targets),
    attribute.floats('target_weights', weights),
  ];
}

function leavesOf(tree: Tree): number {
  return tree.left.reduce((count, left) => count + (left < 0 ? 1 : 0), 0);
}

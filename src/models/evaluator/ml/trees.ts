import { invalid } from '../../onnx/index.ts';
import type { Tensor } from '../../tensor.ts';
import { floatsOf, type NodeFacts, type Operators } from '../operator.ts';
import { misfit } from '../shapes.ts';
import {
  classifierOperator,
  type Labels,
  labelsOf,
  type RowClassifier,
  type RowRegressor,
  regressorOperator,
} from './classes.ts';
import {
  type Aggregate,
  type BranchMode,
  type CompiledForest,
  compileForest,
  type Forest,
  type TreeNode,
} from './forest.ts';
import {
  finisher,
  logistic,
  POST_TRANSFORMS,
  type PostTransform,
  postTransformOf,
  probit,
} from './scores.ts';

const AGGREGATES: readonly Aggregate[] = ['AVERAGE', 'SUM', 'MIN', 'MAX'];
const MODES: readonly BranchMode[] = ['LEQ', 'LT', 'GTE', 'GT', 'EQ', 'NEQ', 'MEMBER'];

/** Floats of an attribute, or of the tensor that replaces it for doubles. */
function values(node: NodeFacts, name: string): { readonly data: ArrayLike<number>; readonly wide: boolean } {
  const tensor = node.tensor(`${name}_as_tensor`);
  if (tensor) return { data: floatsOf(tensor), wide: tensor.type === 'float64' };
  return { data: node.floats(name) ?? [], wide: false };
}

const MODE_OF_NAME = new Map<string, TreeNode['mode']>([
  ['LEAF', 'LEAF'],
  ...MODES.slice(0, 6).map((mode) => [`BRANCH_${mode}`, mode] as const),
]);

function modeOf(name: string): TreeNode['mode'] {
  const mode = MODE_OF_NAME.get(name);
  if (mode === undefined) throw invalid(`${JSON.stringify(name)} is no mode of a node`);
  return mode;
}

/** Where a node stands in the lists, by its tree and its number. Nodes of a tree mostly stand together. */
class Places {
  readonly #byTree = new Map<number, Map<number, number>>();
  #tree: number | undefined;
  #nodes: Map<number, number> | undefined;

  add(tree: number, node: number, index: number): void {
    this.#of(tree);
    if (!this.#nodes) this.#byTree.set(tree, (this.#nodes = new Map()));
    this.#nodes.set(node, index);
  }

  find(tree: number | undefined, node: number | undefined): number | undefined {
    return tree === undefined || node === undefined ? undefined : this.#of(tree)?.get(node);
  }

  #of(tree: number): Map<number, number> | undefined {
    if (tree !== this.#tree) {
      this.#tree = tree;
      this.#nodes = this.#byTree.get(tree);
    }
    return this.#nodes;
  }
}

/** The nodes of TreeEnsembleClassifier and -Regressor: lists with an entry for each node, found by tree and number. */
function readForest(
  node: NodeFacts,
  prefix: 'class' | 'target',
  targets: number,
): { forest: Forest; wide: boolean } {
  const list = (name: string): readonly number[] => node.ints(`nodes_${name}`) ?? [];
  const [trees, numbers, features] = [list('treeids'), list('nodeids'), list('featureids')];
  const [whenTrue, whenFalse, missing] = [
    list('truenodeids'),
    list('falsenodeids'),
    list('missing_value_tracks_true'),
  ];
  const modes = node.strings('nodes_modes') ?? [];
  const thresholds = values(node, 'nodes_values');
  const count = trees.length;
  if (
    [numbers, features, whenTrue, whenFalse, modes, thresholds.data].some((each) => each.length !== count)
  ) {
    throw invalid(`${node.node.type} has lists of nodes of different lengths`);
  }
  const places = new Places();
  for (let index = 0; index < count; index += 1) places.add(trees[index]!, numbers[index]!, index);
  const weights: { target: number; weight: number }[][] = Array.from({ length: count }, () => []);
  const weightsGiven = readWeights(node, prefix, places, targets, weights);
  const find = (index: number, child: number): number => places.find(trees[index]!, child) ?? -1;
  const nodes: TreeNode[] = new Array(count);
  for (let index = 0; index < count; index += 1) {
    const mode = modeOf(modes[index]!);
    const leaf = mode === 'LEAF';
    const feature = features[index]!;
    if (!leaf && !(feature >= 0 && feature < 2 ** 24)) throw invalid('A node tests no feature');
    nodes[index] = {
      mode,
      feature,
      value: thresholds.data[index]!,
      missingTrue: missing[index] === 1,
      whenTrue: leaf ? -1 : find(index, whenTrue[index]!),
      whenFalse: leaf ? -1 : find(index, whenFalse[index]!),
      weights: weights[index]!,
    };
  }
  const aggregate = node.string('aggregate_function', 'SUM') as Aggregate;
  if (!AGGREGATES.includes(aggregate)) throw invalid(`${JSON.stringify(aggregate)} is no way to aggregate`);
  return {
    forest: { nodes, roots: rootsOf(nodes, trees), targets, aggregate },
    wide: thresholds.wide || weightsGiven.wide,
  };
}

function readWeights(
  node: NodeFacts,
  prefix: 'class' | 'target',
  places: Places,
  targets: number,
  weights: { target: number; weight: number }[][],
): { readonly wide: boolean } {
  const given = values(node, `${prefix}_weights`);
  const [trees, numbers, ids] = ['treeids', 'nodeids', 'ids'].map(
    (name) => node.ints(`${prefix}_${name}`) ?? [],
  );
  for (let index = 0; index < given.data.length; index += 1) {
    const place = places.find(trees![index], numbers![index]);
    const target = ids![index];
    if (place === undefined || target === undefined || !(target >= 0 && target < targets)) {
      throw invalid(`${node.node.type} has a weight for a leaf or a target that is not there`);
    }
    weights[place]!.push({ target, weight: given.data[index]! });
  }
  return given;
}

/** The root of a tree is the node that is nobody's child. */
function rootsOf(nodes: readonly TreeNode[], trees: readonly number[]): number[] {
  const isChild = new Uint8Array(nodes.length);
  for (const { whenTrue, whenFalse } of nodes) {
    if (whenTrue >= 0) isChild[whenTrue] = 1;
    if (whenFalse >= 0) isChild[whenFalse] = 1;
  }
  const roots: number[] = [];
  for (let index = 0; index < nodes.length; index += 1) if (!isChild[index]) roots.push(index);
  const distinct = new Set(roots.map((index) => trees[index]));
  if (distinct.size !== roots.length || distinct.size !== new Set(trees).size)
    throw invalid('A tree has no root, or several');
  return roots;
}

function baseValues(node: NodeFacts, targets: number): ArrayLike<number> {
  const base = values(node, 'base_values').data;
  if (base.length > targets && base.length > 1) throw invalid('There are more base values than targets');
  return base;
}

function regressor(
  { forest, wide }: { forest: Forest; wide: boolean },
  base: ArrayLike<number>,
  transform: PostTransform,
): RowRegressor {
  const compiled = compileForest(forest, wide ? 'float64' : 'float32');
  const finish = finisher(transform);
  const { targets } = forest;
  const { sums, touched } = compiled;
  return {
    width: compiled.width,
    scoreCount: targets,
    score(x, at, scores, scoresAt) {
      compiled.evaluate(x, at);
      for (let target = 0; target < base.length; target += 1)
        if (touched[target]) sums[target]! += base[target]!;
      finish(sums);
      for (let target = 0; target < targets; target += 1) scores[scoresAt + target] = sums[target]!;
    },
  };
}

/**
 * Labels and scores as ONNX Runtime gives them (core/providers/cpu/ml/tree_ensemble_aggregator.h), because the standard leaves
 * them open for two labels: the second is the label where its score is above zero, or above a half where leaves of one
 * class alone say probabilities. Only a base value for each of two labels is another matter: here each is added to its
 * own, while ONNX Runtime 1.31 drops the sum of the second.
 */
function classifier(node: NodeFacts): RowClassifier {
  const labels = labelsOf(node, 'classlabels_int64s', 'classlabels_strings');
  if (labels.count === 0) throw invalid('TreeEnsembleClassifier has no labels');
  const { forest, wide } = readForest(node, 'class', labels.count);
  const precision = wide ? 'float64' : 'float32';
  const transform = postTransformOf(node);
  const base = baseValues(node, forest.targets);
  if (labels.count === 1) return single(compileForest(forest, precision), labels, base, transform);
  const used = new Set(forest.nodes.flatMap(({ weights }) => weights.map(({ target }) => target)));
  if (labels.count === 2 && used.size === 1) {
    return binary(forest, precision, [...used][0]! === 1, labels, base, transform);
  }
  const compiled = compileForest(forest, precision);
  const finish = finisher(transform);
  const { sums, touched } = compiled;
  const each = base.length === labels.count;
  const alone = pairOf(false, transform);
  return {
    ...{ labels, width: compiled.width, scoreCount: labels.count },
    classify(x, at, scores, scoresAt) {
      compiled.evaluate(x, at);
      for (let target = 0; target < base.length; target += 1) {
        if (each || touched[target]) sums[target]! += base[target]!;
      }
      if (each) touched.fill(1);
      if (labels.count === 2 && !touched[1]) {
        alone(sums[0]!, scores, scoresAt);
        return sums[0]! > 0 ? 1 : 0;
      }
      const best = labels.count === 2 ? (sums[1]! > 0 ? 1 : 0) : largestTouched(sums, touched);
      finish(sums);
      for (let target = 0; target < labels.count; target += 1) scores[scoresAt + target] = sums[target]!;
      return best;
    },
  };
}

/** The largest score among the classes that a leaf said something about. */
function largestTouched(sums: Float64Array, touched: Uint8Array): number {
  let best = -1;
  for (let index = 0; index < sums.length; index += 1) {
    if (touched[index] && (best < 0 || sums[index]! > sums[best]!)) best = index;
  }
  return Math.max(0, best);
}

/** One label: it holds where the score is above zero, and its absence is 0. */
function single(
  compiled: CompiledForest,
  labels: Labels,
  base: ArrayLike<number>,
  transform: PostTransform,
): RowClassifier {
  const value = transform === 'PROBIT' ? probit : (score: number): number => score;
  const whether: Labels = { ...labels, integers: [0, 1], texts: ['', labels.texts[0] ?? ''] };
  return {
    ...{ labels: whether, width: compiled.width, scoreCount: 1 },
    classify(x, at, scores, scoresAt) {
      compiled.evaluate(x, at);
      const score = compiled.sums[0]! + (base[0] ?? 0);
      scores[scoresAt] = value(score);
      return score > 0 ? 1 : 0;
    },
  };
}

/** Two labels and leaves that speak of one: boosted trees. */
function binary(
  forest: Forest,
  precision: 'float32' | 'float64',
  second: boolean,
  labels: Labels,
  base: ArrayLike<number>,
  transform: PostTransform,
): RowClassifier {
  const onlyTarget = forest.nodes.map((each) => ({
    ...each,
    weights: each.weights.map(({ weight }) => ({ target: 0, weight })),
  }));
  const compiled = compileForest({ ...forest, nodes: onlyTarget, targets: 1 }, precision);
  const positive = forest.nodes.every(({ weights }) => weights.every(({ weight }) => weight >= 0));
  const threshold = positive ? 0.5 : 0;
  const shift = (second ? base[1] : base[0]) ?? 0;
  const write =
    second || base.length === 2 ? besideZero(second ? 1 : 0, transform) : pairOf(positive, transform);
  return {
    ...{ labels, width: compiled.width, scoreCount: 2 },
    classify(x, at, scores, scoresAt) {
      compiled.evaluate(x, at);
      const score = compiled.sums[0]! + shift;
      write(score, scores, scoresAt);
      return score > threshold ? 1 : 0;
    },
  };
}

type WriteScores = (score: number, scores: Float64Array, at: number) => void;

/** The other class has a score of zero, which is transformed like any. */
function besideZero(place: 0 | 1, transform: PostTransform): WriteScores {
  const finish = finisher(transform);
  const pair = new Float64Array(2);
  return (score, scores, at) => {
    pair[place] = score;
    pair[1 - place] = 0;
    finish(pair);
    scores[at] = pair[0]!;
    scores[at + 1] = pair[1]!;
  };
}

function pairOf(positive: boolean, transform: PostTransform): WriteScores {
  if (transform === 'PROBIT') return (score, scores, at) => void (scores[at] = probit(score));
  if (transform === 'LOGISTIC') {
    return (score, scores, at) => {
      scores[at] = logistic(-score);
      scores[at + 1] = logistic(score);
    };
  }
  return (score, scores, at) => {
    scores[at] = positive ? 1 - score : -score;
    scores[at + 1] = score;
  };
}

/** TreeEnsemble of ai.onnx.ml 5: inner nodes and leaves in lists of their own. */
function readTreeEnsemble(node: NodeFacts): { forest: Forest; wide: boolean } {
  const list = (name: string): readonly number[] => node.ints(name) ?? [];
  const tensor = (name: string): Tensor =>
    node.tensor(name) ?? { type: 'float32', dims: [0], data: new Float32Array() };
  const splits = tensor('nodes_splits');
  const thresholds = floatsOf(splits);
  const modes = floatsOf(tensor('nodes_modes'));
  const leafWeights = floatsOf(tensor('leaf_weights'));
  const targets = node.int('n_targets', 1);
  const [features, missing, targetIds] = [
    list('nodes_featureids'),
    list('nodes_missing_value_tracks_true'),
    list('leaf_targetids'),
  ];
  const count = features.length;
  const members = membersOf(floatsOf(tensor('membership_values')), modes);
  const child = (side: 'true' | 'false', index: number): number => {
    const place = list(`nodes_${side}nodeids`)[index] ?? -1;
    return list(`nodes_${side}leafs`)[index] === 1 ? count + place : place;
  };
  const sides = {
    true: features.map((_, index) => child('true', index)),
    false: features.map((_, index) => child('false', index)),
  };
  const nodes = features.map((feature, index): TreeNode => {
    const mode = MODES[modes[index]!];
    if (!mode || !(feature >= 0 && feature < 2 ** 24))
      throw invalid('A node tests no feature, or has no mode');
    return {
      ...{
        mode,
        feature,
        value: thresholds[index]!,
        members: members[index]!,
        missingTrue: missing[index] === 1,
      },
      ...{ whenTrue: sides.true[index]!, whenFalse: sides.false[index]!, weights: [] },
    };
  });
  const leaves = targetIds.map((target, index): TreeNode => {
    if (!(target >= 0 && target < targets) || index >= leafWeights.length)
      throw invalid('A leaf has no target or no weight');
    return {
      ...{ mode: 'LEAF', feature: 0, value: 0, missingTrue: false, whenTrue: -1, whenFalse: -1 },
      weights: [{ target, weight: leafWeights[index]! }],
    };
  });
  const aggregate = AGGREGATES[node.int('aggregate_function', 1)];
  if (!aggregate || !(targets > 0 && targets < 2 ** 20))
    throw invalid('TreeEnsemble has no way to aggregate, or no targets');
  const forest: Forest = {
    nodes: [...nodes, ...leaves],
    roots: soleLeaves(nodes, list('tree_roots')),
    targets,
    aggregate,
  };
  return { forest, wide: splits.type === 'float64' };
}

/** Values of each MEMBER node, in the order of the nodes, set apart by NaN. */
function membersOf(data: ArrayLike<number>, modes: ArrayLike<number>): readonly number[][] {
  const groups: number[][] = [[]];
  for (let index = 0; index < data.length; index += 1) {
    if (Number.isNaN(data[index]!)) groups.push([]);
    else groups.at(-1)!.push(data[index]!);
  }
  let next = 0;
  return Array.from(modes, (mode) => (mode === 6 ? (groups[next++] ?? []) : []));
}

/** A tree that is one leaf is written as a node with that leaf on both sides. */
function soleLeaves(nodes: readonly TreeNode[], roots: readonly number[]): number[] {
  return roots.map((root) => {
    const node = nodes[root];
    return node && node.whenTrue === node.whenFalse ? node.whenTrue : root;
  });
}

function treeRegressor(node: NodeFacts): RowRegressor {
  const targets = node.int('n_targets', 1);
  if (!(targets > 0 && targets < 2 ** 20)) throw misfit(`${targets} targets`);
  return regressor(readForest(node, 'target', targets), baseValues(node, targets), postTransformOf(node));
}

function treeEnsemble(node: NodeFacts): RowRegressor {
  const transform = POST_TRANSFORMS[node.int('post_transform', 0)];
  if (!transform) throw misfit('a post transform that is not known');
  return regressor(readTreeEnsemble(node), [], transform);
}

export const treeRows = { classifier, treeRegressor, treeEnsemble };

/** Names and meanings: https://onnx.ai/onnx/operators/ (ai.onnx.ml). */
export const trees: Operators = {
  TreeEnsembleClassifier: classifierOperator(classifier),
  TreeEnsembleRegressor: regressorOperator(treeRegressor),
  TreeEnsemble: { ...regressorOperator(treeEnsemble, true), since: 5 },
};

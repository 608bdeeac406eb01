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
import { type CompiledForest, compileForest } from './compiled-forest.ts';
import { type Aggregate, type Forest, LEAF, MODES, type Mode } from './forest.ts';
import { NodePlaces } from './node-places.ts';
import {
  finisher,
  logistic,
  POST_TRANSFORMS,
  type PostTransform,
  postTransformOf,
  probit,
} from './scores.ts';

const AGGREGATES: readonly Aggregate[] = ['AVERAGE', 'SUM', 'MIN', 'MAX'];

/** Floats of an attribute, or of the tensor that replaces it for doubles. */
function values(node: NodeFacts, name: string): { readonly data: ArrayLike<number>; readonly wide: boolean } {
  const tensor = node.tensor(`${name}_as_tensor`);
  if (tensor) return { data: floatsOf(tensor), wide: tensor.type === 'float64' };
  return { data: node.floats(name) ?? [], wide: false };
}

/** MEMBER came with TreeEnsemble, which gives modes as numbers. */
const MODE_OF_NAME = new Map(
  MODES.flatMap((mode: Mode, place) =>
    mode === 'MEMBER' ? [] : [[mode === 'LEAF' ? 'LEAF' : `BRANCH_${mode}`, place] as const],
  ),
);

function modeOf(name: string): number {
  const mode = MODE_OF_NAME.get(name);
  if (mode === undefined) throw invalid(`${JSON.stringify(name)} is no mode of a node`);
  return mode;
}

const MOST_FEATURES = 2 ** 24;

/** The nodes of TreeEnsembleClassifier and -Regressor: lists with an entry for each node, found by tree and number. */
function readForest(
  node: NodeFacts,
  prefix: 'class' | 'target',
  targets: number,
): { forest: Forest; wide: boolean } {
  const list = (name: string): ArrayLike<number> => node.integers(`nodes_${name}`);
  const [trees, numbers, features] = [list('treeids'), list('nodeids'), list('featureids')];
  const [yes, no, missing] = [list('truenodeids'), list('falsenodeids'), list('missing_value_tracks_true')];
  const modes = node.strings('nodes_modes') ?? [];
  const thresholds = values(node, 'nodes_values');
  const count = trees.length;
  if ([numbers, features, yes, no, modes, thresholds.data].some((each) => each.length !== count)) {
    throw invalid(`${node.node.type} has lists of nodes of different lengths`);
  }
  const places = new NodePlaces(trees, numbers);
  const columns = emptyColumns(count);
  for (let index = 0; index < count; index += 1) {
    const mode = modeOf(modes[index]!);
    columns.mode[index] = mode;
    columns.value[index] = thresholds.data[index]!;
    columns.missingTrue[index] = missing[index] === 1 ? 1 : 0;
    if (mode === LEAF) continue;
    const feature = features[index]!;
    if (!(feature >= 0 && feature < MOST_FEATURES)) throw invalid('A node tests no feature');
    columns.feature[index] = feature;
    columns.whenTrue[index] = places.find(trees[index]!, yes[index]!);
    columns.whenFalse[index] = places.find(trees[index]!, no[index]!);
  }
  const weights = readWeights(node, prefix, places, targets, count);
  const aggregate = node.string('aggregate_function', 'SUM') as Aggregate;
  if (!AGGREGATES.includes(aggregate)) throw invalid(`${JSON.stringify(aggregate)} is no way to aggregate`);
  const roots = rootsOf(columns, trees);
  return {
    forest: { ...columns, ...weights.columns, members: new Map(), roots, targets, aggregate },
    wide: thresholds.wide || weights.wide,
  };
}

function emptyColumns(count: number) {
  return {
    mode: new Uint8Array(count),
    feature: new Int32Array(count),
    value: new Float64Array(count),
    missingTrue: new Uint8Array(count),
    whenTrue: new Int32Array(count).fill(-1),
    whenFalse: new Int32Array(count).fill(-1),
  };
}

/** Weights of each node side by side, in the order in which the file gives them. */
function readWeights(
  node: NodeFacts,
  prefix: 'class' | 'target',
  places: NodePlaces,
  targets: number,
  count: number,
): { readonly columns: Pick<Forest, 'weightStart' | 'weightTarget' | 'weight'>; readonly wide: boolean } {
  const { data, wide } = values(node, `${prefix}_weights`);
  const [trees, numbers, ids] = [
    node.integers(`${prefix}_treeids`),
    node.integers(`${prefix}_nodeids`),
    node.integers(`${prefix}_ids`),
  ];
  const given = data.length;
  const owners = new Int32Array(given);
  const weightStart = new Int32Array(count + 1);
  for (let index = 0; index < given; index += 1) {
    const owner = places.find(trees[index], numbers[index]);
    const target = ids[index];
    if (owner < 0 || target === undefined || !(target >= 0 && target < targets)) {
      throw invalid(`${node.node.type} has a weight for a leaf or a target that is not there`);
    }
    owners[index] = owner;
    weightStart[owner + 1]! += 1;
  }
  for (let index = 0; index < count; index += 1) weightStart[index + 1]! += weightStart[index]!;
  const next = weightStart.slice();
  const weightTarget = new Int32Array(given);
  const weight = new Float64Array(given);
  for (let index = 0; index < given; index += 1) {
    const to = next[owners[index]!]!++;
    weightTarget[to] = ids[index]!;
    weight[to] = data[index]!;
  }
  return { columns: { weightStart, weightTarget, weight }, wide };
}

/** The root of a tree is the node that is nobody's child. */
function rootsOf(
  { whenTrue, whenFalse }: Pick<Forest, 'whenTrue' | 'whenFalse'>,
  trees: ArrayLike<number>,
): Int32Array {
  const isChild = new Uint8Array(trees.length);
  const distinct = new Set<number>();
  for (let index = 0; index < trees.length; index += 1) {
    if (whenTrue[index]! >= 0) isChild[whenTrue[index]!] = 1;
    if (whenFalse[index]! >= 0) isChild[whenFalse[index]!] = 1;
    if (index === 0 || trees[index] !== trees[index - 1]) distinct.add(trees[index]!);
  }
  const roots: number[] = [];
  for (let index = 0; index < trees.length; index += 1) if (isChild[index] === 0) roots.push(index);
  if (distinct.size !== roots.length || new Set(roots.map((root) => trees[root])).size !== roots.length)
    throw invalid('A tree has no root, or several');
  return Int32Array.from(roots);
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
  const [only = 0] = forest.weightTarget;
  if (
    labels.count === 2 &&
    forest.weightTarget.length > 0 &&
    forest.weightTarget.every((each) => each === only)
  ) {
    return binary(forest, precision, only === 1, labels, base, transform);
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
  const weightTarget = new Int32Array(forest.weightTarget.length);
  const compiled = compileForest({ ...forest, weightTarget, targets: 1 }, precision);
  const positive = forest.weight.every((weight) => weight >= 0);
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

/** TreeEnsemble of ai.onnx.ml 5: inner nodes and leaves in lists of their own; here the leaves stand behind the nodes. */
function readTreeEnsemble(node: NodeFacts): { forest: Forest; wide: boolean } {
  const tensor = (name: string): Tensor =>
    node.tensor(name) ?? { type: 'float32', dims: [0], data: new Float32Array() };
  const splits = tensor('nodes_splits');
  const thresholds = floatsOf(splits);
  const modes = floatsOf(tensor('nodes_modes'));
  const leafWeights = floatsOf(tensor('leaf_weights'));
  const targets = node.int('n_targets', 1);
  const [features, missing, targetIds] = [
    node.integers('nodes_featureids'),
    node.integers('nodes_missing_value_tracks_true'),
    node.integers('leaf_targetids'),
  ];
  const count = features.length;
  const columns = emptyColumns(count + targetIds.length);
  const sides = [columns.whenTrue, columns.whenFalse] as const;
  for (const [place, side] of (['true', 'false'] as const).entries()) {
    const [ids, leafs] = [node.integers(`nodes_${side}nodeids`), node.integers(`nodes_${side}leafs`)];
    for (let index = 0; index < count; index += 1) {
      const id = ids[index] ?? -1;
      // What is not there must not become something else by being cut to 32 bits.
      const isThere = id >= 0 && id < count + targetIds.length;
      sides[place]![index] = isThere ? (leafs[index] === 1 ? count + id : id) : -1;
    }
  }
  for (let index = 0; index < count; index += 1) {
    const feature = features[index]!;
    if (
      MODES[modes[index]!] === undefined ||
      modes[index] === LEAF ||
      !(feature >= 0 && feature < MOST_FEATURES)
    )
      throw invalid('A node tests no feature, or has no mode');
    columns.mode[index] = modes[index]!;
    columns.feature[index] = feature;
    columns.value[index] = thresholds[index]!;
    columns.missingTrue[index] = missing[index] === 1 ? 1 : 0;
  }
  columns.mode.fill(LEAF, count);
  for (let index = 0; index < targetIds.length; index += 1) {
    if (!(targetIds[index]! >= 0 && targetIds[index]! < targets) || index >= leafWeights.length)
      throw invalid('A leaf has no target or no weight');
  }
  const aggregate = AGGREGATES[node.int('aggregate_function', 1)];
  if (!aggregate || !(targets > 0 && targets < 2 ** 20))
    throw invalid('TreeEnsemble has no way to aggregate, or no targets');
  const forest: Forest = {
    ...columns,
    members: membersOf(floatsOf(tensor('membership_values')), modes),
    weightStart: Int32Array.from({ length: count + targetIds.length + 1 }, (_, index) =>
      Math.max(0, index - count),
    ),
    weightTarget: Int32Array.from(targetIds),
    weight: Float64Array.from(targetIds, (_, index) => leafWeights[index]!),
    roots: soleLeaves(columns, node.integers('tree_roots')),
    ...{ targets, aggregate },
  };
  return { forest, wide: splits.type === 'float64' };
}

/** Values of each MEMBER node, in the order of the nodes, set apart by NaN. */
function membersOf(data: ArrayLike<number>, modes: ArrayLike<number>): Map<number, readonly number[]> {
  const groups: number[][] = [[]];
  for (let index = 0; index < data.length; index += 1) {
    if (Number.isNaN(data[index]!)) groups.push([]);
    else groups.at(-1)!.push(data[index]!);
  }
  const members = new Map<number, readonly number[]>();
  for (let index = 0; index < modes.length; index += 1) {
    if (modes[index] === MODES.indexOf('MEMBER')) members.set(index, groups[members.size] ?? []);
  }
  return members;
}

/** A tree that is one leaf is written as a node with that leaf on both sides. */
function soleLeaves(
  { whenTrue, whenFalse }: Pick<Forest, 'whenTrue' | 'whenFalse'>,
  roots: ArrayLike<number>,
): Int32Array {
  return Int32Array.from(roots, (root) =>
    whenTrue[root] !== undefined && whenTrue[root]! >= 0 && whenTrue[root] === whenFalse[root]
      ? whenTrue[root]!
      : root,
  );
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

/**
 * A decision tree as flat arrays; node 0 is the root. A node whose `left` is -1 is a leaf. A row goes left when its
 * value is at most the threshold (of a category: equal to it), and where `missingLeft` says so when it is missing.
 */
export interface Tree {
  readonly feature: Int32Array;
  readonly threshold: Float32Array;
  /** 1 where the node asks for a category. */
  readonly equals: Uint8Array;
  readonly missingLeft: Uint8Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** What a leaf adds to the answer; 0 elsewhere. */
  readonly value: Float32Array;
  /** Rows that reached the node when it was learnt. */
  readonly cover: Float64Array;
  /** How much the split of the node made the loss smaller; 0 for leaves. */
  readonly gain: Float64Array;
}

/** Trees that are added up: for each output its base and the trees that add to it. */
export interface TreeEnsemble {
  readonly base: Float64Array;
  /** `trees[i]` adds to output `i % base.length`. */
  readonly trees: readonly Tree[];
}

/** Values by feature and row: NaN is a missing number, -1 a missing category. */
export type FeatureValues = readonly (Float32Array | Int32Array)[];

/** The leaf that a row reaches. A missing category equals none, so that it goes right like all others. */
export function leafOf(tree: Tree, values: FeatureValues, row: number): number {
  const { left, right, feature, threshold, equals, missingLeft } = tree;
  let node = 0;
  while (left[node]! >= 0) {
    const value = values[feature[node]!]![row]!;
    const goesLeft =
      value <= threshold[node]!
        ? equals[node] === 0 || value === threshold[node]
        : Number.isNaN(value) && missingLeft[node] === 1;
    node = goesLeft ? left[node]! : right[node]!;
  }
  return node;
}

/** The sums of the trees for each row, output by output: `[row × outputs + output]`. */
export function rawScores(ensemble: TreeEnsemble, values: FeatureValues, rows: number): Float64Array {
  const outputs = ensemble.base.length;
  const scores = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) scores.set(ensemble.base, row * outputs);
  ensemble.trees.forEach((tree, index) => {
    const output = index % outputs;
    for (let row = 0; row < rows; row++) {
      scores[row * outputs + output]! += tree.value[leafOf(tree, values, row)]!;
    }
  });
  return scores;
}

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

/** Reads the value of a feature of the row at hand; NaN when it is missing. Categories are their codes. */
export type ReadFeature = (feature: number, row: number) => number;

/** The leaf that a row reaches. */
export function leafOf(tree: Tree, read: ReadFeature, row: number): number {
  let node = 0;
  while (tree.left[node]! >= 0) {
    const value = read(tree.feature[node]!, row);
    const threshold = tree.threshold[node]!;
    const goesLeft = Number.isNaN(value)
      ? tree.missingLeft[node] === 1
      : tree.equals[node] === 1
        ? value === threshold
        : value <= threshold;
    node = goesLeft ? tree.left[node]! : tree.right[node]!;
  }
  return node;
}

/** The sums of the trees for each row, output by output: `[row × outputs + output]`. */
export function rawScores(ensemble: TreeEnsemble, read: ReadFeature, rows: number): Float64Array {
  const outputs = ensemble.base.length;
  const scores = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) scores.set(ensemble.base, row * outputs);
  ensemble.trees.forEach((tree, index) => {
    const output = index % outputs;
    for (let row = 0; row < rows; row++) {
      scores[row * outputs + output]! += tree.value[leafOf(tree, read, row)]!;
    }
  });
  return scores;
}

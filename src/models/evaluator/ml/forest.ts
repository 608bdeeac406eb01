import { invalid } from '../../onnx/index.ts';

export type BranchMode = 'LEQ' | 'LT' | 'GTE' | 'GT' | 'EQ' | 'NEQ' | 'MEMBER';

/** A node of a tree as the file has it: a test with two children, or a leaf with a weight for some targets. */
export interface TreeNode {
  readonly mode: BranchMode | 'LEAF';
  readonly feature: number;
  readonly value: number;
  /** Of MEMBER: the values that go to the true child. */
  readonly members?: readonly number[];
  /** Where a missing value (NaN) goes beyond what the test says: to the true child. */
  readonly missingTrue: boolean;
  readonly whenTrue: number;
  readonly whenFalse: number;
  readonly weights: readonly { readonly target: number; readonly weight: number }[];
}

export type Aggregate = 'SUM' | 'AVERAGE' | 'MIN' | 'MAX';

export interface Forest {
  readonly nodes: readonly TreeNode[];
  readonly roots: readonly number[];
  readonly targets: number;
  readonly aggregate: Aggregate;
}

/** Adds up what the leaves that a row reaches say. */
export interface CompiledForest {
  /** Features it reads. */
  readonly width: number;
  /** Sums for each target, and whether any leaf had a say in it. */
  readonly sums: Float64Array;
  readonly touched: Uint8Array;
  evaluate(x: ArrayLike<number>, at: number): void;
}

/**
 * A record of four 32-bit words for each node, so that one is in one cache line: the threshold as float64, the feature
 * (-1 at a leaf), and the place of the first child; the second lies behind it. Trees are laid out by breadth.
 *
 * Every order test becomes "x ≤ threshold goes to the first child": with float32 features `x < v` is `x ≤` the float
 * below `v`, and for ≥ and > the children change places. What NaN does stands apart, so that rows without one need no
 * look at it.
 */
interface Layout {
  readonly floats: Float64Array;
  readonly words: Int32Array;
  readonly roots: Int32Array;
  /** By record: 1 when NaN goes to the first child. */
  readonly nanFirst: Uint8Array;
  /** By record: tests for equality and membership, which are rare. */
  readonly special: ReadonlyMap<number, (x: number) => boolean>;
  /** By record of a leaf: where its weights begin and end. */
  readonly weightStart: Int32Array;
  readonly weightTargets: Int32Array;
  readonly weights: Float64Array;
}

export function compileForest(forest: Forest, precision: 'float32' | 'float64'): CompiledForest {
  const layout = layOut(forest, precision);
  const { targets, aggregate } = forest;
  const sums = new Float64Array(targets);
  const touched = new Uint8Array(targets);
  const width =
    1 + forest.nodes.reduce((most, node) => Math.max(most, node.mode === 'LEAF' ? -1 : node.feature), -1);
  const sumOnly =
    targets === 1 && layout.special.size === 0 && (aggregate === 'SUM' || aggregate === 'AVERAGE');
  const hasNanFirst = layout.nanFirst.includes(1);
  const leafOf = leafFinder(layout, hasNanFirst, width);
  const everyLeaf =
    layout.weightStart.length > 0 &&
    forest.nodes.every((node) => node.mode !== 'LEAF' || node.weights.length === 1);
  const count = layout.roots.length;
  return {
    ...{ width, sums, touched },
    evaluate(x, at) {
      if (sumOnly && everyLeaf && !(hasNanFirst && hasNan(x, at, width))) {
        const sum = sumTrees(layout.floats, layout.words, layout.roots, x, at);
        sums[0] = aggregate === 'AVERAGE' ? sum / count : sum;
        touched[0] = 1;
        return;
      }
      sums.fill(0);
      touched.fill(0);
      for (let tree = 0; tree < count; tree += 1) {
        addLeaf(layout, leafOf(layout.roots[tree]!, x, at), aggregate, sums, touched);
      }
      if (aggregate === 'AVERAGE') for (let target = 0; target < targets; target += 1) sums[target]! /= count;
    },
  };
}

function hasNan(x: ArrayLike<number>, at: number, width: number): boolean {
  for (let index = at; index < at + width; index += 1) if (Number.isNaN(x[index]!)) return true;
  return false;
}

/** The weights of the leaves lie in place of their thresholds. Roots and children count in 32-bit words. */
function sumTrees(
  floats: Float64Array,
  words: Int32Array,
  roots: Int32Array,
  x: ArrayLike<number>,
  at: number,
): number {
  let sum = 0;
  for (let tree = 0; tree < roots.length; tree += 1) {
    let node = roots[tree]!;
    let feature = words[node + 2]!;
    while (feature >= 0) {
      const child = words[node + 3]!;
      node = x[at + feature]! <= floats[node >> 1]! ? child : child + 4;
      feature = words[node + 2]!;
    }
    sum += floats[node >> 1]!;
  }
  return sum;
}

function leafFinder(
  { floats, words, nanFirst, special }: Layout,
  hasNanFirst: boolean,
  _width: number,
): (root: number, x: ArrayLike<number>, at: number) => number {
  if (special.size === 0 && !hasNanFirst) {
    return (root, x, at) => {
      let node = root;
      for (let feature = words[node + 2]!; feature >= 0; feature = words[node + 2]!) {
        node = x[at + feature]! <= floats[node >> 1]! ? words[node + 3]! : words[node + 3]! + 4;
      }
      return node;
    };
  }
  return (root, x, at) => {
    let node = root;
    for (let feature = words[node + 2]!; feature >= 0; feature = words[node + 2]!) {
      const value = x[at + feature]!;
      let first = value <= floats[node >> 1]!;
      if (Number.isNaN(value)) first = nanFirst[node >> 2] === 1;
      else if (special.size > 0) first = special.get(node >> 2)?.(value) ?? first;
      node = first ? words[node + 3]! : words[node + 3]! + 4;
    }
    return node;
  };
}

function addLeaf(
  { weightStart, weightTargets, weights }: Layout,
  node: number,
  aggregate: Aggregate,
  sums: Float64Array,
  touched: Uint8Array,
): void {
  const leaf = node >> 2;
  for (let index = weightStart[leaf]!; index < weightStart[leaf + 1]!; index += 1) {
    const target = weightTargets[index]!;
    const weight = weights[index]!;
    if (aggregate === 'SUM' || aggregate === 'AVERAGE' || !touched[target]) sums[target]! += weight;
    else if (aggregate === 'MIN') sums[target] = Math.min(sums[target]!, weight);
    else sums[target] = Math.max(sums[target]!, weight);
    touched[target] = 1;
  }
}

/** Places of the nodes by breadth, children side by side. A node that is reached twice would be a loop. */
function breadthFirst({ nodes, roots }: Forest): {
  order: number[];
  starts: number[];
  children: Map<number, number>;
} {
  const seen = new Uint8Array(nodes.length);
  const order: number[] = [];
  const starts: number[] = [];
  const children = new Map<number, number>();
  const reach = (index: number): number => {
    if (!nodes[index] || seen[index])
      throw invalid(`A tree has a loop, or a child ${index} that is not there`);
    seen[index] = 1;
    return order.push(index) - 1;
  };
  for (const root of roots) {
    let next = reach(root);
    starts.push(next);
    for (; next < order.length; next += 1) {
      const node = nodes[order[next]!]!;
      if (node.mode === 'LEAF') continue;
      const swaps = node.mode === 'GTE' || node.mode === 'GT';
      children.set(next, reach(swaps ? node.whenFalse : node.whenTrue));
      reach(swaps ? node.whenTrue : node.whenFalse);
    }
  }
  return { order, starts, children };
}

function layOut(forest: Forest, precision: 'float32' | 'float64'): Layout {
  const { order, starts, children } = breadthFirst(forest);
  const words = new Int32Array(order.length * 4);
  const floats = new Float64Array(words.buffer);
  const nanFirst = new Uint8Array(order.length);
  const special = new Map<number, (x: number) => boolean>();
  const weightStart = new Int32Array(order.length + 1);
  const weightTargets: number[] = [];
  const weights: number[] = [];
  for (const [place, index] of order.entries()) {
    const node = forest.nodes[index]!;
    const leaf = node.mode === 'LEAF';
    words[place * 4 + 2] = leaf ? -1 : node.feature;
    words[place * 4 + 3] = leaf ? 0 : children.get(place)! * 4;
    if (leaf) {
      floats[place * 2] = node.weights[0]?.weight ?? 0;
      for (const { target, weight } of node.weights) {
        weightTargets.push(target);
        weights.push(weight);
      }
    } else {
      floats[place * 2] = thresholdOf(node, precision);
      if (nanGoesFirst(node)) nanFirst[place] = 1;
      const test = specialTest(node);
      if (test) special.set(place, test);
    }
    weightStart[place + 1] = weights.length;
  }
  return {
    ...{ floats, words, nanFirst, special, weightStart },
    roots: Int32Array.from(starts, (start) => start * 4),
    weightTargets: Int32Array.from(weightTargets),
    weights: Float64Array.from(weights),
  };
}

/** NaN fails every test but "not equal"; a node may send it to the true child instead. */
function nanGoesFirst({ mode, missingTrue }: TreeNode): boolean {
  const toTrue = missingTrue || mode === 'NEQ';
  return mode === 'GTE' || mode === 'GT' ? !toTrue : toTrue;
}

function specialTest({ mode, value, members }: TreeNode): ((x: number) => boolean) | undefined {
  if (mode === 'EQ') return (x) => x === value;
  if (mode === 'NEQ') return (x) => x !== value;
  if (mode !== 'MEMBER') return undefined;
  const set = new Set(members);
  return (x) => set.has(x);
}

function thresholdOf({ mode, value }: TreeNode, precision: 'float32' | 'float64'): number {
  return mode === 'LT' || mode === 'GTE' ? below(value, precision) : value;
}

/** The largest float below a value. Nothing is below minus infinity: no number is ≤ NaN. */
function below(value: number, precision: 'float32' | 'float64'): number {
  if (Number.isNaN(value) || value === Number.NEGATIVE_INFINITY) return Number.NaN;
  const wide = precision === 'float64';
  if (value === 0) return wide ? -Number.MIN_VALUE : -(2 ** -149);
  const floats = wide ? Float64Array.of(value) : Float32Array.of(value);
  const bits = wide ? new BigInt64Array(floats.buffer) : new Int32Array(floats.buffer);
  if (bits instanceof BigInt64Array) bits[0]! += value > 0 ? -1n : 1n;
  else bits[0]! += value > 0 ? -1 : 1;
  return floats[0]!;
}

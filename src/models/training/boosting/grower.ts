import type { Tree } from '../trees.ts';
import type { BinnedMatrix, Binning } from './bins.ts';
import { addRows, type Cells, cellsOf, type HistogramLayout, layoutOf, subtract } from './histogram.ts';
import type { BoostingSettings } from './settings.ts';
import { type Bounds, leafValue, type Split, SplitFinder, type Sums } from './split.ts';

/** A leaf that may still be split: the rows `order[begin..end)`. */
interface OpenLeaf {
  readonly node: number;
  readonly depth: number;
  readonly begin: number;
  readonly end: number;
  readonly sums: Sums;
  readonly bounds: Bounds;
  /** Given back to the pool once the leaf is settled. */
  histogram: Float64Array | undefined;
  split: Split | undefined;
}

/** A grown tree; the rows of each leaf can be read from `order` without asking the tree again. */
export interface GrownTree {
  readonly tree: Tree;
  /** For each leaf: node, begin, end. */
  readonly leaves: readonly (readonly [node: number, begin: number, end: number])[];
  readonly order: Int32Array;
  /** The last bin that goes left, by node. */
  readonly bins: Int32Array;
}

const NO_BOUNDS: Bounds = { low: -Infinity, high: Infinity };
/** Histograms kept for subtraction take at most this much; without one, a leaf's rows are read again. */
const MOST_HISTOGRAM_BYTES = 256 * 1024 * 1024;

/** Grows trees on binned columns; buffers are kept from tree to tree. */
export class TreeGrower {
  readonly #matrix: BinnedMatrix;
  readonly #settings: BoostingSettings;
  readonly #monotone: Int8Array;
  readonly #layout: HistogramLayout;
  readonly #cells: Cells;
  readonly #finder: SplitFinder;
  readonly #pool: Float64Array[] = [];
  /** Histograms that leaves hold. */
  #kept = 0;
  readonly #order: Int32Array;
  readonly #aside: Int32Array;
  readonly #goesLeft = new Uint8Array(256);

  constructor(matrix: BinnedMatrix, settings: BoostingSettings, monotone: Int8Array) {
    this.#matrix = matrix;
    this.#settings = settings;
    this.#monotone = monotone;
    this.#layout = layoutOf(matrix);
    this.#cells = cellsOf(matrix, this.#layout);
    this.#finder = new SplitFinder(matrix.columns, this.#layout, settings, monotone);
    this.#order = new Int32Array(matrix.rows);
    this.#aside = new Int32Array(matrix.rows);
  }

  /** Grows one tree on some rows (ascending) and features; gradients and hessians are by row. */
  grow(gradients: Float32Array, hessians: Float32Array, rows: Int32Array, features: Int32Array): GrownTree {
    this.#order.set(rows);
    const nodes = new NodeList(2 * this.#settings.maxLeaves);
    const root = this.#rootLeaf(gradients, hessians, rows.length, nodes);
    root.histogram = this.#takeHistogram();
    this.#fill(root, gradients, hessians, features);
    const open: OpenLeaf[] = [];
    const settled: OpenLeaf[] = [];
    this.#consider(root, features, open, settled);
    let leaves = 1;
    while (open.length > 0 && leaves < this.#settings.maxLeaves) {
      const leaf = open.splice(this.#next(open), 1)[0]!;
      const [left, right] = this.#divide(leaf, nodes);
      leaves++;
      if (leaves < this.#settings.maxLeaves && !this.#isDeepest(left)) {
        this.#fillBoth(leaf, left, right, gradients, hessians, features);
        this.#consider(left, features, open, settled);
        this.#consider(right, features, open, settled);
      } else {
        // They stay leaves: their histograms, the dearest part, need not be known.
        this.#giveBack(leaf);
        settled.push(left, right);
      }
    }
    for (const leaf of open) this.#giveBack(leaf);
    settled.push(...open);
    return this.#finish(nodes, settled);
  }

  #rootLeaf(gradients: Float32Array, hessians: Float32Array, count: number, nodes: NodeList): OpenLeaf {
    const sums = { gradient: 0, hessian: 0, count };
    for (let place = 0; place < count; place++) {
      const row = this.#order[place]!;
      sums.gradient += gradients[row]!;
      sums.hessian += hessians[row]!;
    }
    const node = nodes.add(count);
    return {
      node,
      depth: 0,
      begin: 0,
      end: count,
      sums,
      bounds: NO_BOUNDS,
      histogram: undefined,
      split: undefined,
    };
  }

  #next(open: readonly OpenLeaf[]): number {
    let best = 0;
    for (let place = 1; place < open.length; place++) {
      const [one, other] = [open[place]!, open[best]!];
      const better =
        this.#settings.grow === 'leaf'
          ? one.split!.gain > other.split!.gain
          : one.depth < other.depth || (one.depth === other.depth && one.node < other.node);
      if (better) best = place;
    }
    return best;
  }

  /** Keeps the leaf open if it can be split. */
  #consider(leaf: OpenLeaf, features: Int32Array, open: OpenLeaf[], settled: OpenLeaf[]): void {
    leaf.split = this.#finder.find(leaf.histogram!, leaf.sums, leaf.bounds, features);
    const keeps = this.#kept * this.#layout.length * 8 <= MOST_HISTOGRAM_BYTES;
    if (!leaf.split || !keeps) this.#giveBack(leaf);
    (leaf.split ? open : settled).push(leaf);
  }

  #isDeepest({ depth }: OpenLeaf): boolean {
    const { maxDepth } = this.#settings;
    return maxDepth > 0 && depth >= maxDepth;
  }

  #divide(leaf: OpenLeaf, nodes: NodeList): [OpenLeaf, OpenLeaf] {
    const split = leaf.split!;
    const middle = this.#partition(leaf, split);
    const leftSums = { ...split.left, count: middle - leaf.begin };
    const rightSums = { ...split.right, count: leaf.end - middle };
    const left = nodes.add(leftSums.count);
    const right = nodes.add(rightSums.count);
    nodes.split(leaf.node, split, this.#matrix.columns[split.feature]!, left, right);
    const [low, high] = this.#boundsBelow(leaf, split);
    const depth = leaf.depth + 1;
    const common = { depth, histogram: undefined, split: undefined };
    return [
      { ...common, node: left, begin: leaf.begin, end: middle, sums: leftSums, bounds: low },
      { ...common, node: right, begin: middle, end: leaf.end, sums: rightSums, bounds: high },
    ];
  }

  /** Below a split on a monotone column, the middle of both sides' values is a bound for each. */
  #boundsBelow(leaf: OpenLeaf, { feature, left, right }: Split): readonly [Bounds, Bounds] {
    const direction = this.#monotone[feature]!;
    const { low, high } = leaf.bounds;
    if (direction === 0) return [leaf.bounds, leaf.bounds];
    const { lambdaL2 } = this.#settings;
    const middle =
      (leafValue(left.gradient, left.hessian, lambdaL2, leaf.bounds) +
        leafValue(right.gradient, right.hessian, lambdaL2, leaf.bounds)) /
      2;
    return direction > 0
      ? [
          { low, high: middle },
          { low: middle, high },
        ]
      : [
          { low: middle, high },
          { low, high: middle },
        ];
  }

  /** Moves the rows that go left to the front, in order; gives where the others begin. */
  #partition(leaf: OpenLeaf, { feature, bin, missingLeft }: Split): number {
    const { byColumn, rows, columns } = this.#matrix;
    const { bins, categorical } = columns[feature]!;
    const first = feature * rows;
    const order = this.#order;
    const aside = this.#aside;
    const goesLeft = this.#goesLeft;
    for (let code = 0; code < bins; code++)
      goesLeft[code] = (categorical ? code === bin : code <= bin) ? 1 : 0;
    goesLeft[bins] = missingLeft ? 1 : 0;
    let front = leaf.begin;
    let back = 0;
    // Each row is written to both sides and only one side moves on: no branch that could be guessed wrong.
    for (let place = leaf.begin; place < leaf.end; place++) {
      const row = order[place]!;
      const left = goesLeft[byColumn[first + row]!]!;
      order[front] = row;
      aside[back] = row;
      front += left;
      back += 1 - left;
    }
    order.set(aside.subarray(0, back), front);
    return front;
  }

  /** Reads the rows of the smaller child; the other's histogram is the parent's without it. */
  #fillBoth(
    parent: OpenLeaf,
    left: OpenLeaf,
    right: OpenLeaf,
    gradients: Float32Array,
    hessians: Float32Array,
    features: Int32Array,
  ): void {
    const [small, large] = left.end - left.begin <= right.end - right.begin ? [left, right] : [right, left];
    const whole = parent.histogram;
    parent.histogram = undefined;
    small.histogram = this.#takeHistogram();
    this.#fill(small, gradients, hessians, features);
    large.histogram = whole ?? this.#takeHistogram();
    if (whole) subtract(whole, small.histogram);
    else this.#fill(large, gradients, hessians, features);
  }

  #fill(leaf: OpenLeaf, gradients: Float32Array, hessians: Float32Array, features: Int32Array): void {
    const histogram = leaf.histogram!;
    histogram.fill(0);
    const { begin, end } = leaf;
    addRows(
      histogram,
      this.#cells,
      this.#matrix.columns.length,
      features,
      this.#order,
      begin,
      end,
      gradients,
      hessians,
    );
  }

  #takeHistogram(): Float64Array {
    this.#kept++;
    return this.#pool.pop() ?? new Float64Array(this.#layout.length);
  }

  #giveBack(leaf: OpenLeaf): void {
    if (!leaf.histogram) return;
    this.#pool.push(leaf.histogram);
    this.#kept--;
    leaf.histogram = undefined;
  }

  #finish(nodes: NodeList, leaves: readonly OpenLeaf[]): GrownTree {
    const { lambdaL2, learningRate } = this.#settings;
    for (const { node, sums, bounds } of leaves) {
      nodes.value[node] = learningRate * leafValue(sums.gradient, sums.hessian, lambdaL2, bounds);
    }
    return {
      ...nodes.finish(),
      leaves: leaves.map(({ node, begin, end }) => [node, begin, end]),
      order: this.#order,
    };
  }
}

/** The nodes of a tree as it grows. */
class NodeList {
  #size = 0;
  readonly feature: Int32Array;
  readonly threshold: Float32Array;
  readonly equals: Uint8Array;
  readonly missingLeft: Uint8Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly value: Float32Array;
  readonly cover: Float64Array;
  readonly gain: Float64Array;
  readonly bins: Int32Array;

  constructor(most: number) {
    this.feature = new Int32Array(most);
    this.threshold = new Float32Array(most);
    this.equals = new Uint8Array(most);
    this.missingLeft = new Uint8Array(most);
    this.left = new Int32Array(most).fill(-1);
    this.right = new Int32Array(most).fill(-1);
    this.value = new Float32Array(most);
    this.cover = new Float64Array(most);
    this.gain = new Float64Array(most);
    this.bins = new Int32Array(most);
  }

  add(count: number): number {
    this.cover[this.#size] = count;
    return this.#size++;
  }

  split(node: number, split: Split, column: Binning, left: number, right: number): void {
    this.feature[node] = split.feature;
    // "All that is not missing" has no cut above it: every number is at most infinity.
    this.threshold[node] = column.categorical ? split.bin : (column.cuts[split.bin] ?? Infinity);
    this.equals[node] = column.categorical ? 1 : 0;
    this.missingLeft[node] = split.missingLeft ? 1 : 0;
    this.left[node] = left;
    this.right[node] = right;
    this.gain[node] = split.gain;
    this.bins[node] = split.bin;
  }

  finish(): { tree: Tree; bins: Int32Array } {
    const size = this.#size;
    return {
      bins: this.bins.slice(0, size),
      tree: {
        feature: this.feature.slice(0, size),
        threshold: this.threshold.slice(0, size),
        equals: this.equals.slice(0, size),
        missingLeft: this.missingLeft.slice(0, size),
        left: this.left.slice(0, size),
        right: this.right.slice(0, size),
        value: this.value.slice(0, size),
        cover: this.cover.slice(0, size),
        gain: this.gain.slice(0, size),
      },
    };
  }
}

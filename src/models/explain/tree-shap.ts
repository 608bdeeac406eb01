import { LEAF, type OnnxTrees } from './ensemble.ts';

/**
 * TreeSHAP with the distribution of the trees' own paths: Lundberg, Erion and Lee, "Consistent Individualized Feature
 * Attribution for Tree Ensembles" (arXiv:1802.03888), algorithm 2. Time per row and tree: leaves × depth².
 *
 * A path is the set of features met on the way down. Of each it knows how much of the rows would go this way whatever the
 * feature (`zero`), whether the row at hand does (`one`), and the weights of subsets of each size.
 */
class Paths {
  readonly feature: Int32Array;
  readonly zero: Float64Array;
  readonly one: Float64Array;
  readonly weight: Float64Array;

  constructor(depth: number) {
    // One path per level, each one longer than the one above; the first entry stands for no feature.
    const size = ((depth + 2) * (depth + 3)) / 2;
    this.feature = new Int32Array(size);
    this.zero = new Float64Array(size);
    this.one = new Float64Array(size);
    this.weight = new Float64Array(size);
  }

  copy(from: number, to: number, length: number): void {
    this.feature.copyWithin(to, from, from + length);
    this.zero.copyWithin(to, from, from + length);
    this.one.copyWithin(to, from, from + length);
    this.weight.copyWithin(to, from, from + length);
  }

  /** Adds a feature to the path at `at`, which has `length` entries; weights of subsets grow with it. */
  extend(at: number, length: number, zero: number, one: number, feature: number): void {
    const { weight } = this;
    this.feature[at + length] = feature;
    this.zero[at + length] = zero;
    this.one[at + length] = one;
    weight[at + length] = length === 0 ? 1 : 0;
    for (let size = length - 1; size >= 0; size--) {
      weight[at + size + 1]! += (one * weight[at + size]! * (size + 1)) / (length + 1);
      weight[at + size] = (zero * weight[at + size]! * (length - size)) / (length + 1);
    }
  }

  /** Takes the entry at `index` out of a path of `length` entries: the inverse of `extend`. */
  unwind(at: number, length: number, index: number): void {
    const { weight, feature, zero: zeros, one: ones } = this;
    const last = length - 1;
    const [zero, one] = [zeros[at + index]!, ones[at + index]!];
    let next = weight[at + last]!;
    for (let size = last - 1; size >= 0; size--) {
      if (one !== 0) {
        const before = weight[at + size]!;
        weight[at + size] = (next * length) / ((size + 1) * one);
        next = before - (weight[at + size]! * zero * (last - size)) / length;
      } else {
        weight[at + size] = (weight[at + size]! * length) / (zero * (last - size));
      }
    }
    for (let place = at + index; place < at + last; place++) {
      feature[place] = feature[place + 1]!;
      zeros[place] = zeros[place + 1]!;
      ones[place] = ones[place + 1]!;
    }
  }

  /** What the weights would sum to without the entry at `index`. */
  unwoundSum(at: number, length: number, index: number): number {
    const { weight } = this;
    const last = length - 1;
    const [zero, one] = [this.zero[at + index]!, this.one[at + index]!];
    let next = weight[at + last]!;
    let sum = 0;
    for (let size = last - 1; size >= 0; size--) {
      if (one !== 0) {
        const part = (next * length) / ((size + 1) * one);
        sum += part;
        next = weight[at + size]! - (part * zero * (last - size)) / length;
      } else if (zero !== 0) {
        sum += (weight[at + size]! * length) / (zero * (last - size));
      }
    }
    return sum;
  }
}

/** Contributions of rows of one ensemble; buffers are kept from row to row. */
export class TreeShap {
  /** What the trees answer on average, by output: contributions are what is added to it. */
  readonly expected: Float64Array;
  readonly #trees: OnnxTrees;
  readonly #paths: Paths;
  // The row at hand and where its contributions go.
  #row: Float32Array = new Float32Array(0);
  #contributions: Float64Array = new Float64Array(0);
  #width = 0;

  constructor(trees: OnnxTrees) {
    this.#trees = trees;
    this.#paths = new Paths(trees.depth + 1);
    this.expected = expectedOf(trees);
  }

  /** Adds to `contributions`, `[output × width + feature]`, what each feature of the row adds to each output. */
  explain(row: Float32Array, contributions: Float64Array, width: number): void {
    this.#row = row;
    this.#contributions = contributions;
    this.#width = width;
    for (const root of this.#trees.roots) this.#descend(root, 0, 0, 1, 1, -1);
  }

  #descend(node: number, at: number, length: number, zero: number, one: number, feature: number): void {
    const paths = this.#paths;
    paths.extend(at, length, zero, one, feature);
    length++;
    if (this.#trees.mode[node] === LEAF) {
      this.#addLeaf(node, at, length);
      return;
    }
    const asked = this.#trees.feature[node]!;
    const isYes = goesYes(this.#trees, node, this.#row[asked]!);
    const { yes, no, cover } = this.#trees;
    const hot = isYes ? yes[node]! : no[node]!;
    const cold = isYes ? no[node]! : yes[node]!;
    let [hotZero, hotOne] = [1, 1];
    // A feature that was asked before is taken out of the path, and what it knew goes on.
    for (let index = 1; index < length; index++) {
      if (paths.feature[at + index] !== asked) continue;
      hotZero = paths.zero[at + index]!;
      hotOne = paths.one[at + index]!;
      paths.unwind(at, length, index);
      length--;
      break;
    }
    const below = at + length;
    const share = hotZero / cover[node]!;
    paths.copy(at, below, length);
    this.#descend(hot, below, length, share * cover[hot]!, hotOne, asked);
    paths.copy(at, below, length);
    this.#descend(cold, below, length, share * cover[cold]!, 0, asked);
  }

  #addLeaf(node: number, at: number, length: number): void {
    const { firstWeight, target, weight } = this.#trees;
    const paths = this.#paths;
    for (let index = 1; index < length; index++) {
      const place = at + index;
      const part = paths.unwoundSum(at, length, index) * (paths.one[place]! - paths.zero[place]!);
      for (let each = firstWeight[node]!; each < firstWeight[node + 1]!; each++) {
        this.#contributions[target[each]! * this.#width + paths.feature[place]!]! += part * weight[each]!;
      }
    }
  }
}

function goesYes({ mode, value, missingIsYes }: OnnxTrees, node: number, x: number): boolean {
  if (Number.isNaN(x)) return missingIsYes[node] === 1;
  const threshold = value[node]!;
  switch (mode[node]) {
    case 0:
      return x <= threshold;
    case 1:
      return x < threshold;
    case 2:
      return x >= threshold;
    case 3:
      return x > threshold;
    case 4:
      return x === threshold;
    default:
      return x !== threshold;
  }
}

/** The mean of each tree's leaves, weighed by the rows that reached them. */
function expectedOf(trees: OnnxTrees): Float64Array {
  const expected = trees.base.slice();
  const { roots, mode, cover, firstWeight, target, weight } = trees;
  roots.forEach((root, tree) => {
    const end = roots[tree + 1] ?? mode.length;
    for (let node = root; node < end; node++) {
      for (let each = firstWeight[node]!; each < firstWeight[node + 1]!; each++) {
        expected[target[each]!]! += (weight[each]! * cover[node]!) / cover[root]!;
      }
    }
  });
  return expected;
}

import { invalid } from '../../onnx/index.ts';
import { type Forest, LEAF, MODES } from './forest.ts';

/**
 * A record of four 32-bit words for each node, so that one is in one cache line: the threshold as float64, the feature,
 * and the place of the first child; the second lies behind it. Trees are laid out by breadth.
 *
 * Every order test becomes "x > threshold goes to the second child": with float32 features `x < v` is `x ≤` the float
 * below `v`, and for ≥ and > the children change places. A leaf tests against infinity and is its own first child, so that a
 * walk may go on over it. What NaN does stands apart, so that rows without one need no look at it.
 */
export interface Layout {
  readonly floats: Float64Array;
  readonly words: Int32Array;
  readonly roots: Int32Array;
  /** By tree, in the order of the forest: steps from the root to the deepest leaf. */
  readonly depths: Int32Array;
  /** By record: 1 when NaN goes to the first child. */
  readonly nanFirst: Uint8Array;
  /** By record: tests for equality and membership, which are rare. */
  readonly special: ReadonlyMap<number, (x: number) => boolean>;
  /** By record of a leaf: where its weights begin and end. */
  readonly weightStart: Int32Array;
  readonly weightTargets: Int32Array;
  readonly weights: Float64Array;
  /** By record: the only weight of a leaf. */
  readonly onlyWeight: Float64Array;
}

const [, LT, GTE, GT, EQ, NEQ, MEMBER] = MODES.map((_, place) => place);

export function layOut(forest: Forest, precision: 'float32' | 'float64'): Layout {
  const { order, starts, children, depths } = breadthFirst(forest);
  const size = order.length;
  const words = new Int32Array(size * 4);
  const floats = new Float64Array(words.buffer);
  const nanFirst = new Uint8Array(size);
  const special = new Map<number, (x: number) => boolean>();
  const { mode, feature } = forest;
  for (let place = 0; place < size; place += 1) {
    const node = order[place]!;
    const leaf = mode[node] === LEAF;
    floats[place * 2] = leaf ? Number.POSITIVE_INFINITY : thresholdOf(forest, node, precision);
    words[place * 4 + 2] = leaf ? 0 : feature[node]!;
    words[place * 4 + 3] = (leaf ? place : children[place]!) * 4;
    if (leaf) continue;
    nanFirst[place] = nanGoesFirst(mode[node]!, forest.missingTrue[node] === 1) ? 1 : 0;
    const isOrder = mode[node]! <= GT! && !Number.isNaN(floats[place * 2]!);
    if (!isOrder) special.set(place, specialTest(forest, node));
  }
  return {
    ...{ floats, words, nanFirst, special, depths, ...weightsOf(forest, order) },
    roots: starts.map((start) => start * 4),
  };
}

/** The weights in the order of the records. */
function weightsOf({ weightStart: from, weightTarget, weight }: Forest, order: Int32Array) {
  const weightStart = new Int32Array(order.length + 1);
  const weightTargets = new Int32Array(weight.length);
  const weights = new Float64Array(weight.length);
  const onlyWeight = new Float64Array(order.length);
  let next = 0;
  for (let place = 0; place < order.length; place += 1) {
    const node = order[place]!;
    const end = from[node + 1]!;
    if (end > from[node]!) onlyWeight[place] = weight[from[node]!]!;
    for (let index = from[node]!; index < end; index += 1, next += 1) {
      weightTargets[next] = weightTarget[index]!;
      weights[next] = weight[index]!;
    }
    weightStart[place + 1] = next;
  }
  return { weightStart, weightTargets, weights, onlyWeight };
}

interface Order {
  /** The node of each place. */
  readonly order: Int32Array;
  /** The place of each tree's root. */
  readonly starts: Int32Array;
  /** By place: that of the first child. */
  readonly children: Int32Array;
  readonly depths: Int32Array;
}

/** Places of the nodes by breadth, children side by side. A node that is reached twice would be a loop. */
function breadthFirst({ mode, roots, whenTrue, whenFalse }: Forest): Order {
  const count = mode.length;
  const seen = new Uint8Array(count);
  const order = new Int32Array(count);
  const levels = new Int32Array(count);
  const children = new Int32Array(count);
  const starts = new Int32Array(roots.length);
  const depths = new Int32Array(roots.length);
  let end = 0;
  const reach = (node: number, level: number): void => {
    if (!(node >= 0 && node < count) || seen[node] === 1)
      throw invalid(`A tree has a loop, or a child ${node} that is not there`);
    seen[node] = 1;
    order[end] = node;
    levels[end] = level;
    end += 1;
  };
  for (let tree = 0; tree < roots.length; tree += 1) {
    starts[tree] = end;
    let next = end;
    reach(roots[tree]!, 0);
    for (; next < end; next += 1) {
      const node = order[next]!;
      if (mode[node] === LEAF) continue;
      const swaps = mode[node] === GTE || mode[node] === GT;
      children[next] = end;
      reach(swaps ? whenFalse[node]! : whenTrue[node]!, levels[next]! + 1);
      reach(swaps ? whenTrue[node]! : whenFalse[node]!, levels[next]! + 1);
    }
    depths[tree] = levels[end - 1]!;
  }
  return { order: order.subarray(0, end), starts, children, depths };
}

/** NaN fails every test but "not equal"; a node may send it to the true child instead. */
function nanGoesFirst(mode: number, missingTrue: boolean): boolean {
  const toTrue = missingTrue || mode === NEQ;
  return mode === GTE || mode === GT ? !toTrue : toTrue;
}

/** What is no test of order, and one that no number passes: none is below minus infinity, or in order with NaN. */
function specialTest({ mode, value, members }: Forest, node: number): (x: number) => boolean {
  const wanted = value[node]!;
  if (mode[node] === EQ) return (x) => x === wanted;
  if (mode[node] === NEQ) return (x) => x !== wanted;
  if (mode[node] !== MEMBER) return () => false;
  const set = new Set(members.get(node));
  return (x) => set.has(x);
}

function thresholdOf({ mode, value }: Forest, node: number, precision: 'float32' | 'float64'): number {
  const test = mode[node];
  return test === LT || test === GTE ? below(value[node]!, precision) : value[node]!;
}

const FLOAT = new Float32Array(1);
const FLOAT_BITS = new Int32Array(FLOAT.buffer);
const DOUBLE = new Float64Array(1);
const DOUBLE_BITS = new BigInt64Array(DOUBLE.buffer);

/** The largest float below a value. Nothing is below minus infinity: no number is ≤ NaN. */
function below(value: number, precision: 'float32' | 'float64'): number {
  if (Number.isNaN(value) || value === Number.NEGATIVE_INFINITY) return Number.NaN;
  const wide = precision === 'float64';
  if (value === 0) return wide ? -Number.MIN_VALUE : -(2 ** -149);
  if (wide) {
    DOUBLE[0] = value;
    DOUBLE_BITS[0]! += value > 0 ? -1n : 1n;
    return DOUBLE[0]!;
  }
  FLOAT[0] = value;
  FLOAT_BITS[0]! += value > 0 ? -1 : 1;
  return FLOAT[0]!;
}

import { elementCount, isBig, type Tensor } from '../../tensor.ts';
import type { Budget } from '../limits.ts';
import {
  elementsOf,
  floatsOf,
  integersOf,
  type NodeFacts,
  type Operator,
  type Operators,
  rounded,
  scalarOf,
  tensorOperator,
} from '../operator.ts';
import { aroundAxis, axisOf, misfit, stridesOf } from '../shapes.ts';

/** Combines the elements at `base + offsets[…]`. */
type Reduce = (data: ArrayLike<number>, base: number, offsets: Int32Array) => number;
type BigReduce = (x: bigint, y: bigint) => bigint;

/** Where the elements of each result lie: result `r` combines `bases[r] + offsets[…]`. */
export interface ReductionPlan {
  readonly dims: readonly number[];
  readonly bases: Int32Array;
  readonly offsets: Int32Array;
}

export function planReduction(
  dims: readonly number[],
  axes: readonly number[],
  keep: boolean,
  budget: Budget,
): ReductionPlan {
  const reduced = new Set(axes.map((axis) => axisOf(axis, dims.length)));
  const strides = stridesOf(dims);
  const pick = (is: boolean): readonly number[] =>
    dims.map((_, dim) => dim).filter((dim) => reduced.has(dim) === is);
  const places = (chosen: readonly number[]): Int32Array => {
    const sizes = chosen.map((dim) => dims[dim]!);
    budget.take(elementCount(sizes) * 4);
    let result = Int32Array.of(0);
    for (const dim of chosen) {
      const next = new Int32Array(result.length * dims[dim]!);
      for (let at = 0, to = 0; at < result.length; at += 1) {
        for (let step = 0; step < dims[dim]!; step += 1, to += 1)
          next[to] = result[at]! + step * strides[dim]!;
      }
      result = next;
    }
    return result;
  };
  const shape = keep
    ? dims.map((size, dim) => (reduced.has(dim) ? 1 : size))
    : pick(false).map((dim) => dims[dim]!);
  return { dims: shape, bases: places(pick(false)), offsets: places(pick(true)) };
}

/** Axes are an attribute up to a version and an input since; none means all, or none where the node says so. */
function axesOf(node: NodeFacts, input: Tensor | undefined, rank: number): readonly number[] {
  const axes = input ? integersOf(input) : (node.ints('axes') ?? []);
  if (axes.length > 0) return axes;
  return node.int('noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
}

function reduction(reduce: Reduce, big?: { readonly start: bigint; readonly step: BigReduce }): Operator {
  return tensorOperator(1, 1, (node) => {
    const keep = node.int('keepdims', 1) === 1;
    return (x, axesInput) => {
      const { type, dims, data } = x!;
      const plan = planReduction(dims, axesOf(node, axesInput, dims.length), keep, node.budget);
      const out = node.budget.array(type, plan.dims);
      node.budget.work(data.length);
      if (isBig(type) && big) {
        reduceBig(data as BigInt64Array, out as BigInt64Array, plan, big);
        return { type, dims: plan.dims, data: out };
      }
      const source = floatsOf(x!);
      for (let index = 0; index < out.length; index += 1) {
        const value = reduce(source, plan.bases[index]!, plan.offsets);
        if (isBig(type)) out[index] = BigInt(Math.trunc(value));
        else (out as Float32Array)[index] = value;
      }
      return { type, dims: plan.dims, data: rounded(type, out) };
    };
  });
}

function reduceBig(
  data: BigInt64Array,
  out: BigInt64Array,
  { bases, offsets }: ReductionPlan,
  { start, step }: { readonly start: bigint; readonly step: BigReduce },
): void {
  for (let index = 0; index < out.length; index += 1) {
    let result = offsets.length > 0 && start < 0n ? data[bases[index]!]! : start;
    for (const offset of offsets) result = step(result, data[bases[index]! + offset]!);
    out[index] = result;
  }
}

/** A fold, written as a loop for each operator so that it is compiled for it. */
function sumOf(value: (x: number) => number, finish: (sum: number, count: number) => number): Reduce {
  return (data, base, offsets) => {
    let sum = 0;
    for (let index = 0; index < offsets.length; index += 1) sum += value(data[base + offsets[index]!]!);
    return finish(sum, offsets.length);
  };
}

const maxOf: Reduce = (data, base, offsets) => {
  let result = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < offsets.length; index += 1)
    result = Math.max(result, data[base + offsets[index]!]!);
  return result;
};

const minOf: Reduce = (data, base, offsets) => {
  let result = Number.POSITIVE_INFINITY;
  for (let index = 0; index < offsets.length; index += 1)
    result = Math.min(result, data[base + offsets[index]!]!);
  return result;
};

const productOf: Reduce = (data, base, offsets) => {
  let result = 1;
  for (let index = 0; index < offsets.length; index += 1) result *= data[base + offsets[index]!]!;
  return result;
};

/** Without the largest taken out first, exponentials overflow. */
const logSumExpOf: Reduce = (data, base, offsets) => {
  const largest = maxOf(data, base, offsets);
  if (!Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let index = 0; index < offsets.length; index += 1)
    sum += Math.exp(data[base + offsets[index]!]! - largest);
  return largest + Math.log(sum);
};

const same = (x: number): number => x;

function arg(better: (x: number | bigint, y: number | bigint) => boolean): Operator {
  return tensorOperator(1, 1, (node) => {
    const keep = node.int('keepdims', 1) === 1;
    const last = node.int('select_last_index', 0) === 1;
    return (x) => {
      const axis = axisOf(node.int('axis', 0), x!.dims.length);
      const plan = planReduction(x!.dims, [axis], keep, node.budget);
      if (plan.offsets.length === 0) throw misfit('an axis without elements');
      const out = node.budget.array('int64', plan.dims) as BigInt64Array;
      const data = elementsOf(x!.data);
      for (let index = 0; index < out.length; index += 1) {
        const base = plan.bases[index]!;
        let best = 0;
        for (let place = 1; place < plan.offsets.length; place += 1) {
          const value = data[base + plan.offsets[place]!]!;
          const leader = data[base + plan.offsets[best]!]!;
          if (better(value, leader) || (last && value === leader)) best = place;
        }
        out[index] = BigInt(best);
      }
      return { type: 'int64', dims: plan.dims, data: out };
    };
  });
}

/** Writes one line of `size` elements, `step` apart. */
type Line = (
  data: ArrayLike<number>,
  out: Float32Array | Float64Array,
  at: number,
  size: number,
  step: number,
) => void;

export const softmaxLine: Line = (data, out, at, size, step) => {
  let largest = Number.NEGATIVE_INFINITY;
  for (let index = 0, from = at; index < size; index += 1, from += step)
    largest = Math.max(largest, data[from]!);
  let sum = 0;
  for (let index = 0, from = at; index < size; index += 1, from += step)
    sum += Math.exp(data[from]! - largest);
  for (let index = 0, from = at; index < size; index += 1, from += step)
    out[from] = Math.exp(data[from]! - largest) / sum;
};

const logSoftmaxLine: Line = (data, out, at, size, step) => {
  let largest = Number.NEGATIVE_INFINITY;
  for (let index = 0, from = at; index < size; index += 1, from += step)
    largest = Math.max(largest, data[from]!);
  let sum = 0;
  for (let index = 0, from = at; index < size; index += 1, from += step)
    sum += Math.exp(data[from]! - largest);
  const shift = largest + Math.log(sum);
  for (let index = 0, from = at; index < size; index += 1, from += step) out[from] = data[from]! - shift;
};

const hardmaxLine: Line = (data, out, at, size, step) => {
  let best = at;
  for (let index = 1; index < size; index += 1)
    if (data[at + index * step]! > data[best]!) best = at + index * step;
  if (size > 0) out[best] = 1;
};

/** Before opset 13 all dims from `axis` on were one line. */
function lines(line: Line): Operator {
  return tensorOperator(1, 1, (node) => (x) => {
    const { type, dims } = x!;
    const axis = axisOf(node.int('axis', node.opset < 13 ? 1 : -1), Math.max(1, dims.length));
    const shape = dims.length === 0 ? [1] : dims;
    const flat = node.opset < 13;
    const { outer, size, inner } = flat
      ? { outer: elementCount(shape.slice(0, axis)), size: elementCount(shape.slice(axis)), inner: 1 }
      : aroundAxis(shape, axis);
    const out = node.budget.array(type, dims);
    node.budget.work(out.length * 4);
    const source = floatsOf(x!);
    for (let row = 0; row < outer; row += 1) {
      for (let column = 0; column < inner; column += 1) {
        line(source, out as Float32Array, row * size * inner + column, size, inner);
      }
    }
    return { type, dims, data: rounded(type, out) };
  });
}

function running(
  since: number,
  step: (sum: number, value: number) => number,
  bigStep: BigReduce,
  start: number,
): Operator {
  return tensorOperator(since, 2, (node) => {
    const exclusive = node.int('exclusive', 0) === 1;
    const reverse = node.int('reverse', 0) === 1;
    return (x, axisInput) => {
      const axis = axisOf(scalarOf(axisInput!), x!.dims.length);
      const { outer, size, inner } = aroundAxis(x!.dims, axis);
      const out = node.budget.array(x!.type, x!.dims);
      const [data, target] = [elementsOf(x!.data), elementsOf(out)];
      const big = isBig(x!.type);
      const combine = big ? (bigStep as unknown as typeof step) : step;
      const first = big ? (BigInt(start) as unknown as number) : start;
      for (let line = 0; line < outer * inner; line += 1) {
        const at = Math.floor(line / inner) * size * inner + (line % inner);
        let sum = first;
        for (let index = 0; index < size; index += 1) {
          const place = at + (reverse ? size - 1 - index : index) * inner;
          if (exclusive) target[place] = sum;
          sum = combine(sum, data[place]!);
          if (!exclusive) target[place] = sum;
        }
      }
      return { type: x!.type, dims: x!.dims, data: rounded(x!.type, out) };
    };
  });
}

const bigMax: BigReduce = (x, y) => (x > y ? x : y);
const bigMin: BigReduce = (x, y) => (x < y ? x : y);
const bigSum = { start: 0n, step: (x: bigint, y: bigint) => x + y };
const bigProduct = { start: 1n, step: (x: bigint, y: bigint) => x * y };

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const reductions: Operators = {
  ReduceSum: reduction(sumOf(same, same), bigSum),
  ReduceMean: reduction(sumOf(same, (sum, count) => sum / count)),
  ReduceMax: reduction(maxOf, { start: -(2n ** 63n), step: bigMax }),
  ReduceMin: reduction(minOf, { start: -1n, step: bigMin }),
  ReduceProd: reduction(productOf, bigProduct),
  ReduceL1: reduction(sumOf(Math.abs, same)),
  ReduceL2: reduction(sumOf((x) => x * x, Math.sqrt)),
  ReduceLogSum: reduction(sumOf(same, Math.log)),
  ReduceLogSumExp: reduction(logSumExpOf),
  ReduceSumSquare: reduction(sumOf((x) => x * x, same)),
  ArgMax: arg((x, y) => x > y),
  ArgMin: arg((x, y) => x < y),
  Softmax: lines(softmaxLine),
  LogSoftmax: lines(logSoftmaxLine),
  Hardmax: lines(hardmaxLine),
  CumSum: running(
    11,
    (sum, value) => sum + value,
    (sum, value) => sum + value,
    0,
  ),
  CumProd: running(
    26,
    (sum, value) => sum * value,
    (sum, value) => sum * value,
    1,
  ),
};

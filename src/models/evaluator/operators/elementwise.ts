import { elementCount, isBig, isFloat, type Tensor, type TensorType } from '../../tensor.ts';
import type { Budget } from '../limits.ts';
import { binaryLoop, planBroadcast } from '../loops.ts';
import {
  floatsOf,
  type NodeFacts,
  type Operator,
  type Operators,
  rounded,
  tensorOperator,
} from '../operator.ts';
import { broadcastDims, misfit, sameDims, show } from '../shapes.ts';

/** An expression over `x` and `y` for each family of element types; absent: the operator does not take them. */
interface Expressions {
  readonly float?: string;
  readonly integer?: string;
  /** 64-bit integers, as bigint. */
  readonly big?: string;
  /** Where 32-bit products would not fit a double. */
  readonly int32?: string;
}

function expressionFor(expressions: Expressions, type: TensorType): string {
  let expression = expressions.integer;
  if (isFloat(type)) expression = expressions.float;
  else if (isBig(type)) expression = expressions.big;
  else if (type === 'string') expression = undefined;
  else if (expressions.int32 && type.endsWith('int32')) expression = expressions.int32;
  if (expression === undefined) throw misfit(`elements of ${type}, which it does not take`);
  return expression;
}

export type Combine = (x: Tensor, y: Tensor) => Tensor;

/** Combines two tensors of one type, broadcast, into one of the same type. */
export function combiner(budget: Budget, expressions: Expressions): Combine {
  let dims: readonly number[] = [];
  let last:
    | {
        readonly x: readonly number[];
        readonly y: readonly number[];
        readonly plan: ReturnType<typeof planBroadcast>;
      }
    | undefined;
  return (x, y) => {
    if (x.type !== y.type) throw misfit(`${x.type} and ${y.type}, which have to be the same`);
    if (!last || !sameDims(last.x, x.dims) || !sameDims(last.y, y.dims)) {
      dims = broadcastDims(x.dims, y.dims);
      last = { x: x.dims, y: y.dims, plan: planBroadcast(x.dims, y.dims, dims) };
    }
    const out = budget.array(x.type, dims);
    binaryLoop(expressionFor(expressions, x.type), x.type)(last.plan, x.data, y.data, out);
    return { type: x.type, dims, data: rounded(x.type, out) };
  };
}

/** Before opset 7 the second input was lined up by `axis` rather than from the right. */
export function lineUp(node: NodeFacts): (x: Tensor, y: Tensor) => Tensor {
  if (node.opset >= 7 || !node.has('axis')) return (_, y) => y;
  const axis = node.int('axis', 0);
  return (x, y) => {
    const start = axis < 0 ? axis + x.dims.length : axis;
    const trailing = x.dims.length - start - y.dims.length;
    if (!(start >= 0 && trailing >= 0)) throw misfit(`axis ${axis} for ${show(y.dims)} in ${show(x.dims)}`);
    return { ...y, dims: [...y.dims, ...new Array<number>(trailing).fill(1)] };
  };
}

function binary(expressions: Expressions, since = 1): Operator {
  return tensorOperator(since, 2, (node) => {
    const combine = combiner(node.budget, expressions);
    const align = lineUp(node);
    return (x, y) => combine(x!, align(x!, y!));
  });
}

/** Any number of inputs, combined from the left. */
function variadic(
  expressions: Expressions,
  finish?: (sum: Tensor, count: number, budget: Budget) => Tensor,
): Operator {
  return tensorOperator(1, 1, ({ budget }) => {
    const combine = combiner(budget, expressions);
    return (...inputs) => {
      const result = inputs.reduce((sum, each) => combine(sum, each));
      return finish ? finish(result, inputs.length, budget) : result;
    };
  });
}

function divideBy(sum: Tensor, count: number, budget: Budget): Tensor {
  const data = budget.array(sum.type, sum.dims) as Float32Array;
  const source = sum.data as Float32Array;
  for (let index = 0; index < data.length; index += 1) data[index] = source[index]! / count;
  return { ...sum, data: rounded(sum.type, data) };
}

/** The result has the type of the base; the exponent may have another (from opset 12 on). */
const power = tensorOperator(1, 2, (node) => {
  const align = lineUp(node);
  const combine = combiner(node.budget, { float: 'Math.pow(x, y)' });
  const exact = combiner(node.budget, { big: 'x ** y' });
  return (base, exponent) => {
    const x = base!;
    const y = align(x, exponent!);
    if (isBig(x.type) && x.type === y.type && (y.data as BigInt64Array).every((each) => each >= 0n))
      return exact(x, y);
    const result = combine(asFloat64(x), asFloat64(y));
    return { type: x.type, dims: result.dims, data: fromFloat64(x.type, result, node.budget) };
  };
});

function asFloat64(x: Tensor): Tensor {
  return { type: 'float64', dims: x.dims, data: Float64Array.from(floatsOf(x)) };
}

function fromFloat64(type: TensorType, { dims, data }: Tensor, budget: Budget): Tensor['data'] {
  const out = budget.array(type, dims);
  const source = data as Float64Array;
  if (out instanceof BigInt64Array || out instanceof BigUint64Array) {
    for (let index = 0; index < source.length; index += 1) {
      const value = source[index]!;
      out[index] = BigInt(Number.isFinite(value) ? Math.trunc(value) : 0);
    }
    return out;
  }
  (out as Float32Array).set(source);
  return rounded(type, out);
}

/** `fmod: 0` takes the sign of the divisor, as Python does; `fmod: 1` that of the dividend, as C does. */
const modulo = tensorOperator(10, 2, (node) => {
  const asC = node.int('fmod', 0) === 1;
  const floored = '((x % y) + y) % y';
  const combine = combiner(
    node.budget,
    asC
      ? { float: 'x % y', integer: 'x % y', big: 'x % y' }
      : { float: 'x - Math.floor(x / y) * y', integer: floored, big: floored },
  );
  return (x, y) => combine(x!, y!);
});

const shift = tensorOperator(11, 2, (node) => {
  const left = node.string('direction', 'LEFT') === 'LEFT';
  const combine = combiner(node.budget, {
    integer: left ? '(y > 31 ? 0 : x << y)' : '(y > 31 ? 0 : x >>> y)',
    big: left ? '(y > 63n ? 0n : x << y)' : 'x >> y',
  });
  return (x, y) => combine(x!, y!);
});

/** The slope is broadcast to the input; before opset 7 it was one for each channel. */
const leakyBySlope = tensorOperator(1, 2, (node) => {
  const combine = combiner(node.budget, {
    float: '(x < 0 ? x * y : x)',
    integer: '(x < 0 ? x * y : x)',
    big: '(x < 0n ? x * y : x)',
  });
  return (x, slope) => {
    const perChannel = node.opset < 7 && slope!.dims.length === 1 && x!.dims.length > 2;
    const dims = perChannel ? [elementCount(slope!.dims), ...x!.dims.slice(2).map(() => 1)] : slope!.dims;
    return combine(x!, { ...slope!, dims });
  };
});

const larger = '(x > y ? x : y)';
const smaller = '(x < y ? x : y)';

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const elementwise: Operators = {
  Add: binary({ float: 'x + y', integer: 'x + y', big: 'x + y' }),
  Sub: binary({ float: 'x - y', integer: 'x - y', big: 'x - y' }),
  Mul: binary({ float: 'x * y', integer: 'x * y', big: 'x * y', int32: 'Math.imul(x, y)' }),
  Div: binary({ float: 'x / y', integer: 'x / y', big: 'x / y' }),
  Pow: power,
  Mod: modulo,
  BitShift: shift,
  BitwiseAnd: binary({ integer: 'x & y', big: 'x & y' }, 18),
  BitwiseOr: binary({ integer: 'x | y', big: 'x | y' }, 18),
  BitwiseXor: binary({ integer: 'x ^ y', big: 'x ^ y' }, 18),
  PRelu: leakyBySlope,
  Max: variadic({ float: 'Math.max(x, y)', integer: larger, big: larger }),
  Min: variadic({ float: 'Math.min(x, y)', integer: smaller, big: smaller }),
  Sum: variadic({ float: 'x + y' }),
  Mean: variadic({ float: 'x + y' }, divideBy),
};

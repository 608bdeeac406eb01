import { unsupported } from '../../onnx/index.ts';
import { isBig, isFloat, type Tensor } from '../../tensor.ts';
import type { Budget } from '../limits.ts';
import { type Helper, unaryLoop } from '../loops.ts';
import { type NodeFacts, type Operator, type Operators, rounded, tensorOperator } from '../operator.ts';
import { misfit } from '../shapes.ts';

/** An expression over `x` and two numbers of the node, `p` and `q`. `any` also serves integers, `big` 64-bit ones. */
interface Unary {
  readonly since?: number;
  readonly float: string;
  readonly integer?: string;
  readonly big?: string;
  readonly helper?: Helper;
  readonly p?: (node: NodeFacts) => number;
  readonly q?: (node: NodeFacts) => number;
}

export function unary({ since = 1, float, integer, big, helper, p, q }: Unary): Operator {
  return tensorOperator(since, 1, (node) => {
    const first = p?.(node) ?? 0;
    const second = q?.(node) ?? 0;
    return (x) => {
      const { type, dims, data } = x!;
      const expression = isFloat(type) ? float : isBig(type) ? big : integer;
      if (expression === undefined || type === 'string')
        throw misfit(`elements of ${type}, which it does not take`);
      const out = node.budget.array(type, dims);
      unaryLoop(expression, type, helper)(data, out, out.length, first, second);
      return { type, dims, data: rounded(type, out) };
    };
  });
}

/** Abramowitz and Stegun 7.1.26 has too few digits; this is W. J. Cody's method as a series and a continued fraction. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
      if (n > 200) break;
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n -= 1) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * (size + fraction)));
}

/** Half to even, as numpy rounds. */
function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

const attribute =
  (name: string, fallback: number) =>
  (node: NodeFacts): number =>
    node.float(name, fallback);

const SIGMOID = '1 / (1 + Math.exp(-x))';
const SOFTPLUS = '(x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)))';

const gelu = (node: NodeFacts): Operator =>
  node.string('approximate', 'none') === 'tanh'
    ? unary({ float: '0.5 * x * (1 + Math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))' })
    : unary({ float: '0.5 * x * (1 + helper(x * 0.7071067811865476))', helper: erf });

/** Limits are attributes before opset 11, inputs since. */
const clip = tensorOperator(1, 1, (node) => (x, low, high) => {
  const { type, dims, data } = x!;
  const out = node.budget.array(type, dims);
  if (type === 'string') throw misfit('texts where it takes numbers');
  if (isBig(type)) {
    clipInto(data as BigInt64Array, out as BigInt64Array, low?.data[0] as bigint, high?.data[0] as bigint);
  } else {
    const least = low
      ? (low.data[0] as number)
      : node.opset < 11 && node.has('min')
        ? node.float('min', 0)
        : undefined;
    const most = high
      ? (high.data[0] as number)
      : node.opset < 11 && node.has('max')
        ? node.float('max', 0)
        : undefined;
    clipInto(data as Float32Array, out as Float32Array, least, most);
  }
  return { type, dims, data: out };
});

function clipInto<T extends number | bigint>(
  data: { readonly [index: number]: T; readonly length: number },
  out: { [index: number]: T },
  low: T | undefined,
  high: T | undefined,
): void {
  for (let index = 0; index < data.length; index += 1) {
    let value = data[index]!;
    if (low !== undefined && value < low) value = low;
    if (high !== undefined && value > high) value = high;
    out[index] = value;
  }
}

function identity(x: Tensor): Tensor {
  return x;
}

/** Passes its input through; a ratio counts only in training, which is not what this evaluator is for. */
const dropout = tensorOperator(1, 1, (node) => (x, ratio, training) => {
  const trains = training?.data[0] === 1 && (ratio === undefined ? 0.5 : Number(ratio.data[0])) > 0;
  if (trains) throw unsupported('Dropout is in training mode', 'Export the model for inference');
  if (node.outputCount < 2) return [identity(x!)];
  const type = node.opset < 10 ? x!.type : 'bool';
  const mask = node.budget.array(type, x!.dims) as Uint8Array;
  return [identity(x!), { type, dims: x!.dims, data: mask.fill(1) }];
});

const isInf = tensorOperator(10, 1, (node) => {
  const negative = node.int('detect_negative', 1) === 1;
  const positive = node.int('detect_positive', 1) === 1;
  return (x) =>
    test(x!, node.budget, (value) => (negative && value === -Infinity) || (positive && value === Infinity));
});

function test({ dims, data }: Tensor, budget: Budget, holds: (value: number) => boolean): Tensor {
  const out = budget.array('bool', dims) as Uint8Array;
  const source = data as Float32Array;
  for (let index = 0; index < out.length; index += 1) out[index] = holds(source[index]!) ? 1 : 0;
  return { type: 'bool', dims, data: out };
}

/** Names and meanings: https://onnx.ai/onnx/operators/. */
const UNARY: { readonly [type: string]: Unary } = {
  Abs: { float: 'Math.abs(x)', integer: 'Math.abs(x)', big: '(x < 0n ? -x : x)' },
  Neg: { float: '-x', integer: '-x', big: '-x' },
  Sign: {
    since: 9,
    float: 'Math.sign(x)',
    integer: 'Math.sign(x)',
    big: '(x > 0n ? 1n : x < 0n ? -1n : 0n)',
  },
  Ceil: { float: 'Math.ceil(x)' },
  Floor: { float: 'Math.floor(x)' },
  Round: { since: 11, float: 'helper(x)', helper: roundEven },
  Reciprocal: { float: '1 / x' },
  Sqrt: { float: 'Math.sqrt(x)' },
  Exp: { float: 'Math.exp(x)' },
  Log: { float: 'Math.log(x)' },
  Erf: { since: 9, float: 'helper(x)', helper: erf, integer: 'helper(x)' },
  Sin: { since: 7, float: 'Math.sin(x)' },
  Cos: { since: 7, float: 'Math.cos(x)' },
  Tan: { since: 7, float: 'Math.tan(x)' },
  Asin: { since: 7, float: 'Math.asin(x)' },
  Acos: { since: 7, float: 'Math.acos(x)' },
  Atan: { since: 7, float: 'Math.atan(x)' },
  Sinh: { since: 9, float: 'Math.sinh(x)' },
  Cosh: { since: 9, float: 'Math.cosh(x)' },
  Asinh: { since: 9, float: 'Math.asinh(x)' },
  Acosh: { since: 9, float: 'Math.acosh(x)' },
  Atanh: { since: 9, float: 'Math.atanh(x)' },
  Tanh: { float: 'Math.tanh(x)' },
  Sigmoid: { float: SIGMOID },
  Relu: {
    float: '(x > 0 ? x : x !== x ? x : 0)',
    integer: '(x > 0 ? x : 0)',
    big: '(x > 0n ? x : 0n)',
  },
  LeakyRelu: { float: '(x < 0 ? p * x : x)', p: attribute('alpha', 0.01) },
  ThresholdedRelu: { since: 10, float: '(x > p ? x : 0)', p: attribute('alpha', 1) },
  Elu: { float: '(x < 0 ? p * Math.expm1(x) : x)', p: attribute('alpha', 1) },
  Celu: {
    since: 12,
    float: 'Math.max(0, x) + Math.min(0, p * Math.expm1(x / p))',
    p: attribute('alpha', 1),
  },
  Selu: {
    float: '(x <= 0 ? q * (p * Math.exp(x) - p) : q * x)',
    p: (node) => node.float('alpha', node.opset < 6 ? 1.6732 : 1.6732632423543772),
    q: (node) => node.float('gamma', node.opset < 6 ? 1.0507 : 1.0507009873554805),
  },
  HardSigmoid: {
    float: 'Math.max(0, Math.min(1, p * x + q))',
    ...{ p: attribute('alpha', 0.2), q: attribute('beta', 0.5) },
  },
  HardSwish: { since: 14, float: 'x * Math.max(0, Math.min(1, x / 6 + 0.5))' },
  Swish: { since: 24, float: 'x / (1 + Math.exp(-p * x))', p: attribute('alpha', 1) },
  Mish: { since: 18, float: `x * Math.tanh(${SOFTPLUS})` },
  Softplus: { float: SOFTPLUS },
  Softsign: { float: 'x / (1 + Math.abs(x))' },
  Shrink: {
    since: 9,
    float: '(x < -p ? x + q : x > p ? x - q : 0)',
    integer: '(x < -p ? x + q : x > p ? x - q : 0)',
    ...{ p: attribute('lambd', 0.5), q: attribute('bias', 0) },
  },
  BitwiseNot: { since: 18, float: 'x', integer: '~x', big: '~x' },
};

/** The loop of a function of one number, for buffers of float64 that hold float32; undefined for other operators. */
export function rowUnary(node: NodeFacts): ((x: Float64Array, out: Float64Array) => void) | undefined {
  const spec = UNARY[node.node.type];
  if (!spec) return undefined;
  const [p, q] = [spec.p?.(node) ?? 0, spec.q?.(node) ?? 0];
  const loop = unaryLoop(`Math.fround(${spec.float})`, 'row', spec.helper);
  return (x, out) => loop(x, out, out.length, p, q);
}

export const activations: Operators = {
  ...Object.fromEntries(Object.entries(UNARY).map(([type, each]) => [type, unary(each)])),
  Gelu: { since: 20, required: 1, compile: (node) => gelu(node).compile(node) },
  Clip: clip,
  Dropout: dropout,
  Identity: { since: 1, required: 1, compile: () => (inputs) => [inputs[0]] },
  IsInf: isInf,
  IsNaN: tensorOperator(
    9,
    1,
    ({ budget }) =>
      (x) =>
        test(x!, budget, Number.isNaN),
  ),
};

import { typeOfNumber } from '../../onnx/index.ts';
import { elementCount, isFloat, type Tensor, type TensorType } from '../../tensor.ts';
import { floatsOf, type NodeFacts, type Operators, rounded, scalarOf, tensorOperator } from '../operator.ts';
import { axisOf, misfit, show } from '../shapes.ts';
import { convolve } from './convolutions.ts';
import { matmul } from './matrices.ts';

/** Smallest and largest integer of a type. */
function rangeOf(type: TensorType): readonly [number, number] {
  const bits = Number(/\d+$/.exec(type)?.[0]);
  if (!/^u?int\d+$/.test(type) || bits > 32) throw misfit(`${type} as a quantized type`);
  return type.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

function roundEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? (floor % 2 === 0 ? floor : floor + 1) : Math.round(x);
}

function saturate(value: number, [low, high]: readonly [number, number]): number {
  return Math.min(high, Math.max(low, value));
}

/** Which scale an element has: one for all, one along an axis, or one for each block along it. */
function scaleIndex(node: NodeFacts, dims: readonly number[], scale: Tensor): (index: number) => number {
  if (scale.data.length === 1 && scale.dims.length < 2) return () => 0;
  const axis = axisOf(node.int('axis', 1), dims.length);
  const inner = elementCount(dims.slice(axis + 1));
  const size = dims[axis]!;
  const block = node.int('block_size', 0);
  if (block > 0) {
    const blocks = Math.ceil(size / block);
    if (scale.data.length !== (elementCount(dims) / size) * blocks)
      throw misfit(`scales of ${show(scale.dims)} for ${show(dims)}`);
    return (index) => {
      const place = Math.floor(index / inner) % size;
      return (
        (Math.floor(index / (inner * size)) * blocks + Math.floor(place / block)) * inner + (index % inner)
      );
    };
  }
  if (scale.data.length !== size) throw misfit(`scales of ${show(scale.dims)} for ${show(dims)}`);
  return (index) => Math.floor(index / inner) % size;
}

const quantize = tensorOperator(10, 2, (node) => (x, scaleInput, zeroInput) => {
  const declared = node.int('output_dtype', 0);
  const type = zeroInput?.type ?? (declared > 0 ? typeOfNumber(declared) : 'uint8');
  const at = scaleIndex(node, x!.dims, scaleInput!);
  const [data, scale] = [floatsOf(x!), floatsOf(scaleInput!)];
  const zero = zeroInput && floatsOf(zeroInput);
  const out = node.budget.array(type, x!.dims) as Float32Array;
  const narrow = isFloat(type);
  const range = narrow ? undefined : rangeOf(type);
  for (let index = 0; index < out.length; index += 1) {
    const place = at(index);
    const value = Math.fround(data[index]! / scale[place]!);
    out[index] = range ? saturate(roundEven(value) + (zero?.[place] ?? 0), range) : value;
  }
  const overflow = node.int('saturate', 1) === 1 ? 'saturate' : 'infinity';
  return { type, dims: x!.dims, data: narrow ? rounded(type, out, overflow) : out };
});

const dequantize = tensorOperator(10, 2, (node) => (x, scaleInput, zeroInput) => {
  const { type } = scaleInput!;
  const at = scaleIndex(node, x!.dims, scaleInput!);
  const [data, scale] = [floatsOf(x!), floatsOf(scaleInput!)];
  const zero = zeroInput && floatsOf(zeroInput);
  const out = node.budget.array(type, x!.dims) as Float32Array;
  for (let index = 0; index < out.length; index += 1) {
    const place = at(index);
    out[index] = (data[index]! - (zero?.[place] ?? 0)) * scale[place]!;
  }
  return { type, dims: x!.dims, data: rounded(type, out) };
});

/** Chooses scale and zero point so that the smallest, the largest and zero fit into uint8. */
const dynamicQuantize = tensorOperator(11, 1, ({ budget }) => (x) => {
  const data = floatsOf(x!);
  let [low, high] = [0, 0];
  for (let index = 0; index < data.length; index += 1) {
    low = Math.min(low, data[index]!);
    high = Math.max(high, data[index]!);
  }
  const scale = Math.fround((high - low) / 255);
  const zero = scale === 0 ? 0 : saturate(roundEven(Math.fround(-low / scale)), [0, 255]);
  const out = budget.array('uint8', x!.dims) as Uint8Array;
  for (let index = 0; index < out.length; index += 1) {
    out[index] = scale === 0 ? zero : saturate(roundEven(Math.fround(data[index]! / scale)) + zero, [0, 255]);
  }
  return [
    { type: 'uint8', dims: x!.dims, data: out },
    { type: 'float32', dims: [], data: Float32Array.of(scale) },
    { type: 'uint8', dims: [], data: Uint8Array.of(zero) },
  ];
});

interface Shifted {
  readonly dims: readonly number[];
  readonly data: Float64Array;
}

/** Elements less their zero points: one for all, or one for each place along an axis. */
function shifted(x: Tensor, zeroInput: Tensor | undefined, axis: number): Shifted {
  const data = Float64Array.from(floatsOf(x));
  if (!zeroInput) return { dims: x.dims, data };
  const zero = floatsOf(zeroInput);
  const at = axis < 0 ? axis + x.dims.length : axis;
  const size = x.dims[at] ?? 1;
  const inner = elementCount(x.dims.slice(at + 1));
  if (zero.length !== 1 && zero.length !== size)
    throw misfit(`zero points of ${show(zeroInput.dims)} for ${show(x.dims)}`);
  for (let index = 0; index < data.length; index += 1) {
    data[index]! -= zero[zero.length === 1 ? 0 : Math.floor(index / inner) % size]!;
  }
  return { dims: x.dims, data };
}

function asInt32(result: { readonly dims: readonly number[]; readonly data: ArrayLike<number> }): Tensor {
  return { type: 'int32', dims: result.dims, data: Int32Array.from(result.data as Float64Array) };
}

const matMulInteger = tensorOperator(10, 2, ({ budget }) => (a, b, aZero, bZero) => {
  const product = matmul(
    shifted(a!, aZero, -2),
    shifted(b!, bZero, -1),
    budget,
    (dims) => budget.array('float64', dims) as Float64Array,
  );
  return asInt32(product);
});

const convInteger = tensorOperator(
  10,
  2,
  (node) => (x, filters, xZero, filterZero) =>
    asInt32(convolve(node, shifted(x!, xZero, 0), shifted(filters!, filterZero, 0), undefined)),
);

/** Scales whole sums to the quantized type of `zero`; `factor` may depend on the element. */
function requantize(
  node: NodeFacts,
  sums: Shifted,
  zeroInput: Tensor,
  factor: (index: number) => number,
): Tensor {
  const zero = scalarOf(zeroInput);
  const range = rangeOf(zeroInput.type);
  const out = node.budget.array(zeroInput.type, sums.dims) as Uint8Array;
  for (let index = 0; index < out.length; index += 1) {
    out[index] = saturate(roundEven(sums.data[index]! * factor(index)) + zero, range);
  }
  return { type: zeroInput.type, dims: sums.dims, data: out };
}

const qLinearConv = tensorOperator(10, 8, (node) => (...inputs) => {
  const [x, xScale, xZero, filters, filterScale, filterZero, yScale, yZero, bias] =
    inputs as readonly Tensor[];
  const sums = convolve(
    node,
    shifted(x!, xZero, 0),
    shifted(filters!, filterZero, 0),
    bias && floatsOf(bias),
  );
  const outputs = filters!.dims[0]!;
  const inner = elementCount(sums.dims.slice(2));
  const scales = floatsOf(filterScale!);
  const whole = scalarOf(xScale!) / scalarOf(yScale!);
  return requantize(
    node,
    sums,
    yZero!,
    (index) => whole * scales[scales.length === 1 ? 0 : Math.floor(index / inner) % outputs]!,
  );
});

const qLinearMatMul = tensorOperator(10, 8, (node) => (...inputs) => {
  const [a, aScale, aZero, b, bScale, bZero, yScale, yZero] = inputs as readonly Tensor[];
  const { budget } = node;
  const product = matmul(
    shifted(a!, aZero, -2),
    shifted(b!, bZero, -1),
    budget,
    (dims) => budget.array('float64', dims) as Float64Array,
  );
  const [rows, columns] = [floatsOf(aScale!), floatsOf(bScale!)];
  const [height, width] = [a!.dims.at(-2) ?? 1, b!.dims.at(-1) ?? 1];
  const whole = scalarOf(yScale!);
  return requantize(node, product as Shifted, yZero!, (index) => {
    const row = rows.length === 1 ? 0 : Math.floor(index / width) % height;
    return (rows[row]! * columns[columns.length === 1 ? 0 : index % width]!) / whole;
  });
});

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const quantization: Operators = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
  MatMulInteger: matMulInteger,
  ConvInteger: convInteger,
  QLinearConv: qLinearConv,
  QLinearMatMul: qLinearMatMul,
};

import { typeOfNumber } from '../../onnx/index.ts';
import { elementCount, type Tensor } from '../../tensor.ts';
import type { Budget } from '../limits.ts';
import {
  elementsOf,
  int64,
  integersOf,
  type NodeFacts,
  type Operators,
  reshaped,
  scalarOf,
  tensorOperator,
} from '../operator.ts';
import { axisOf, broadcastDims, broadcastStrides, copyStrided, misfit, show, stridesOf } from '../shapes.ts';

/** What is an attribute in old versions and an input since: a list of integers, or undefined. */
export function listOf(node: NodeFacts, name: string, input: Tensor | undefined): number[] | undefined {
  return input ? integersOf(input) : node.ints(name);
}

/** `-1` is what is left over; `0` is the size as it was, unless zeros are allowed. */
const reshape = tensorOperator(1, 1, (node) => {
  const allowZero = node.int('allowzero', 0) === 1;
  return (x, shape) => {
    const wanted = listOf(node, 'shape', shape) ?? [];
    const dims = wanted.map((size, dim) => (size === 0 && !allowZero ? (x!.dims[dim] ?? 0) : size));
    const open = dims.indexOf(-1);
    const count = x!.data.length;
    if (open >= 0) {
      dims[open] = 1;
      const rest = elementCount(dims);
      dims[open] = rest === 0 ? 0 : count / rest;
    }
    const bad = dims.some((size) => size < 0 || !Number.isInteger(size));
    if (bad || elementCount(dims) !== count) throw misfit(`${show(x!.dims)} cannot become ${show(wanted)}`);
    return reshaped(x!, dims);
  };
});

const flatten = tensorOperator(1, 1, (node) => {
  const axis = node.int('axis', 1);
  return (x) => {
    const at = axis < 0 ? axis + x!.dims.length : axis;
    if (at < 0 || at > x!.dims.length) throw misfit(`axis ${axis} of ${show(x!.dims)}`);
    return reshaped(x!, [elementCount(x!.dims.slice(0, at)), elementCount(x!.dims.slice(at))]);
  };
});

const squeeze = tensorOperator(1, 1, (node) => (x, axesInput) => {
  const axes = listOf(node, 'axes', axesInput)?.map((axis) => axisOf(axis, x!.dims.length));
  if (axes?.some((axis) => x!.dims[axis] !== 1))
    throw misfit(`${show(axes)} of ${show(x!.dims)}, which are not 1`);
  return reshaped(
    x!,
    x!.dims.filter((size, dim) => (axes ? !axes.includes(dim) : size !== 1)),
  );
});

const unsqueeze = tensorOperator(1, 1, (node) => (x, axesInput) => {
  const listed = listOf(node, 'axes', axesInput) ?? [];
  const rank = x!.dims.length + listed.length;
  const axes = new Set(listed.map((axis) => axisOf(axis, rank)));
  if (axes.size !== listed.length) throw misfit(`axes ${show(listed)}, one of them twice`);
  const left = x!.dims[Symbol.iterator]();
  return reshaped(
    x!,
    Array.from({ length: rank }, (_, dim) => (axes.has(dim) ? 1 : left.next().value!)),
  );
});

export function transpose(x: Tensor, order: readonly number[], budget: Budget): Tensor {
  const strides = stridesOf(x.dims);
  if (new Set(order.map((axis) => axisOf(axis, x.dims.length))).size !== x.dims.length) {
    throw misfit(`an order of ${show(order)} for ${show(x.dims)}`);
  }
  const dims = order.map((axis) => x.dims[axis]!);
  const data = budget.array(x.type, dims);
  copyStrided(
    x.data,
    0,
    order.map((axis) => strides[axis]!),
    elementsOf(data),
    dims,
  );
  return { type: x.type, dims, data };
}

export function concat(inputs: readonly Tensor[], axisNumber: number, budget: Budget): Tensor {
  const first = inputs[0]!;
  const axis = axisOf(axisNumber, first.dims.length);
  for (const { type, dims } of inputs) {
    const fits =
      dims.length === first.dims.length &&
      dims.every((size, dim) => dim === axis || size === first.dims[dim]);
    if (!fits || type !== first.type)
      throw misfit(`${show(first.dims)} and ${show(dims)} cannot be joined at ${axis}`);
  }
  const dims = first.dims.map((size, dim) =>
    dim === axis ? inputs.reduce((sum, each) => sum + each.dims[axis]!, 0) : size,
  );
  const data = elementsOf(budget.array(first.type, dims));
  const outer = elementCount(dims.slice(0, axis));
  const width = elementCount(dims.slice(axis));
  let start = 0;
  for (const input of inputs) {
    const length = elementCount(input.dims.slice(axis));
    const source = elementsOf(input.data);
    for (let row = 0; row < outer; row += 1) {
      for (let index = 0; index < length; index += 1)
        data[row * width + start + index] = source[row * length + index]!;
    }
    start += length;
  }
  return { type: first.type, dims, data };
}

/** The part of a tensor that begins at `start` along an axis. */
export function part(x: Tensor, axis: number, start: number, size: number, budget: Budget): Tensor {
  const dims = x.dims.map((each, dim) => (dim === axis ? size : each));
  const data = budget.array(x.type, dims);
  const strides = stridesOf(x.dims);
  copyStrided(x.data, start * strides[axis]!, strides, elementsOf(data), dims);
  return { type: x.type, dims, data };
}

const split = tensorOperator(1, 1, (node) => (x, sizesInput) => {
  const axis = axisOf(node.int('axis', 0), x!.dims.length);
  const total = x!.dims[axis]!;
  const count = node.int('num_outputs', node.outputCount);
  const chunk = Math.ceil(total / count);
  const sizes =
    listOf(node, 'split', sizesInput) ??
    Array.from({ length: count }, (_, index) => Math.max(0, Math.min(chunk, total - index * chunk)));
  if (sizes.reduce((sum, size) => sum + size, 0) !== total || sizes.some((size) => size < 0)) {
    throw misfit(`parts of ${show(sizes)} for ${total}`);
  }
  let start = 0;
  return sizes.map((size) => part(x!, axis, (start += size) - size, size, node.budget));
});

/** Attributes up to opset 9, inputs since. */
const slice = tensorOperator(1, 1, (node) => (x, startsInput, endsInput, axesInput, stepsInput) => {
  const starts = listOf(node, 'starts', startsInput) ?? [];
  const ends = listOf(node, 'ends', endsInput) ?? [];
  const axes = listOf(node, 'axes', axesInput) ?? starts.map((_, index) => index);
  const steps = stepsInput ? integersOf(stepsInput) : starts.map(() => 1);
  const dims = [...x!.dims];
  const strides = stridesOf(x!.dims);
  let offset = 0;
  for (const [index, axisNumber] of axes.entries()) {
    const axis = axisOf(axisNumber, dims.length);
    const size = x!.dims[axis]!;
    const step = steps[index] ?? 1;
    if (!step || starts[index] === undefined || ends[index] === undefined)
      throw misfit('bounds that do not belong together');
    const [start, end] = bounds(starts[index], ends[index], step, size);
    dims[axis] = Math.max(0, Math.ceil((end - start) / step));
    if (dims[axis] > 0) offset += start * strides[axis]!;
    strides[axis]! *= step;
  }
  const data = node.budget.array(x!.type, dims);
  copyStrided(x!.data, offset, strides, elementsOf(data), dims);
  return { type: x!.type, dims, data };
});

function bounds(start: number, end: number, step: number, size: number): [number, number] {
  const from = start < 0 ? start + size : start;
  const to = end < 0 ? end + size : end;
  const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
  return step > 0
    ? [clamp(from, 0, size), clamp(to, 0, size)]
    : [clamp(from, 0, size - 1), clamp(to, -1, size - 1)];
}

export function expandTo(x: Tensor, dims: readonly number[], budget: Budget): Tensor {
  const data = budget.array(x.type, dims);
  copyStrided(x.data, 0, broadcastStrides(x.dims, dims), elementsOf(data), dims);
  return { type: x.type, dims, data };
}

const tile = tensorOperator(6, 2, ({ budget }) => (x, repeats) => {
  const times = integersOf(repeats!);
  if (times.length !== x!.dims.length || times.some((count) => count < 0))
    throw misfit(`repeats of ${show(times)}`);
  const strides = stridesOf(x!.dims);
  const dims = x!.dims.map((size, dim) => size * times[dim]!);
  const data = budget.array(x!.type, dims);
  copyStrided(
    ...([x!.data, 0, strides.flatMap((step) => [0, step]), elementsOf(data)] as const),
    x!.dims.flatMap((size, dim) => [times[dim]!, size]),
  );
  return { type: x!.type, dims, data };
});

const shape = tensorOperator(1, 1, (node) => (x) => {
  const dims = x!.dims.slice(node.int('start', 0), node.has('end') ? node.int('end', 0) : undefined);
  return int64([dims.length], dims);
});

/** A constant is one attribute of several, by the kind of value. */
const constant = tensorOperator(1, 0, (node) => {
  const value = constantOf(node);
  return () => value;
});

function constantOf(node: NodeFacts): Tensor {
  const tensor = node.tensor('value');
  if (tensor) return tensor;
  if (node.has('value_int')) return int64([], [node.int('value_int', 0)]);
  if (node.has('value_float'))
    return { type: 'float32', dims: [], data: Float32Array.of(node.float('value_float', 0)) };
  if (node.has('value_string')) return { type: 'string', dims: [], data: [node.string('value_string', '')] };
  const ints = node.ints('value_ints');
  if (ints) return int64([ints.length], ints);
  const floats = node.floats('value_floats');
  if (floats) return { type: 'float32', dims: [floats.length], data: floats };
  const strings = node.strings('value_strings');
  if (strings) return { type: 'string', dims: [strings.length], data: strings };
  throw misfit('a constant without a value');
}

const constantOfShape = tensorOperator(9, 1, (node) => {
  const value = node.tensor('value') ?? { type: 'float32', dims: [1], data: Float32Array.of(0) };
  return (dimsInput) => {
    const dims = integersOf(dimsInput!);
    if (dims.some((size) => size < 0)) throw misfit(`sizes of ${show(dims)}`);
    const data = elementsOf(node.budget.array(value.type, dims));
    data.fill(elementsOf(value.data)[0]!);
    return { type: value.type, dims, data };
  };
});

const range = tensorOperator(11, 3, ({ budget }) => (start, limit, delta) => {
  const { type } = start!;
  const [from, to, step] = [scalarOf(start!), scalarOf(limit!), scalarOf(delta!)];
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (!Number.isFinite(count)) throw misfit(`a range from ${from} to ${to} in steps of ${step}`);
  const data = budget.array(type, [count]);
  for (let index = 0; index < count; index += 1) {
    const value = from + index * step;
    if (data instanceof BigInt64Array) data[index] = BigInt(value);
    else (data as Float32Array)[index] = value;
  }
  return { type, dims: [count], data };
});

const eyeLike = tensorOperator(9, 1, (node) => (x) => {
  const type = node.has('dtype') ? typeOfNumber(node.int('dtype', 1)) : x!.type;
  const [rows = 0, columns = 0] = x!.dims;
  const shift = node.int('k', 0);
  const data = node.budget.array(type, [rows, columns]);
  const one = data instanceof BigInt64Array || data instanceof BigUint64Array ? 1n : 1;
  for (let row = 0; row < rows; row += 1) {
    const column = row + shift;
    if (column >= 0 && column < columns) (data as unknown[])[row * columns + column] = one;
  }
  return { type, dims: [rows, columns], data };
});

/** Blocks of channels become places (`DCR`: depth, column, row; `CRD`: column, row, depth), or the reverse. */
const depthToSpace = tensorOperator(1, 1, (node) => {
  const block = node.int('blocksize', 1);
  const depthFirst = node.string('mode', 'DCR') === 'DCR';
  return (x) => {
    const [n, channels, height, width] = fourDims(x!);
    const left = channels / block ** 2;
    if (!Number.isInteger(left)) throw misfit(`${channels} channels in blocks of ${block}`);
    const split_ = depthFirst
      ? [n, block, block, left, height, width]
      : [n, left, block, block, height, width];
    const order = depthFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3];
    const moved = transpose(reshaped(x!, split_), order, node.budget);
    return reshaped(moved, [n, left, height * block, width * block]);
  };
});

const spaceToDepth = tensorOperator(1, 1, (node) => {
  const block = node.int('blocksize', 1);
  return (x) => {
    const [n, channels, height, width] = fourDims(x!);
    if (height % block || width % block) throw misfit(`${show(x!.dims)} in blocks of ${block}`);
    const split_ = [n, channels, height / block, block, width / block, block];
    const moved = transpose(reshaped(x!, split_), [0, 3, 5, 1, 2, 4], node.budget);
    return reshaped(moved, [n, channels * block ** 2, height / block, width / block]);
  };
});

function fourDims(x: Tensor): readonly [number, number, number, number] {
  if (x.dims.length !== 4) throw misfit(`${show(x.dims)} where it takes 4 dims`);
  return x.dims as unknown as readonly [number, number, number, number];
}

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const shaping: Operators = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: tensorOperator(1, 1, (node) => {
    const order = node.ints('perm');
    return (x) => transpose(x!, order ?? x!.dims.map((_, dim) => x!.dims.length - 1 - dim), node.budget);
  }),
  Concat: tensorOperator(1, 1, (node) => {
    const axis = node.int('axis', node.opset < 4 ? 1 : 0);
    return (...inputs) => concat(inputs, axis, node.budget);
  }),
  Split: split,
  Slice: slice,
  Expand: tensorOperator(
    8,
    2,
    ({ budget }) =>
      (x, dims) =>
        expandTo(x!, broadcastDims(x!.dims, integersOf(dims!)), budget),
  ),
  Tile: tile,
  Shape: shape,
  Size: tensorOperator(1, 1, () => (x) => int64([], [x!.data.length])),
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  EyeLike: eyeLike,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};

import { elementCount, type NumberData, type Tensor } from '../../tensor.ts';
import type { Budget } from '../limits.ts';
import { floatsOf, type NodeFacts, type Operators, rounded, tensorOperator } from '../operator.ts';
import { misfit, show } from '../shapes.ts';
import { advance, listFor, tapsOf, windowOf } from '../windows.ts';

interface Numbers {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
}

/**
 * Cross-correlation of [batch, channels, …] with filters [outputs, channels / groups, …]. Sums are float64; zero points
 * are taken off before, so that padding is zero in quantized ones too.
 */
export function convolve(
  node: NodeFacts,
  x: Numbers,
  filters: Numbers,
  bias: ArrayLike<number> | undefined,
): { dims: readonly number[]; data: Float64Array } {
  const groups = node.int('group', 1);
  const [batches, channels, ...spatial] = x.dims as [number, number, ...number[]];
  const [outputs, perGroup, ...kernel] = filters.dims as [number, number, ...number[]];
  if (spatial.length === 0 || perGroup * groups !== channels || outputs % groups !== 0) {
    throw misfit(`filters of ${show(filters.dims)} in ${groups} groups for ${show(x.dims)}`);
  }
  const window = windowOf(node, spatial, kernel);
  const places = elementCount(window.output);
  const taps = elementCount(kernel);
  node.budget.take(places * taps * 4);
  node.budget.work(batches * outputs * perGroup * taps * places);
  const dims = [batches, outputs, ...window.output];
  const data = node.budget.array('float64', dims) as Float64Array;
  const table = tapsOf(window);
  const size = elementCount(spatial);
  const columns = new Float64Array(places);
  const outputsPerGroup = outputs / groups;
  for (let batch = 0; batch < batches; batch += 1) {
    for (let channel = 0; channel < channels; channel += 1) {
      const group = Math.floor(channel / perGroup);
      const from = (batch * channels + channel) * size;
      for (let tap = 0; tap < taps; tap += 1) {
        for (let place = 0; place < places; place += 1) {
          const at = table[place * taps + tap]!;
          columns[place] = at < 0 ? 0 : x.data[from + at]!;
        }
        for (let each = 0; each < outputsPerGroup; each += 1) {
          const output = group * outputsPerGroup + each;
          const weight = filters.data[(output * perGroup + (channel % perGroup)) * taps + tap]!;
          addScaled(data, (batch * outputs + output) * places, columns, weight);
        }
      }
    }
  }
  if (bias) {
    for (let index = 0; index < data.length; index += 1)
      data[index]! += bias[Math.floor(index / places) % outputs]!;
  }
  return { dims, data };
}

function addScaled(target: Float64Array, at: number, source: Float64Array, factor: number): void {
  for (let index = 0; index < source.length; index += 1) target[at + index]! += source[index]! * factor;
}

function stored(
  type: Tensor['type'],
  result: { dims: readonly number[]; data: Float64Array },
  budget: Budget,
): Tensor {
  const out = budget.array(type, result.dims) as Float32Array;
  out.set(result.data);
  return { type, dims: result.dims, data: rounded(type, out) };
}

const conv = tensorOperator(1, 2, (node) => (x, filters, bias) => {
  if (x!.dims.length < 3 || filters!.dims.length !== x!.dims.length)
    throw misfit(`${show(filters!.dims)} over ${show(x!.dims)}`);
  const numbers = { dims: x!.dims, data: floatsOf(x!) };
  const result = convolve(
    node,
    numbers,
    { dims: filters!.dims, data: floatsOf(filters!) },
    bias && floatsOf(bias),
  );
  return stored(x!.type, result, node.budget);
});

/** Sizes and padding of the reverse of a convolution (https://onnx.ai/onnx/operators/onnx__ConvTranspose.html). */
function transposedShape(
  node: NodeFacts,
  spatial: readonly number[],
  kernel: readonly number[],
): { output: number[]; begins: number[] } {
  const rank = spatial.length;
  const strides = listFor(node, 'strides', rank, 1);
  const dilations = listFor(node, 'dilations', rank, 1);
  const extra = listFor(node, 'output_padding', rank, 0);
  const pads = listFor(node, 'pads', rank * 2, 0);
  const autoPad = node.string('auto_pad', 'NOTSET');
  const wanted = node.ints('output_shape')?.slice(-rank);
  const begins = [...pads.slice(0, rank)];
  const output = spatial.map((size, dim) => {
    const span = (kernel[dim]! - 1) * dilations[dim]! + 1;
    const whole = strides[dim]! * (size - 1) + extra[dim]! + span;
    const fixed = wanted?.[dim] ?? (autoPad.startsWith('SAME') ? size * strides[dim]! : undefined);
    if (fixed === undefined) return whole - pads[dim]! - pads[rank + dim]!;
    const total = Math.max(0, whole - fixed);
    const half = Math.floor(total / 2);
    begins[dim] = autoPad === 'SAME_UPPER' ? half : total - half;
    return fixed;
  });
  if (output.some((size) => size < 0)) throw misfit(`an output of ${show(output)}`);
  return { output, begins };
}

const convTranspose = tensorOperator(1, 2, (node) => (x, filters, bias) => {
  const groups = node.int('group', 1);
  const [batches, channels, ...spatial] = x!.dims as [number, number, ...number[]];
  const [inputs, perGroup, ...kernel] = filters!.dims as [number, number, ...number[]];
  if (inputs !== channels || channels % groups !== 0 || kernel.length !== spatial.length)
    throw misfit(show(filters!.dims));
  const { output, begins } = transposedShape(node, spatial, kernel);
  const outputs = perGroup * groups;
  const [size, taps, places] = [elementCount(spatial), elementCount(kernel), elementCount(output)];
  node.budget.work(batches * channels * size * taps * perGroup);
  const dims = [batches, outputs, ...output];
  const data = node.budget.array('float64', dims) as Float64Array;
  const table = scatterTable(node, spatial, kernel, output, begins);
  const [source, weights] = [floatsOf(x!), floatsOf(filters!)];
  for (let batch = 0; batch < batches; batch += 1) {
    for (let channel = 0; channel < channels; channel += 1) {
      const group = Math.floor(channel / (channels / groups));
      for (let each = 0; each < perGroup; each += 1) {
        const to = (batch * outputs + group * perGroup + each) * places;
        const weightAt = (channel * perGroup + each) * taps;
        for (let at = 0; at < size * taps; at += 1) {
          const place = table[at]!;
          if (place < 0) continue;
          data[to + place]! +=
            source[(batch * channels + channel) * size + Math.floor(at / taps)]! *
            weights[weightAt + (at % taps)]!;
        }
      }
    }
  }
  if (bias) {
    const added = floatsOf(bias);
    for (let index = 0; index < data.length; index += 1)
      data[index]! += added[Math.floor(index / places) % outputs]!;
  }
  return stored(x!.type, { dims, data }, node.budget);
});

/** For each input position and element of the kernel: the output it adds to, or -1. */
function scatterTable(
  node: NodeFacts,
  spatial: readonly number[],
  kernel: readonly number[],
  output: readonly number[],
  begins: readonly number[],
): Int32Array {
  const rank = spatial.length;
  const strides = listFor(node, 'strides', rank, 1);
  const dilations = listFor(node, 'dilations', rank, 1);
  const [size, taps] = [elementCount(spatial), elementCount(kernel)];
  node.budget.take(size * taps * 4);
  const table = new Int32Array(size * taps);
  const at = new Array<number>(rank).fill(0);
  for (let index = 0; index < size; index += 1) {
    const tap = new Array<number>(rank).fill(0);
    for (let each = 0; each < taps; each += 1) {
      let place = 0;
      for (let dim = 0; dim < rank; dim += 1) {
        const to = at[dim]! * strides[dim]! + tap[dim]! * dilations[dim]! - begins[dim]!;
        place = place < 0 || to < 0 || to >= output[dim]! ? -1 : place * output[dim]! + to;
      }
      table[index * taps + each] = place;
      advance(tap, kernel);
    }
    advance(at, spatial);
  }
  return table;
}

type Pool = (
  data: ArrayLike<number>,
  from: number,
  table: Int32Array,
  at: number,
  taps: number,
  counted: number,
) => number;

/** A pool over each channel; `counted` is the size of the window with the padding that lies in bounds. */
function pool(reduce: (node: NodeFacts) => Pool): Operators[string] {
  return tensorOperator(1, 1, (node) => {
    const each = reduce(node);
    return (x) => {
      const kernel = node.ints('kernel_shape') ?? [];
      const window = windowOf(node, x!.dims.slice(2), kernel);
      const [places, taps] = [elementCount(window.output), elementCount(kernel)];
      node.budget.take(places * taps * 4);
      const table = tapsOf(window);
      const inBounds = paddedCounts(window);
      const dims = [...x!.dims.slice(0, 2), ...window.output];
      const out = node.budget.array(x!.type, dims) as Float32Array;
      node.budget.work(out.length * taps);
      const data = floatsOf(x!);
      const size = elementCount(window.input);
      for (let index = 0; index < out.length; index += 1) {
        const place = index % places;
        out[index] = each(
          data,
          Math.floor(index / places) * size,
          table,
          place * taps,
          taps,
          inBounds[place]!,
        );
      }
      return { type: x!.type, dims, data: rounded(x!.type, out) };
    };
  });
}

/** How many elements of each window lie in the input or its padding. */
function paddedCounts(window: ReturnType<typeof windowOf>): Int32Array {
  const { input, kernel, strides, dilations, begins, ends, output } = window;
  const counts = new Int32Array(elementCount(output));
  const at = new Array<number>(output.length).fill(0);
  for (let index = 0; index < counts.length; index += 1) {
    let count = 1;
    for (let dim = 0; dim < at.length; dim += 1) {
      const start = at[dim]! * strides[dim]!;
      const last = input[dim]! + begins[dim]! + ends[dim]! - 1;
      count *= Math.min(kernel[dim]!, Math.floor((last - start) / dilations[dim]!) + 1);
    }
    counts[index] = count;
    advance(at, output);
  }
  return counts;
}

const average = pool((node) => {
  const withPadding = node.int('count_include_pad', 0) === 1;
  return (data, from, table, at, taps, counted) => {
    let sum = 0;
    let count = 0;
    for (let tap = at; tap < at + taps; tap += 1) {
      if (table[tap]! < 0) continue;
      sum += data[from + table[tap]!]!;
      count += 1;
    }
    return sum / (withPadding ? counted : count);
  };
});

const lpPool = pool((node) => {
  const p = node.opset < 2 ? node.float('p', 2) : node.int('p', 2);
  return (data, from, table, at, taps) => {
    let sum = 0;
    for (let tap = at; tap < at + taps; tap += 1) {
      if (table[tap]! >= 0) sum += Math.abs(data[from + table[tap]!]!) ** p;
    }
    return sum ** (1 / p);
  };
});

/** The second output says where in the whole input each largest element lies. */
const maxPool = tensorOperator(1, 1, (node) => {
  const columnMajor = node.int('storage_order', 0) === 1;
  return (x) => {
    const kernel = node.ints('kernel_shape') ?? [];
    const window = windowOf(node, x!.dims.slice(2), kernel);
    const [places, taps] = [elementCount(window.output), elementCount(kernel)];
    node.budget.take(places * taps * 4);
    const table = tapsOf(window);
    const dims = [...x!.dims.slice(0, 2), ...window.output];
    const out = node.budget.array(x!.type, dims) as Float32Array;
    const where = node.budget.array('int64', dims) as BigInt64Array;
    node.budget.work(out.length * taps);
    const data = floatsOf(x!);
    const size = elementCount(window.input);
    for (let index = 0; index < out.length; index += 1) {
      const from = Math.floor(index / places) * size;
      let best = -1;
      for (let tap = (index % places) * taps, end = tap + taps; tap < end; tap += 1) {
        const at = table[tap]!;
        if (at >= 0 && (best < 0 || data[from + at]! > data[from + best]!)) best = at;
      }
      out[index] = best < 0 ? Number.NEGATIVE_INFINITY : data[from + best]!;
      where[index] = BigInt(from + (columnMajor ? byColumn(best, window.input) : best));
    }
    return [
      { type: x!.type, dims, data: out },
      { type: 'int64' as const, dims, data: where },
    ].slice(0, Math.max(1, node.outputCount));
  };
});

function byColumn(place: number, dims: readonly number[]): number {
  let [rest, result, step] = [place, 0, elementCount(dims)];
  for (let dim = dims.length - 1; dim >= 0; dim -= 1) {
    step /= dims[dim]!;
    result += (rest % dims[dim]!) * step;
    rest = Math.floor(rest / dims[dim]!);
  }
  return result;
}

/** The reverse of MaxPool: each element goes where its index says, in an output that may have been larger. */
const maxUnpool = tensorOperator(9, 2, (node) => (x, indices, shape) => {
  const kernel = node.ints('kernel_shape') ?? [];
  const rank = kernel.length;
  const strides = listFor(node, 'strides', rank, 1);
  const pads = listFor(node, 'pads', rank * 2, 0);
  const grown = x!.dims
    .slice(2)
    .map((size, dim) => (size - 1) * strides[dim]! + kernel[dim]! - pads[dim]! - pads[rank + dim]!);
  const own = [...x!.dims.slice(0, 2), ...grown];
  const dims = shape ? Array.from(shape.data as BigInt64Array, Number) : own;
  const out = node.budget.array(x!.type, dims) as Float32Array;
  const source = x!.data as NumberData;
  for (let index = 0; index < source.length; index += 1) {
    let rest = Number(indices!.data[index]);
    // Indices count in the smaller output; each coordinate is kept.
    let place = 0;
    let step = 1;
    for (let dim = own.length - 1; dim >= 0; dim -= 1) {
      place += (rest % own[dim]!) * step;
      rest = Math.floor(rest / own[dim]!);
      step *= dims[dim]!;
    }
    if (!(place >= 0 && place < out.length)) throw misfit('an index outside the output');
    out[place] = source[index]!;
  }
  return { type: x!.type, dims, data: out };
});

function global(
  reduce: (data: ArrayLike<number>, at: number, size: number, node: NodeFacts) => number,
): Operators[string] {
  return tensorOperator(1, 1, (node) => (x) => {
    const dims = x!.dims.map((size, dim) => (dim < 2 ? size : 1));
    const size = elementCount(x!.dims.slice(2));
    const out = node.budget.array(x!.type, dims) as Float32Array;
    const data = floatsOf(x!);
    for (let index = 0; index < out.length; index += 1) out[index] = reduce(data, index * size, size, node);
    return { type: x!.type, dims, data: rounded(x!.type, out) };
  });
}

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const convolutions: Operators = {
  Conv: conv,
  ConvTranspose: convTranspose,
  AveragePool: average,
  LpPool: lpPool,
  MaxPool: maxPool,
  MaxUnpool: maxUnpool,
  GlobalAveragePool: global((data, at, size) => {
    let sum = 0;
    for (let index = at; index < at + size; index += 1) sum += data[index]!;
    return sum / size;
  }),
  GlobalMaxPool: global((data, at, size) => {
    let most = Number.NEGATIVE_INFINITY;
    for (let index = at; index < at + size; index += 1) most = Math.max(most, data[index]!);
    return most;
  }),
  GlobalLpPool: global((data, at, size, node) => {
    const p = node.opset < 2 ? node.float('p', 2) : node.int('p', 2);
    let sum = 0;
    for (let index = at; index < at + size; index += 1) sum += Math.abs(data[index]!) ** p;
    return sum ** (1 / p);
  }),
};

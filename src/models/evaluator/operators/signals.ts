import { typeOfNumber } from '../../onnx/index.ts';
import { elementCount, type Tensor } from '../../tensor.ts';
import type { Budget } from '../limits.ts';
import { floatsOf, type Operator, type Operators, rounded, scalarOf, tensorOperator } from '../operator.ts';
import { axisOf, misfit, show } from '../shapes.ts';

/** A window as a sum of cosines; periodic ones leave the last place out. */
function cosineWindow(...coefficients: readonly number[]): Operator {
  return tensorOperator(17, 1, (node) => {
    const periodic = node.int('periodic', 1) === 1;
    const type = typeOfNumber(node.int('output_datatype', 1));
    return (sizeInput) => {
      const size = scalarOf(sizeInput!);
      const out = node.budget.array(type, [size]) as Float32Array;
      const period = periodic ? size : size - 1;
      for (let index = 0; index < size; index += 1) {
        let value = 0;
        for (const [order, coefficient] of coefficients.entries()) {
          value += coefficient * Math.cos((2 * Math.PI * order * index) / Math.max(1, period));
        }
        out[index] = value;
      }
      return { type, dims: [size], data: rounded(type, out) };
    };
  });
}

interface Line {
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
}

/** The sums of the definition; lengths are those of audio frames, and any is allowed. */
function transform({ real, imaginary }: Line, count: number, inverse: boolean, budget: Budget): Line {
  budget.work(count * count * 2);
  const result = { real: new Float64Array(count), imaginary: new Float64Array(count) };
  const cosines = Float64Array.from({ length: count }, (_, index) => Math.cos((2 * Math.PI * index) / count));
  const sines = Float64Array.from(
    { length: count },
    (_, index) => Math.sin((2 * Math.PI * index) / count) * (inverse ? 1 : -1),
  );
  const length = Math.min(count, real.length);
  for (let k = 0; k < count; k += 1) {
    let [re, im] = [0, 0];
    for (let n = 0, turn = 0; n < length; n += 1, turn = (turn + k) % count) {
      re += real[n]! * cosines[turn]! - imaginary[n]! * sines[turn]!;
      im += real[n]! * sines[turn]! + imaginary[n]! * cosines[turn]!;
    }
    result.real[k] = inverse ? re / count : re;
    result.imaginary[k] = inverse ? im / count : im;
  }
  return result;
}

interface Place {
  readonly outer: number;
  readonly column: number;
  readonly inner: number;
  readonly size: number;
  readonly parts: number;
}

/** One line of a signal; with `mirrored` as its length, completed to the spectrum of a real signal. */
function lineOf(
  data: ArrayLike<number>,
  { outer, column, inner, size, parts }: Place,
  mirrored: number,
): Line {
  const length = Math.max(size, mirrored);
  const line = { real: new Float64Array(length), imaginary: new Float64Array(length) };
  for (let index = 0; index < length; index += 1) {
    const reflected = mirrored > 0 && index > mirrored / 2;
    const from = ((outer * size + (reflected ? mirrored - index : index)) * inner + column) * parts;
    line.real[index] = data[from] ?? 0;
    line.imaginary[index] = parts === 2 ? (reflected ? -1 : 1) * (data[from + 1] ?? 0) : 0;
  }
  return line;
}

/** The axis is an attribute up to opset 19 and an input since; the last dim is the real part and, with two, the imaginary one. */
const dft = tensorOperator(17, 1, (node) => {
  const inverse = node.int('inverse', 0) === 1;
  const oneSided = node.int('onesided', 0) === 1;
  return (x, lengthInput, axisInput) => {
    const rank = x!.dims.length;
    const axis = axisOf(node.opset < 20 ? node.int('axis', 1) : axisInput ? scalarOf(axisInput) : -2, rank);
    const parts = x!.dims[rank - 1]!;
    if (axis === rank - 1 || (parts !== 1 && parts !== 2)) throw misfit(`a signal of ${show(x!.dims)}`);
    const size = x!.dims[axis]!;
    // The inverse of half a spectrum is a real signal: the other half is the mirror image.
    const mirrors = inverse && oneSided;
    const count = lengthInput ? scalarOf(lengthInput) : mirrors ? 2 * (size - 1) : size;
    if (!(count >= 0) || (mirrors && parts !== 2)) throw misfit(`a length of ${count} for ${show(x!.dims)}`);
    const kept = oneSided && !inverse ? Math.floor(count / 2) + 1 : count;
    const given = mirrors ? 1 : 2;
    const dims = x!.dims.map((each, dim) => (dim === axis ? kept : dim === rank - 1 ? given : each));
    const out = node.budget.array(x!.type, dims) as Float32Array;
    const data = floatsOf(x!);
    const inner = elementCount(x!.dims.slice(axis + 1, rank - 1));
    const lines = elementCount(x!.dims.slice(0, axis)) * inner;
    for (let line = 0; line < lines; line += 1) {
      const [outer, column] = [Math.floor(line / inner), line % inner];
      const result = transform(
        lineOf(data, { outer, column, inner, size, parts }, mirrors ? count : 0),
        count,
        inverse,
        node.budget,
      );
      for (let index = 0; index < kept; index += 1) {
        const to = ((outer * kept + index) * inner + column) * given;
        out[to] = result.real[index]!;
        if (!mirrors) out[to + 1] = result.imaginary[index]!;
      }
    }
    return { type: x!.type, dims, data: rounded(x!.type, out) };
  };
});

const stft = tensorOperator(17, 2, (node) => {
  const oneSided = node.int('onesided', 1) === 1;
  return (signal, stepInput, window, lengthInput) => {
    const [batches, length, parts = 1] = signal!.dims as readonly [number, number, number?];
    const step = scalarOf(stepInput!);
    const size = lengthInput ? scalarOf(lengthInput) : (window?.data.length ?? 0);
    if (!(step > 0 && size > 0 && size <= length))
      throw misfit(`frames of ${size} every ${step} in ${show(signal!.dims)}`);
    const frames = Math.floor((length - size) / step) + 1;
    const kept = oneSided ? Math.floor(size / 2) + 1 : size;
    const dims = [batches, frames, kept, 2];
    const out = node.budget.array(signal!.type, dims) as Float32Array;
    const data = floatsOf(signal!);
    const shape = window ? floatsOf(window) : undefined;
    for (let frame = 0; frame < batches * frames; frame += 1) {
      const start = Math.floor(frame / frames) * length + (frame % frames) * step;
      const pick = (part: number): Float64Array =>
        Float64Array.from({ length: size }, (_, index) =>
          part < parts ? data[(start + index) * parts + part]! * (shape?.[index] ?? 1) : 0,
        );
      const result = transform({ real: pick(0), imaginary: pick(1) }, size, false, node.budget);
      for (let index = 0; index < kept; index += 1) {
        out[(frame * kept + index) * 2] = result.real[index]!;
        out[(frame * kept + index) * 2 + 1] = result.imaginary[index]!;
      }
    }
    return { type: signal!.type, dims, data: rounded(signal!.type, out) };
  };
});

/** Triangles that are even on the mel scale (https://onnx.ai/onnx/operators/onnx__MelWeightMatrix.html). */
const melWeights = tensorOperator(17, 5, (node) => {
  const type = typeOfNumber(node.int('output_datatype', 1));
  return (...inputs) => {
    const [bins, length, rate, low, high] = inputs.map(scalarOf) as [number, number, number, number, number];
    if (!(bins > 0 && length > 0 && rate > 0)) throw misfit(`${bins} bins of a spectrum of ${length}`);
    const rows = Math.floor(length / 2) + 1;
    const dims = [rows, bins];
    const out = node.budget.array(type, dims) as Float32Array;
    const toMel = (frequency: number): number => 2595 * Math.log10(1 + frequency / 700);
    const step = (toMel(high) - toMel(low)) / (bins + 2);
    const edges = Array.from({ length: bins + 2 }, (_, index) => {
      const frequency = 700 * (10 ** ((index * step + toMel(low)) / 2595) - 1);
      return Math.floor(((length + 1) * frequency) / rate);
    });
    for (let bin = 0; bin < bins; bin += 1) {
      const [from, middle, to] = edges.slice(bin, bin + 3) as [number, number, number];
      if (middle === from && middle < rows) out[middle * bins + bin] = 1;
      for (let row = from; row <= middle && middle > from && row < rows; row += 1)
        out[row * bins + bin] = (row - from) / (middle - from);
      for (let row = middle; row < to && row < rows; row += 1)
        out[row * bins + bin] = (to - row) / (to - middle);
    }
    return { type, dims, data: rounded(type, out) } satisfies Tensor;
  };
});

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const signals: Operators = {
  HannWindow: cosineWindow(0.5, -0.5),
  HammingWindow: cosineWindow(25 / 46, -21 / 46),
  BlackmanWindow: cosineWindow(0.42, -0.5, 0.08),
  DFT: dft,
  STFT: stft,
  MelWeightMatrix: melWeights,
};

import { elementCount } from '../tensor.ts';
import type { NodeFacts } from './operator.ts';
import { misfit, show, stridesOf } from './shapes.ts';

/** How a kernel moves over the spatial dims of a tensor [batch, channels, …spatial]. */
export interface Window {
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly begins: readonly number[];
  readonly ends: readonly number[];
  readonly output: readonly number[];
}

type AutoPad = 'NOTSET' | 'VALID' | 'SAME_UPPER' | 'SAME_LOWER';

export function listFor(node: NodeFacts, name: string, rank: number, fallback: number): readonly number[] {
  const list = node.ints(name) ?? [];
  if (list.length === 0) return new Array<number>(rank).fill(fallback);
  if (list.length !== rank) throw misfit(`${name} of ${show(list)} for ${rank} dims`);
  if (list.some((each) => each < 0 || (name !== 'pads' && name !== 'output_padding' && each === 0))) {
    throw misfit(`${name} of ${show(list)}`);
  }
  return list;
}

/** The standard's formulas for the sizes of outputs (https://onnx.ai/onnx/operators/onnx__MaxPool.html). */
export function windowOf(node: NodeFacts, input: readonly number[], kernel: readonly number[]): Window {
  const rank = input.length;
  if (kernel.length !== rank || kernel.some((size) => size <= 0))
    throw misfit(`a kernel of ${show(kernel)} over ${show(input)}`);
  const strides = listFor(node, 'strides', rank, 1);
  const dilations = listFor(node, 'dilations', rank, 1);
  const autoPad = node.string('auto_pad', 'NOTSET') as AutoPad;
  const pads = node.ints('pads') ?? [];
  if (pads.length > 0 && pads.length !== 2 * rank) throw misfit(`pads of ${show(pads)}`);
  const begins = new Array<number>(rank).fill(0);
  const ends = new Array<number>(rank).fill(0);
  const ceil = node.int('ceil_mode', 0) === 1;
  const output = input.map((size, dim) => {
    const span = (kernel[dim]! - 1) * dilations[dim]! + 1;
    const stride = strides[dim]!;
    if (autoPad.startsWith('SAME')) {
      const count = Math.ceil(size / stride);
      const total = Math.max(0, (count - 1) * stride + span - size);
      const half = Math.floor(total / 2);
      begins[dim] = autoPad === 'SAME_UPPER' ? half : total - half;
      ends[dim] = total - begins[dim]!;
      return count;
    }
    if (autoPad !== 'VALID') {
      begins[dim] = pads[dim] ?? 0;
      ends[dim] = pads[rank + dim] ?? 0;
    }
    const room = size + begins[dim]! + ends[dim]! - span;
    const count = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
    // A window that would begin behind the input, in the padding at its end, is none.
    return Math.max(0, ceil && (count - 1) * stride >= size + begins[dim]! ? count - 1 : count);
  });
  return { input, kernel, strides, dilations, begins, ends, output };
}

/**
 * For each output position and each element of the kernel: the place in one channel's input, or -1 in the padding. Found once
 * for all channels and batches.
 */
export function tapsOf({ input, kernel, strides, dilations, begins, output }: Window): Int32Array {
  const steps = stridesOf(input);
  const outputs = elementCount(output);
  const taps = elementCount(kernel);
  const table = new Int32Array(outputs * taps);
  const rank = input.length;
  const out = new Array<number>(rank).fill(0);
  for (let index = 0; index < outputs; index += 1) {
    const tap = new Array<number>(rank).fill(0);
    for (let each = 0; each < taps; each += 1) {
      let place = 0;
      for (let dim = 0; dim < rank; dim += 1) {
        const at = out[dim]! * strides[dim]! + tap[dim]! * dilations[dim]! - begins[dim]!;
        if (at < 0 || at >= input[dim]!) place = Number.NEGATIVE_INFINITY;
        place += at * steps[dim]!;
      }
      table[index * taps + each] = place < 0 ? -1 : place;
      advance(tap, kernel);
    }
    advance(out, output);
  }
  return table;
}

export function advance(position: number[], dims: readonly number[]): void {
  for (let dim = dims.length - 1; dim >= 0; dim -= 1) {
    if (++position[dim]! < dims[dim]!) return;
    position[dim] = 0;
  }
}

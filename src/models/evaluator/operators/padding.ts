import type { Tensor } from '../../tensor.ts';
import { elementsOf, integersOf, type NodeFacts, type Operators, tensorOperator } from '../operator.ts';
import { axisOf, eachPosition, misfit, show, stridesOf } from '../shapes.ts';

type Mode = 'constant' | 'edge' | 'reflect' | 'wrap';

/** Where a position in the padded axis takes its element from; -1 is the constant. */
function sourceOf(place: number, size: number, mode: Mode): number {
  if (place >= 0 && place < size) return place;
  if (mode === 'constant' || size === 0) return -1;
  if (mode === 'edge') return place < 0 ? 0 : size - 1;
  if (mode === 'wrap') return ((place % size) + size) % size;
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const at = ((place % period) + period) % period;
  return at < size ? at : period - at;
}

function padsOf(
  node: NodeFacts,
  x: Tensor,
  padsInput: Tensor | undefined,
  axesInput: Tensor | undefined,
): number[] {
  const given = padsInput ? integersOf(padsInput) : (node.ints('pads') ?? node.ints('paddings') ?? []);
  const rank = x.dims.length;
  const axes = axesInput
    ? integersOf(axesInput).map((axis) => axisOf(axis, rank))
    : x.dims.map((_, dim) => dim);
  if (given.length !== axes.length * 2) throw misfit(`pads of ${show(given)} for ${show(x.dims)}`);
  const pads = new Array<number>(rank * 2).fill(0);
  for (const [index, axis] of axes.entries()) {
    pads[axis] = given[index]!;
    pads[rank + axis] = given[axes.length + index]!;
  }
  return pads;
}

/** Negative pads cut off. Attributes up to opset 10, inputs since. */
const pad = tensorOperator(1, 1, (node) => {
  const mode = node.string('mode', 'constant') as Mode;
  if (!['constant', 'edge', 'reflect', 'wrap'].includes(mode)) throw misfit(`a mode ${JSON.stringify(mode)}`);
  return (x, padsInput, valueInput, axesInput) => {
    const rank = x!.dims.length;
    const pads = padsOf(node, x!, padsInput, axesInput);
    const dims = x!.dims.map((size, dim) => size + pads[dim]! + pads[rank + dim]!);
    if (dims.some((size) => size < 0)) throw misfit(`pads of ${show(pads)} for ${show(x!.dims)}`);
    const out = elementsOf(node.budget.array(x!.type, dims));
    const source = elementsOf(x!.data);
    const fill = valueInput
      ? elementsOf(valueInput.data)[0]!
      : x!.type.includes('float')
        ? node.float('value', 0)
        : out[0]!;
    const strides = stridesOf(x!.dims);
    node.budget.work(out.length * rank);
    eachPosition(dims, (position, index) => {
      let at = 0;
      for (let dim = 0; dim < rank; dim += 1) {
        const place = sourceOf(position[dim]! - pads[dim]!, x!.dims[dim]!, mode);
        at = place < 0 || at < 0 ? -1 : at + place * strides[dim]!;
      }
      out[index] = at < 0 ? fill : source[at]!;
    });
    return { type: x!.type, dims, data: out };
  };
});

/** A window of the given sizes in the middle; where the input is smaller, zeros around it. */
const centerCropPad = tensorOperator(18, 2, (node) => (x, shape) => {
  const rank = x!.dims.length;
  const axes = node.ints('axes')?.map((axis) => axisOf(axis, rank)) ?? x!.dims.map((_, dim) => dim);
  const wanted = integersOf(shape!);
  const dims = x!.dims.map((size, dim) => (axes.includes(dim) ? wanted[axes.indexOf(dim)]! : size));
  const shifts = dims.map((size, dim) => {
    const had = x!.dims[dim]!;
    return size >= had ? -Math.floor((size - had) / 2) : Math.floor((had - size) / 2);
  });
  const out = elementsOf(node.budget.array(x!.type, dims));
  const source = elementsOf(x!.data);
  const strides = stridesOf(x!.dims);
  eachPosition(dims, (position, index) => {
    let at = 0;
    for (let dim = 0; dim < rank; dim += 1) {
      const place = position[dim]! + shifts[dim]!;
      at = place < 0 || place >= x!.dims[dim]! || at < 0 ? -1 : at + place * strides[dim]!;
    }
    if (at >= 0) out[index] = source[at]!;
  });
  return { type: x!.type, dims, data: out };
});

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const padding: Operators = { Pad: pad, CenterCropPad: centerCropPad };

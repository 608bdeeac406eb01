import { invalid, type OnnxSparseTensor } from '../onnx/index.ts';
import type { Tensor } from '../tensor.ts';
import type { Budget } from './limits.ts';
import { elementsOf, integersOf } from './operator.ts';
import { stridesOf } from './shapes.ts';

/** A sparse tensor written out. MODEL_INVALID when an index lies outside. */
export function denseOf({ values, indices, dims }: OnnxSparseTensor, budget: Budget): Tensor {
  const data = budget.array(values.type, dims);
  const strides = stridesOf(dims);
  const places = integersOf(indices);
  const width = indices.dims.length === 2 ? dims.length : 1;
  if (places.length !== values.data.length * width)
    throw invalid('A sparse tensor has values without places');
  for (let index = 0; index < values.data.length; index += 1) {
    let at = 0;
    for (let dim = 0; dim < width; dim += 1) {
      const place = places[index * width + dim]!;
      if (place < 0 || (width > 1 && place >= dims[dim]!))
        throw invalid('A sparse tensor has a place outside itself');
      at += place * (width === 1 ? 1 : strides[dim]!);
    }
    if (at >= data.length) throw invalid('A sparse tensor has a place outside itself');
    elementsOf(data)[at] = elementsOf(values.data)[index]!;
  }
  return { type: values.type, dims, data };
}

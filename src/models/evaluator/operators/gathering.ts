import { elementCount, type Tensor } from '../../tensor.ts';
import type { Writable } from '../limits.ts';
import {
  elementsOf,
  int64,
  integersOf,
  type NodeFacts,
  type Operators,
  scalarOf,
  tensorOperator,
} from '../operator.ts';
import { aroundAxis, axisOf, eachPosition, misfit, show, stridesOf } from '../shapes.ts';

/** An index counted from either end. */
function placeOf(index: number, size: number): number {
  const place = index < 0 ? index + size : index;
  if (!(place >= 0 && place < size)) throw misfit(`index ${index} of ${size}`);
  return place;
}

/** A copy to be written into. */
function copyOf(x: Tensor, node: NodeFacts): Writable {
  const out = node.budget.array(x.type, x.dims);
  const [target, source] = [elementsOf(out), elementsOf(x.data)];
  for (let index = 0; index < target.length; index += 1) target[index] = source[index]!;
  return out;
}

const gather = tensorOperator(1, 2, (node) => (x, indices) => {
  const axis = axisOf(node.int('axis', 0), x!.dims.length);
  const { outer, size, inner } = aroundAxis(x!.dims, axis);
  const places = integersOf(indices!).map((index) => placeOf(index, size));
  const dims = [...x!.dims.slice(0, axis), ...indices!.dims, ...x!.dims.slice(axis + 1)];
  const data = node.budget.array(x!.type, dims);
  const [target, source] = [elementsOf(data), elementsOf(x!.data)];
  let to = 0;
  for (let row = 0; row < outer; row += 1) {
    for (const place of places) {
      const from = (row * size + place) * inner;
      for (let index = 0; index < inner; index += 1) target[to++] = source[from + index]!;
    }
  }
  return { type: x!.type, dims, data };
});

/** Where element `index` of a tensor of indices points to, along one axis of `dims`. */
function eachElement(
  indices: Tensor,
  dims: readonly number[],
  axis: number,
  visit: (place: number, index: number) => void,
): void {
  if (indices.dims.length !== dims.length) throw misfit(`indices of ${show(indices.dims)} for ${show(dims)}`);
  const strides = stridesOf(dims);
  const places = integersOf(indices);
  for (const [dim, size] of indices.dims.entries()) {
    if (dim !== axis && size > dims[dim]!) throw misfit(`indices of ${show(indices.dims)} for ${show(dims)}`);
  }
  eachPosition(indices.dims, (position, index) => {
    let at = 0;
    for (let dim = 0; dim < position.length; dim += 1) {
      at += (dim === axis ? placeOf(places[index]!, dims[dim]!) : position[dim]!) * strides[dim]!;
    }
    visit(at, index);
  });
}

const gatherElements = tensorOperator(11, 2, (node) => (x, indices) => {
  const axis = axisOf(node.int('axis', 0), x!.dims.length);
  const data = node.budget.array(x!.type, indices!.dims);
  const [target, source] = [elementsOf(data), elementsOf(x!.data)];
  eachElement(indices!, x!.dims, axis, (place, index) => {
    target[index] = source[place]!;
  });
  return { type: x!.type, dims: indices!.dims, data };
});

type Reduction = (before: number, update: number) => number;

/** How an update joins what is there; works on bigint as on numbers. */
function reductionOf(node: NodeFacts): Reduction {
  const name = node.string('reduction', 'none');
  const found = {
    none: (_: number, update: number) => update,
    add: (before: number, update: number) => before + update,
    mul: (before: number, update: number) => before * update,
    max: (before: number, update: number) => (before > update ? before : update),
    min: (before: number, update: number) => (before < update ? before : update),
  }[name as 'none'];
  if (!found) throw misfit(`a reduction ${JSON.stringify(name)}`);
  return found;
}

const scatterElements = tensorOperator(9, 3, (node) => {
  const reduce = reductionOf(node);
  return (x, indices, updates) => {
    const axis = axisOf(node.int('axis', 0), x!.dims.length);
    if (updates!.type !== x!.type || updates!.data.length !== indices!.data.length)
      throw misfit(show(updates!.dims));
    const data = copyOf(x!, node);
    const [target, source] = [elementsOf(data), elementsOf(updates!.data)];
    eachElement(indices!, x!.dims, axis, (place, index) => {
      target[place] = reduce(target[place]!, source[index]!);
    });
    return { type: x!.type, dims: x!.dims, data };
  };
});

/** For each tuple of indices: where the slice it names begins, and how long the slices are. */
function slicesOf(
  indices: Tensor,
  dims: readonly number[],
  batchDims: number,
): { starts: number[]; length: number } {
  const depth = indices.dims.at(-1) ?? 0;
  if (depth + batchDims > dims.length) throw misfit(`tuples of ${depth} for ${show(dims)}`);
  const strides = stridesOf(dims);
  const places = integersOf(indices);
  const batch = elementCount(dims.slice(0, batchDims));
  const tuples = elementCount(indices.dims.slice(0, -1));
  const starts = new Array<number>(tuples);
  const perBatch = tuples / batch;
  const batchStep = elementCount(dims.slice(batchDims));
  for (let tuple = 0; tuple < tuples; tuple += 1) {
    let at = batchDims === 0 ? 0 : Math.floor(tuple / perBatch) * batchStep;
    for (let index = 0; index < depth; index += 1) {
      const dim = batchDims + index;
      at += placeOf(places[tuple * depth + index]!, dims[dim]!) * strides[dim]!;
    }
    starts[tuple] = at;
  }
  return { starts, length: elementCount(dims.slice(batchDims + depth)) };
}

const gatherNd = tensorOperator(11, 2, (node) => {
  const batchDims = node.int('batch_dims', 0);
  return (x, indices) => {
    const depth = indices!.dims.at(-1) ?? 0;
    const { starts, length } = slicesOf(indices!, x!.dims, batchDims);
    const dims = [...indices!.dims.slice(0, -1), ...x!.dims.slice(batchDims + depth)];
    const data = node.budget.array(x!.type, dims);
    const [target, source] = [elementsOf(data), elementsOf(x!.data)];
    let to = 0;
    for (const start of starts)
      for (let index = 0; index < length; index += 1) target[to++] = source[start + index]!;
    return { type: x!.type, dims, data };
  };
});

const scatterNd = tensorOperator(11, 3, (node) => {
  const reduce = reductionOf(node);
  return (x, indices, updates) => {
    const { starts, length } = slicesOf(indices!, x!.dims, 0);
    if (updates!.type !== x!.type || updates!.data.length !== starts.length * length)
      throw misfit(show(updates!.dims));
    const data = copyOf(x!, node);
    const [target, source] = [elementsOf(data), elementsOf(updates!.data)];
    for (const [tuple, start] of starts.entries()) {
      for (let index = 0; index < length; index += 1) {
        target[start + index] = reduce(target[start + index]!, source[tuple * length + index]!);
      }
    }
    return { type: x!.type, dims: x!.dims, data };
  };
});

const compress = tensorOperator(9, 2, (node) => (x, condition) => {
  const flat = !node.has('axis');
  const dims = flat ? [x!.data.length] : x!.dims;
  const axis = flat ? 0 : axisOf(node.int('axis', 0), dims.length);
  const { outer, size, inner } = aroundAxis(dims, axis);
  const chosen = integersOf(condition!).flatMap((truth, index) => (truth && index < size ? [index] : []));
  const shape = dims.map((each, dim) => (dim === axis ? chosen.length : each));
  const data = node.budget.array(x!.type, shape);
  const [target, source] = [elementsOf(data), elementsOf(x!.data)];
  let to = 0;
  for (let row = 0; row < outer; row += 1) {
    for (const place of chosen) {
      for (let index = 0; index < inner; index += 1)
        target[to++] = source[(row * size + place) * inner + index]!;
    }
  }
  return { type: x!.type, dims: shape, data };
});

const nonZero = tensorOperator(9, 1, (node) => (x) => {
  const { dims, data } = x!;
  const found: number[] = [];
  for (let index = 0; index < data.length; index += 1) if (data[index]) found.push(index);
  const strides = stridesOf(dims);
  const rank = Math.max(1, dims.length);
  const out = node.budget.array('int64', [rank, found.length]) as BigInt64Array;
  for (let dim = 0; dim < rank; dim += 1) {
    for (const [column, index] of found.entries()) {
      out[dim * found.length + column] = BigInt(
        dims.length === 0 ? 0 : Math.floor(index / strides[dim]!) % dims[dim]!,
      );
    }
  }
  return { type: 'int64', dims: [rank, found.length], data: out };
});

const oneHot = tensorOperator(9, 3, (node) => (indices, depthInput, values) => {
  const depth = Math.trunc(scalarOf(depthInput!));
  if (!(depth >= 0) || values!.data.length !== 2) throw misfit(`a depth of ${depth}`);
  const rank = indices!.dims.length + 1;
  const axis = axisOf(node.int('axis', -1), rank);
  const dims = [...indices!.dims.slice(0, axis), depth, ...indices!.dims.slice(axis)];
  const data = elementsOf(node.budget.array(values!.type, dims));
  const [off, on] = [elementsOf(values!.data)[0]!, elementsOf(values!.data)[1]!];
  data.fill(off);
  const inner = elementCount(indices!.dims.slice(axis));
  for (const [index, value] of integersOf(indices!).entries()) {
    const place = Math.trunc(value) < 0 ? Math.trunc(value) + depth : Math.trunc(value);
    if (place >= 0 && place < depth)
      data[(Math.floor(index / inner) * depth + place) * inner + (index % inner)] = on;
  }
  return { type: values!.type, dims, data };
});

/** Of equal values the one that comes first, as in ONNX Runtime. */
const topK = tensorOperator(1, 1, (node) => {
  const largest = node.int('largest', 1) === 1;
  return (x, countInput) => {
    const axis = axisOf(node.int('axis', -1), x!.dims.length);
    const { outer, size, inner } = aroundAxis(x!.dims, axis);
    const count = countInput ? scalarOf(countInput) : node.int('k', 1);
    if (!(count >= 0 && count <= size)) throw misfit(`the first ${count} of ${size}`);
    const dims = x!.dims.map((each, dim) => (dim === axis ? count : each));
    const values = node.budget.array(x!.type, dims);
    const places = node.budget.array('int64', dims) as BigInt64Array;
    node.budget.work(x!.data.length * Math.log2(size + 1));
    const [target, source] = [elementsOf(values), elementsOf(x!.data)];
    for (let line = 0; line < outer * inner; line += 1) {
      const [row, column] = [Math.floor(line / inner), line % inner];
      const at = (index: number): number => source[(row * size + index) * inner + column]!;
      const order = Array.from({ length: size }, (_, index) => index).sort((a, b) => {
        const [first, second] = largest ? [at(b), at(a)] : [at(a), at(b)];
        return first < second ? -1 : first > second ? 1 : a - b;
      });
      for (let index = 0; index < count; index += 1) {
        const to = (row * count + index) * inner + column;
        target[to] = at(order[index]!);
        places[to] = BigInt(order[index]!);
      }
    }
    return [
      { type: x!.type, dims, data: values },
      { type: 'int64', dims, data: places },
    ];
  };
});

/** Slices along the axis (or all elements) that differ, where each came first, which it is, and how often it is there. */
const unique = tensorOperator(11, 1, (node) => {
  const sorted = node.int('sorted', 1) === 1;
  return (x) => {
    const flat = !node.has('axis');
    const dims = flat ? [x!.data.length] : x!.dims;
    const axis = flat ? 0 : axisOf(node.int('axis', 0), dims.length);
    const { outer, size, inner } = aroundAxis(dims, axis);
    const source = elementsOf(x!.data);
    const slice = (index: number): number[] =>
      Array.from(
        { length: outer * inner },
        (_, at) => source[(Math.floor(at / inner) * size + index) * inner + (at % inner)]!,
      );
    node.budget.work(x!.data.length * 8);
    const groups = new Map<
      string,
      { readonly first: number; readonly slice: readonly number[]; count: number }
    >();
    const keys = Array.from({ length: size }, (_, index) => {
      const each = slice(index);
      const key = each.join('\0');
      const group = groups.get(key);
      if (group) group.count += 1;
      else groups.set(key, { first: index, slice: each, count: 1 });
      return key;
    });
    const ordered = [...groups];
    if (sorted) ordered.sort(([, a], [, b]) => compareSlices(a.slice, b.slice));
    const rank = new Map(ordered.map(([key], index) => [key, index]));
    const shape = dims.map((each, dim) => (dim === axis ? ordered.length : each));
    const data = node.budget.array(x!.type, shape);
    for (const [index, [, group]] of ordered.entries()) {
      for (const [at, value] of group.slice.entries()) {
        elementsOf(data)[(Math.floor(at / inner) * ordered.length + index) * inner + (at % inner)] = value;
      }
    }
    const values: Tensor = { type: x!.type, dims: shape, data };
    const lists = [
      ordered.map(([, { first }]) => first),
      keys.map((key) => rank.get(key)!),
      ordered.map(([, { count }]) => count),
    ];
    return [values, ...lists.map((list) => int64([list.length], list))].slice(
      0,
      Math.max(1, node.outputCount),
    );
  };
});

function compareSlices(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    if (value !== b[index]) return value < b[index]! ? -1 : 1;
  }
  return 0;
}

/** Turns round the first `length` steps of each sequence. */
const reverseSequence = tensorOperator(10, 2, (node) => {
  const batchAxis = node.int('batch_axis', 1);
  const timeAxis = node.int('time_axis', 0);
  return (x, lengthsInput) => {
    const lengths = integersOf(lengthsInput!);
    const strides = stridesOf(x!.dims);
    if (lengths.length !== x!.dims[batchAxis] || x!.dims[timeAxis] === undefined) throw misfit(show(x!.dims));
    const data = node.budget.array(x!.type, x!.dims);
    const [target, source] = [elementsOf(data), elementsOf(x!.data)];
    eachPosition(x!.dims, (position, index) => {
      const time = position[timeAxis]!;
      const length = lengths[position[batchAxis]!]!;
      const from = time < length ? index + (length - 1 - 2 * time) * strides[timeAxis]! : index;
      target[index] = source[from]!;
    });
    return { type: x!.type, dims: x!.dims, data };
  };
});

/** Writes updates into a cache at a place along an axis (from opset 24 on). */
const tensorScatter = tensorOperator(24, 2, (node) => (cache, updates, placesInput) => {
  const axis = axisOf(node.int('axis', -2), cache!.dims.length);
  const circular = node.string('mode', 'linear') === 'circular';
  const batches = cache!.dims[0] ?? 1;
  const places = placesInput ? integersOf(placesInput) : new Array<number>(batches).fill(0);
  const data = copyOf(cache!, node);
  const strides = stridesOf(cache!.dims);
  eachPosition(updates!.dims, (position, index) => {
    let at = 0;
    for (let dim = 0; dim < position.length; dim += 1) {
      const size = cache!.dims[dim]!;
      const place = dim === axis ? position[dim]! + places[position[0]!]! : position[dim]!;
      at += placeOf(dim === axis && circular ? place % size : place, size) * strides[dim]!;
    }
    elementsOf(data)[at] = elementsOf(updates!.data)[index]!;
  });
  return { type: cache!.type, dims: cache!.dims, data };
});

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const gathering: Operators = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  Scatter: scatterElements,
  ScatterElements: { ...scatterElements, since: 11 },
  ScatterND: scatterNd,
  TensorScatter: tensorScatter,
  Compress: compress,
  NonZero: nonZero,
  OneHot: oneHot,
  TopK: topK,
  Unique: unique,
  ReverseSequence: reverseSequence,
};

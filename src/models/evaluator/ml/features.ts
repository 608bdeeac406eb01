import { invalid } from '../../onnx/index.ts';
import { elementCount, isBig, type Tensor } from '../../tensor.ts';
import {
  elementsOf,
  floatsOf,
  integersOf,
  type NodeFacts,
  type Operators,
  tensorOperator,
} from '../operator.ts';
import { misfit, show } from '../shapes.ts';

/** One value for each feature, or one for all. */
function perFeature(values: ArrayLike<number>, width: number, name: string): (feature: number) => number {
  if (values.length === 1) return () => values[0]!;
  if (values.length !== width) throw misfit(`${values.length} values of ${name} for ${width} features`);
  return (feature) => values[feature]!;
}

const scaler = tensorOperator(1, 1, (node) => {
  const offsets = node.floats('offset') ?? Float32Array.of(0);
  const scales = node.floats('scale') ?? Float32Array.of(1);
  return (x) => {
    const width = x!.dims.at(-1) ?? 1;
    const [offset, scale] = [perFeature(offsets, width, 'offset'), perFeature(scales, width, 'scale')];
    const out = node.budget.array('float32', x!.dims) as Float32Array;
    const data = floatsOf(x!);
    for (let index = 0; index < out.length; index += 1) {
      const feature = index % width;
      out[index] = Math.fround(data[index]! - offset(feature)) * scale(feature);
    }
    return { type: 'float32', dims: x!.dims, data: out };
  };
});

export type Norm = 'MAX' | 'L1' | 'L2';

/** Divides a row by its norm; a row of zeros stays as it is. */
export function normalizeRow(
  norm: Norm,
  x: ArrayLike<number>,
  at: number,
  out: Float32Array | Float64Array,
  to: number,
  width: number,
): void {
  let size = norm === 'MAX' ? Number.NEGATIVE_INFINITY : 0;
  for (let index = at; index < at + width; index += 1) {
    const value = x[index]!;
    if (norm === 'MAX') size = Math.max(size, value);
    else size += norm === 'L1' ? Math.abs(value) : value * value;
  }
  if (norm === 'L2') size = Math.sqrt(size);
  for (let index = 0; index < width; index += 1)
    out[to + index] = size === 0 ? x[at + index]! : x[at + index]! / size;
}

export function normOf(node: NodeFacts): Norm {
  const norm = node.string('norm', 'MAX');
  if (norm !== 'MAX' && norm !== 'L1' && norm !== 'L2') throw misfit(`a norm ${JSON.stringify(norm)}`);
  return norm;
}

const normalizer = tensorOperator(1, 1, (node) => {
  const norm = normOf(node);
  return (x) => {
    const width = x!.dims.at(-1) ?? 1;
    const out = node.budget.array('float32', x!.dims) as Float32Array;
    const data = floatsOf(x!);
    for (let at = 0; at < out.length; at += width) normalizeRow(norm, data, at, out, at, width);
    return { type: 'float32', dims: x!.dims, data: out };
  };
});

/** What stands for a missing value, and what replaces it. */
export function imputation(node: NodeFacts): {
  readonly values: ArrayLike<number>;
  readonly isMissing: (x: number) => boolean;
} {
  const floats = node.floats('imputed_value_floats');
  const values = floats?.length ? floats : (node.ints('imputed_value_int64s') ?? []);
  const missing = floats?.length
    ? node.float('replaced_value_float', 0)
    : node.int('replaced_value_int64', 0);
  if (values.length === 0) throw invalid('Imputer has no values to put in');
  return { values, isMissing: Number.isNaN(missing) ? Number.isNaN : (x) => x === missing };
}

const imputer = tensorOperator(1, 1, (node) => {
  const { values, isMissing } = imputation(node);
  return (x) => {
    const { type, dims, data } = x!;
    const width = dims.at(-1) ?? 1;
    const value = perFeature(values, width, 'imputed values');
    const out = node.budget.array(type, dims);
    const big = isBig(type);
    for (let index = 0; index < out.length; index += 1) {
      const each = data[index] as number | bigint;
      const result = isMissing(Number(each)) ? value(index % width) : each;
      out[index] = big ? BigInt(result) : (result as number);
    }
    return { type, dims, data: out };
  };
});

const binarizer = tensorOperator(1, 1, (node) => {
  const threshold = node.float('threshold', 0);
  return (x) => {
    const { type, dims, data } = x!;
    const out = node.budget.array(type, dims);
    const one = isBig(type) ? 1n : 1;
    for (let index = 0; index < out.length; index += 1) if (Number(data[index]) > threshold) out[index] = one;
    return { type, dims, data: out };
  };
});

const featureVectorizer = tensorOperator(1, 1, (node) => {
  const widths = node.ints('inputdimensions');
  return (...inputs) => {
    const sizes = inputs.map(({ dims }, index) => widths?.[index] ?? elementCount(dims.slice(1)));
    const rows = inputs[0]!.dims[0] ?? 1;
    const width = sizes.reduce((sum, size) => sum + size, 0);
    const out = node.budget.array('float32', [rows, width]) as Float32Array;
    let start = 0;
    for (const [index, input] of inputs.entries()) {
      const data = floatsOf(input);
      const own = data.length / rows;
      if (!Number.isInteger(own) || sizes[index]! < 0)
        throw misfit(`${show(input.dims)} beside ${rows} rows`);
      for (let row = 0; row < rows; row += 1) {
        const size = Math.min(own, sizes[index]!);
        for (let column = 0; column < size; column += 1)
          out[row * width + start + column] = data[row * own + column]!;
      }
      start += sizes[index]!;
    }
    return { type: 'float32', dims: [rows, width], data: out };
  };
});

/** Columns by number, along the last axis. */
const arrayFeatureExtractor = tensorOperator(1, 2, (node) => (x, columnsInput) => {
  const { type, dims, data } = x!;
  const columns = integersOf(columnsInput!);
  const width = dims.at(-1) ?? 1;
  if (columns.some((column) => column < 0 || column >= width))
    throw misfit(`columns ${show(columns)} of ${width}`);
  const rows = data.length / width || 0;
  const shape = dims.length === 1 ? [1, columns.length] : [...dims.slice(0, -1), columns.length];
  const out = node.budget.array(type, shape);
  for (let row = 0; row < rows; row += 1) {
    for (const [index, column] of columns.entries()) {
      elementsOf(out)[row * columns.length + index] = elementsOf(data)[row * width + column]!;
    }
  }
  return { type, dims: shape, data: out };
});

const oneHotEncoder = tensorOperator(1, 1, (node) => {
  const texts = node.strings('cats_strings');
  const categories: readonly (string | number)[] = texts?.length ? texts : (node.ints('cats_int64s') ?? []);
  const places = new Map(categories.map((category, index) => [category, index]));
  const zeros = node.int('zeros', 1) === 1;
  return (x) => {
    const dims = [...x!.dims, categories.length];
    const out = node.budget.array('float32', dims) as Float32Array;
    for (let index = 0; index < x!.data.length; index += 1) {
      const value = x!.data[index]!;
      const place = places.get(typeof value === 'string' ? value : Math.trunc(Number(value)));
      if (place !== undefined) out[index * categories.length + place] = 1;
      else if (!zeros) throw misfit(`${JSON.stringify(String(value).slice(0, 40))}, which is no category`);
    }
    return { type: 'float32', dims, data: out };
  };
});

/** Element `index` as text or number: what keys of maps and labels are looked up by. */
export function keyAt({ data }: Tensor, index: number): string | number {
  const value = data[index]!;
  return typeof value === 'string' ? value : Number(value);
}

/** Names and meanings: https://onnx.ai/onnx/operators/ (ai.onnx.ml). */
export const features: Operators = {
  Scaler: scaler,
  Normalizer: normalizer,
  Imputer: imputer,
  Binarizer: binarizer,
  FeatureVectorizer: featureVectorizer,
  ArrayFeatureExtractor: arrayFeatureExtractor,
  OneHotEncoder: oneHotEncoder,
};

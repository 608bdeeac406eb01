import type { Tensor } from '../../tensor.ts';
import { columnLoop } from '../loops.ts';
import { transposed } from '../multiply.ts';
import { floatsOf } from '../operator.ts';
import { isRow, type RowInput, type RowRule, rowValue } from './rule.ts';

const isMatrix = (input: RowInput): input is Tensor =>
  input !== undefined && !isRow(input) && input.type === 'float32' && input.dims.length === 2;

/** One value for each column, from a constant that is broadcast to a row; undefined when it is not. */
export function perColumn(input: RowInput, width: number): Float64Array | undefined {
  if (!input || isRow(input) || input.type !== 'float32') return undefined;
  const rows = input.dims.slice(0, -1).every((size) => size === 1) && input.dims.length <= 2;
  if (!rows || (input.data.length !== 1 && input.data.length !== width)) return undefined;
  const data = floatsOf(input);
  return Float64Array.from({ length: width }, (_, column) => data[data.length === 1 ? 0 : column]!);
}

/**
 * `out = x · weights + bias`, four columns at a time: each sum waits only for its own additions, and each feature is read
 * once for four products. `weights` is [columns, features].
 */
function affine(x: Float64Array, weights: Float64Array, bias: Float64Array, out: Float64Array): void {
  const features = x.length;
  const columns = out.length;
  let column = 0;
  let at = 0;
  for (; column + 3 < columns; column += 4, at += 4 * features) {
    let [first, second, third, fourth] = [
      bias[column]!,
      bias[column + 1]!,
      bias[column + 2]!,
      bias[column + 3]!,
    ];
    for (let feature = 0; feature < features; feature += 1) {
      const value = x[feature]!;
      first += value * weights[at + feature]!;
      second += value * weights[at + features + feature]!;
      third += value * weights[at + 2 * features + feature]!;
      fourth += value * weights[at + 3 * features + feature]!;
    }
    out[column] = Math.fround(first);
    out[column + 1] = Math.fround(second);
    out[column + 2] = Math.fround(third);
    out[column + 3] = Math.fround(fourth);
  }
  for (; column < columns; column += 1, at += features) {
    let sum = bias[column]!;
    for (let feature = 0; feature < features; feature += 1) sum += x[feature]! * weights[at + feature]!;
    out[column] = Math.fround(sum);
  }
}

export const gemmRule: RowRule = (node, [x, weights, biasInput]) => {
  if (!isRow(x) || x.type !== 'float32' || x.rank !== 2 || !isMatrix(weights)) return undefined;
  const turned = node.int('transB', 0) === 1;
  const [features, columns] = (turned ? [weights.dims[1]!, weights.dims[0]!] : weights.dims) as [
    number,
    number,
  ];
  const bias = biasInput ? perColumn(biasInput, columns) : new Float64Array(columns);
  if (features !== x.width || node.int('transA', 0) === 1 || !bias) return undefined;
  const byColumn = turned
    ? Float64Array.from(floatsOf(weights))
    : transposed(floatsOf(weights), features, columns);
  const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)];
  if (alpha !== 1) for (let index = 0; index < byColumn.length; index += 1) byColumn[index]! *= alpha;
  if (beta !== 1) for (let index = 0; index < bias.length; index += 1) bias[index]! *= beta;
  const out = rowValue('float32', columns);
  return { outputs: [out], run: () => affine(x.data, byColumn, bias, out.data) };
};

export const matMulRule: RowRule = (_, [x, weights]) => {
  if (!isRow(x) || x.type !== 'float32' || x.rank !== 2 || !isMatrix(weights)) return undefined;
  const [features, columns] = weights.dims as readonly [number, number];
  if (features !== x.width) return undefined;
  const byColumn = transposed(floatsOf(weights), features, columns);
  const bias = new Float64Array(columns);
  const out = rowValue('float32', columns);
  return { outputs: [out], run: () => affine(x.data, byColumn, bias, out.data) };
};

/** Combines a row with a constant or another row, column by column. */
export function columnwise(expression: string): RowRule {
  const loop = columnLoop(expression);
  return (node, [left, right]) => {
    if (node.opset < 7) return undefined;
    const row = isRow(left) ? left : right;
    if (!isRow(row) || row.type !== 'float32' || row.rank !== 2) return undefined;
    const columns = (input: RowInput): Float64Array | undefined => {
      if (!isRow(input)) return perColumn(input, row.width);
      return input.type === 'float32' && input.rank === 2 && input.width === row.width
        ? input.data
        : undefined;
    };
    const [x, y] = [columns(left), columns(right)];
    if (!x || !y) return undefined;
    const out = rowValue('float32', row.width);
    return { outputs: [out], run: () => loop(x, y, out.data) };
  };
}

import { attribute } from '../../onnx/index.ts';
import type { Column } from '../dataset.ts';
import type { GraphBuilder } from '../export/graph.ts';

/**
 * Columns as a matrix of numbers without gaps, for learners that add and multiply: a missing number is the column's mean, a
 * category a column of 0 and 1 each, all 0 when it is missing.
 */
export interface Encoding {
  /** Columns of the matrix. */
  readonly width: number;
  /** For each of them, the place of the column it comes from. */
  readonly from: Int32Array;
  readonly means: Float64Array;
  /** Standard deviations; 1 for a column that never varies. */
  readonly deviations: Float64Array;
  /** `[row × width + column]`. */
  encode(columns: readonly Column[], rows: number): Float32Array;
  /** Adds the nodes that do the same; gives the name of the matrix. */
  build(graph: GraphBuilder, columns: string): string;
}

export function learnEncoding(columns: readonly Column[], rows: number): Encoding {
  const fills = columns.map((column) => (column.kind === 'number' ? Math.fround(meanOf(column.values)) : 0));
  const from = Int32Array.from(
    columns.flatMap((column, place) =>
      column.kind === 'number' ? [place] : column.categories.map(() => place),
    ),
  );
  const width = from.length;
  const encode = (given: readonly Column[], count: number): Float32Array => {
    const matrix = new Float32Array(count * width);
    let first = 0;
    given.forEach((column, place) => {
      fillColumn(matrix, column, first, width, fills[place]!);
      first += column.kind === 'number' ? 1 : column.categories.length;
    });
    return matrix;
  };
  return {
    width,
    from,
    ...moments(encode(columns, rows), rows, width),
    encode,
    build: (graph, name) => buildEncoding(graph, name, columns, fills),
  };
}

function meanOf(values: Float32Array): number {
  let [sum, count] = [0, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    sum += value;
    count++;
  }
  return count > 0 ? sum / count : 0;
}

function fillColumn(matrix: Float32Array, column: Column, first: number, width: number, fill: number): void {
  const { values, kind } = column;
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    if (kind === 'number') matrix[row * width + first] = Number.isNaN(value) ? fill : value;
    else if (value >= 0) matrix[row * width + first + value] = 1;
  }
}

function moments(matrix: Float32Array, rows: number, width: number) {
  const means = new Float64Array(width);
  const deviations = new Float64Array(width);
  for (let cell = 0; cell < matrix.length; cell++) means[cell % width]! += matrix[cell]! / rows;
  for (let cell = 0; cell < matrix.length; cell++) {
    deviations[cell % width]! += (matrix[cell]! - means[cell % width]!) ** 2 / rows;
  }
  for (let column = 0; column < width; column++) deviations[column] = Math.sqrt(deviations[column]!) || 1;
  return { means, deviations };
}

function buildEncoding(
  graph: GraphBuilder,
  name: string,
  columns: readonly Column[],
  fills: readonly number[],
): string {
  const impute = (input: string, output: string, values: readonly number[]): string =>
    graph.ml('Imputer', [input], output, [
      attribute.floats('imputed_value_floats', Float32Array.from(values)),
      attribute.float('replaced_value_float', Number.NaN),
    ]);
  if (columns.every(({ kind }) => kind === 'number')) return impute(name, 'filled', fills);
  const parts = columns.map((column, place) => {
    const index = graph.constant(`place ${place}`, [1], BigInt64Array.of(BigInt(place)));
    const own = graph.add('Gather', [name, index], `column ${place}`, [attribute.int('axis', 1)]);
    if (column.kind === 'number') return impute(own, `filled ${place}`, [fills[place]!]);
    const codes = Float32Array.from(column.categories, (_, code) => code);
    const known = graph.constant(`codes ${place}`, [1, codes.length], codes);
    const equal = graph.add('Equal', [own, known], `is ${place}`);
    return graph.add('Cast', [equal], `categories ${place}`, [attribute.int('to', ONNX_FLOAT)]);
  });
  return graph.add('Concat', parts, 'matrix', [attribute.int('axis', 1)]);
}

/** TensorProto.DataType.FLOAT. */
const ONNX_FLOAT = 1;

import type { Tensor, TensorType } from '../../tensor.ts';
import type { NodeFacts } from '../operator.ts';

/**
 * A value of one row: what a tensor [rows] or [rows, width] holds for one of its rows. Numbers lie in float64, rounded to
 * their type; a text is the place in `texts`. The buffer is made once and written by every row.
 */
export interface RowValue {
  readonly kind: 'row';
  readonly type: TensorType;
  /** Dims of the tensor of many rows: 1 or 2. */
  readonly rank: 1 | 2;
  readonly width: number;
  readonly data: Float64Array;
  readonly texts?: readonly string[];
  /** Only of a ZipMap: the labels of its maps. */
  readonly labels?: readonly (string | number)[];
}

/** What a node reads: a value of the row, a constant, or nothing. */
export type RowInput = RowValue | Tensor | undefined;

/** What computes one row of a node: reads and writes the buffers that it was made with. */
export interface RowStep {
  readonly outputs: readonly RowValue[];
  readonly run: () => void;
}

/** Undefined when the node cannot be computed row by row: then the model has no program for rows. */
export type RowRule = (node: NodeFacts, inputs: readonly RowInput[]) => RowStep | undefined;

export function isRow(input: RowInput): input is RowValue {
  return input !== undefined && 'kind' in input;
}

export function rowValue(
  type: TensorType,
  width: number,
  rank: 1 | 2 = 2,
  texts?: readonly string[],
): RowValue {
  return { kind: 'row', type, rank, width, data: new Float64Array(width), ...(texts ? { texts } : {}) };
}

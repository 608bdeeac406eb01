import { type Cells, countRows, createCounts, layOutCells } from './cells.ts';
import { type ColumnDrift, type DriftEffects, judgeDrift } from './drift.ts';
import { buildReference, type ColumnReference, type Reference, type ReferenceColumn } from './reference.ts';

/** Tasks of the platform's workers: counting, judging and making references would hold the main thread too long. */

export interface CountInput {
  readonly cells: Cells;
  readonly values: Float32Array;
  readonly rows: number;
}

export function count({ cells, values, rows }: CountInput): Float64Array {
  const counts = createCounts(cells);
  countRows(cells, values, rows, counts);
  return counts;
}

export interface JudgeInput {
  readonly columns: readonly ColumnReference[];
  readonly counts: Float64Array;
  readonly alpha: number;
  readonly effects: DriftEffects;
}

export function judge({ columns, counts, alpha, effects }: JudgeInput): ColumnDrift[] {
  return judgeDrift(columns, layOutCells(columns), counts, alpha, effects);
}

export interface ReferenceInput {
  readonly inputs: readonly ReferenceColumn[];
  readonly outputs: readonly ReferenceColumn[];
}

export function reference({ inputs, outputs }: ReferenceInput): Reference {
  return buildReference(inputs, outputs);
}

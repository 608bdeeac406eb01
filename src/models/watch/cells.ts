import { type ColumnReference, type NumericReference, toNumber } from './reference.ts';

/**
 * Columns counted over cells. The cells of a numeric column are: missing, below the range, its bins, above the range; those of
 * a categorical one: missing, other, its categories. All counts of all columns are one array, which is all the memory that
 * watching takes, whatever goes through.
 */
export interface Cells {
  readonly columns: number;
  /** Where the cells of each column begin, and where the last ones end. */
  readonly offsets: Int32Array;
  /** `slots` a column: what a value must be above to be in the next cell, filled up with Infinity. Unused where categorical. */
  readonly boundaries: Float32Array;
  /** A power of two above the most boundaries of a column. */
  readonly slots: number;
  /** 1 where categorical. */
  readonly categorical: Uint8Array;
}

/** The first cells of every column. */
export const MISSING = 0;
export const BELOW = 1;
export const OTHER = 1;
const FIRST_BIN = 2;

export function layOutCells(columns: readonly ColumnReference[]): Cells {
  const most = Math.max(
    1,
    ...columns.map((column) => (column.kind === 'numeric' ? column.counts.length + 1 : 0)),
  );
  const slots = 2 ** Math.ceil(Math.log2(most + 1));
  const boundaries = new Float32Array(columns.length * slots).fill(Number.POSITIVE_INFINITY);
  const offsets = new Int32Array(columns.length + 1);
  const categorical = new Uint8Array(columns.length);
  for (const [index, column] of columns.entries()) {
    offsets[index + 1] = offsets[index]! + referenceCounts(column).length;
    if (column.kind === 'numeric') boundaries.set(boundariesOf(column), index * slots);
    else categorical[index] = 1;
  }
  return { columns: columns.length, offsets, boundaries, slots, categorical };
}

function boundariesOf({ low, high, edges }: NumericReference): number[] {
  return [justBelow(Math.fround(low)), ...edges, high];
}

/** The next 32-bit float towards -Infinity. */
function justBelow(value: number): number {
  if (value === 0) return -1.401298464324817e-45;
  const float = new Float32Array([value]);
  const bits = new Int32Array(float.buffer);
  bits[0] = bits[0]! + (value > 0 ? -1 : 1);
  return float[0]!;
}

/** A reference's counts in the order of the cells. Training data is never out of its own range. */
export function referenceCounts(column: ColumnReference): number[] {
  if (column.kind === 'categorical') return [column.missing, column.other, ...column.counts];
  return [column.missing, 0, ...column.counts, 0];
}

export function createCounts(cells: Cells): Float64Array {
  return new Float64Array(cells.offsets[cells.columns]!);
}

/**
 * Adds `rows` rows of encoded values (row after row, `cells.columns` in each) to the counts. A few nanoseconds a value; nothing
 * is allocated.
 */
export function countRows(cells: Cells, values: Float32Array, rows: number, counts: Float64Array): void {
  const { columns, offsets, boundaries, slots, categorical } = cells;
  for (let column = 0; column < columns; column++) {
    const offset = offsets[column]!;
    if (categorical[column] === 1) countCodes(values, column, columns, rows, counts, offset);
    else countNumbers(values, column, columns, rows, counts, offset, boundaries, column * slots, slots >> 1);
  }
}

function countCodes(
  values: Float32Array,
  column: number,
  columns: number,
  rows: number,
  counts: Float64Array,
  offset: number,
): void {
  for (let row = 0, at = column; row < rows; row++, at += columns) {
    const cell = offset + values[at]!;
    counts[cell] = counts[cell]! + 1;
  }
}

function countNumbers(
  values: Float32Array,
  column: number,
  columns: number,
  rows: number,
  counts: Float64Array,
  offset: number,
  boundaries: Float32Array,
  base: number,
  half: number,
): void {
  for (let row = 0, at = column; row < rows; row++, at += columns) {
    const value = values[at]!;
    let cell = offset;
    if (!Number.isNaN(value)) {
      let position = base;
      for (let step = half; step > 0; step >>= 1) {
        if (boundaries[position + step - 1]! < value) position += step;
      }
      cell += 1 + position - base;
    }
    counts[cell] = counts[cell]! + 1;
  }
}

/** What a column of a row may hold. */
export type CellValue = number | bigint | boolean | string | null | undefined;

/** Turns values into what `countRows` takes: numbers as they are, NaN for missing, categories by their cell. */
export type Encoder = (value: CellValue) => number;

export function encoderOf(column: ColumnReference): Encoder {
  if (column.kind === 'numeric') return toNumber;
  const codes = new Map(column.categories.map((category, index) => [category, FIRST_BIN + index]));
  return (value) => {
    if (value === null || value === undefined || value === '' || Number.isNaN(value)) return MISSING;
    return codes.get(typeof value === 'string' ? value : String(value)) ?? OTHER;
  };
}

import type { BinnedMatrix } from './bins.ts';

/** Sum of gradients and sum of hessians of each bin, side by side. */
export const CELL = 2;

/** Where each column's bins begin in a histogram; the cell after a column's last bin is that of its missing values. */
export interface HistogramLayout {
  readonly offsets: Int32Array;
  readonly length: number;
}

export function layoutOf({ columns }: BinnedMatrix): HistogramLayout {
  const offsets = new Int32Array(columns.length);
  let length = 0;
  for (let feature = 0; feature < columns.length; feature++) {
    offsets[feature] = length;
    length += (columns[feature]!.bins + 1) * CELL;
  }
  return { offsets, length };
}

/** For each row and column, `[row × columns + column]`, the place in a histogram that its value counts in. */
export type Cells = Uint16Array | Uint32Array;

export function cellsOf(
  { byColumn, rows, columns }: BinnedMatrix,
  { offsets, length }: HistogramLayout,
): Cells {
  const width = columns.length;
  const cells = length <= 65_536 ? new Uint16Array(rows * width) : new Uint32Array(rows * width);
  for (let feature = 0; feature < width; feature++) {
    const offset = offsets[feature]!;
    const first = feature * rows;
    for (let row = 0, place = feature; row < rows; row++, place += width) {
      cells[place] = offset + byColumn[first + row]! * CELL;
    }
  }
  return cells;
}

/** So many columns' bins stay in a core's second cache while rows pass by. */
const BLOCK_COLUMNS = 64;

/**
 * Adds the rows `order[begin..end)` to the bins of some columns. Going row by row, not column by column, is three times
 * faster: a row's cells lie in one or two cache lines, and additions to different columns do not wait for each other.
 * That a value's place is looked up, not computed, makes it twice as fast again.
 */
export function addRows(
  histogram: Float64Array,
  cells: Cells,
  width: number,
  features: Int32Array,
  order: Int32Array,
  begin: number,
  end: number,
  gradients: Float32Array,
  hessians: Float32Array,
): void {
  if (features.length === width && width <= BLOCK_COLUMNS) {
    addWholeRows(histogram, cells, width, order, begin, end, gradients, hessians);
    return;
  }
  for (let from = 0; from < features.length; from += BLOCK_COLUMNS) {
    const to = Math.min(features.length, from + BLOCK_COLUMNS);
    for (let place = begin; place < end; place++) {
      const row = order[place]!;
      const gradient = gradients[row]!;
      const hessian = hessians[row]!;
      const first = row * width;
      for (let each = from; each < to; each++) {
        const cell = cells[first + features[each]!]!;
        histogram[cell]! += gradient;
        histogram[cell + 1]! += hessian;
      }
    }
  }
}

function addWholeRows(
  histogram: Float64Array,
  cells: Cells,
  width: number,
  order: Int32Array,
  begin: number,
  end: number,
  gradients: Float32Array,
  hessians: Float32Array,
): void {
  for (let place = begin; place < end; place++) {
    const row = order[place]!;
    const gradient = gradients[row]!;
    const hessian = hessians[row]!;
    const last = (row + 1) * width;
    for (let each = row * width; each < last; each++) {
      const cell = cells[each]!;
      histogram[cell]! += gradient;
      histogram[cell + 1]! += hessian;
    }
  }
}

/** `parent - child` in place of the parent: the other child's histogram without reading its rows. */
export function subtract(parent: Float64Array, child: Float64Array): void {
  for (let cell = 0; cell < parent.length; cell++) parent[cell]! -= child[cell]!;
}

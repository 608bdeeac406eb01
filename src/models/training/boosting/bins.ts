import type { Column } from '../dataset.ts';

/**
 * How a column is cut into at most 255 bins. Bin `b` holds the values `cuts[b - 1] < x <= cuts[b]`; a category is its
 * own bin, and columns of more are cut into several before (`CategoryParts`). Code `bins` stands for a missing value, and for such a part's others.
 */
export interface Binning {
  readonly bins: number;
  /** One fewer than bins; empty for categories. */
  readonly cuts: Float32Array;
  readonly categorical: boolean;
}

/** The rows as codes, column by column: `byColumn[column × rows + row]`. */
export interface BinnedMatrix {
  readonly rows: number;
  readonly columns: readonly (Binning & { readonly hasMissing: boolean })[];
  readonly byColumn: Uint8Array;
}

/** Cuts are found on at most this many values, spread evenly over the rows, as LightGBM does. */
const SAMPLE_ROWS = 200_000;

export function learnBinning(column: Column, maxBins: number): Binning {
  if (column.kind === 'category') {
    return {
      bins: Math.min(column.categories.length, maxBins),
      cuts: new Float32Array(0),
      categorical: true,
    };
  }
  const cuts = findCuts(sortedSample(column.values), maxBins);
  return { bins: cuts.length + 1, cuts, categorical: false };
}

export function applyBinnings(
  columns: readonly Column[],
  binnings: readonly Binning[],
  rows: number,
): BinnedMatrix {
  const byColumn = new Uint8Array(rows * columns.length);
  const binned = columns.map((column, place) => {
    const binning = binnings[place]!;
    const ofColumn = byColumn.subarray(place * rows, (place + 1) * rows);
    fillCodes(ofColumn, column, binning);
    return { ...binning, hasMissing: ofColumn.includes(binning.bins) };
  });
  return { rows, columns: binned, byColumn };
}

function fillCodes(codes: Uint8Array, column: Column, { cuts, bins, categorical }: Binning): void {
  const { values } = column;
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    codes[row] = categorical ? (value >= 0 && value < bins ? value : bins) : codeOf(value, cuts, bins);
  }
}

function codeOf(value: number, cuts: Float32Array, bins: number): number {
  if (Number.isNaN(value)) return bins;
  let low = 0;
  let high = cuts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cuts[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sortedSample(values: Float32Array): Float32Array {
  const step = Math.max(1, values.length / SAMPLE_ROWS);
  const sample = new Float32Array(Math.min(values.length, SAMPLE_ROWS));
  let size = 0;
  for (let place = 0; place < sample.length; place++) {
    const value = values[Math.floor(place * step)]!;
    if (!Number.isNaN(value)) sample[size++] = value;
  }
  return sample.subarray(0, size).sort();
}

/** Cuts between values so that bins hold about equally many rows; a value so frequent that it fills a bin gets its own. */
function findCuts(sorted: Float32Array, maxBins: number): Float32Array {
  const { distinct, counts } = countDistinct(sorted);
  const cuts: number[] = [];
  let rowsLeft = sorted.length;
  let filled = 0;
  for (let place = 0; place + 1 < distinct.length; place++) {
    filled += counts[place]!;
    const binsLeft = maxBins - cuts.length;
    if (binsLeft <= 1) break;
    const few = distinct.length - place <= binsLeft;
    const next = counts[place + 1]!;
    const size = rowsLeft / binsLeft;
    if (few || filled >= size || (next >= size && filled >= size / 2)) {
      cuts.push(between(distinct[place]!, distinct[place + 1]!));
      rowsLeft -= filled;
      filled = 0;
    }
  }
  return Float32Array.from(cuts);
}

function countDistinct(sorted: Float32Array): { distinct: number[]; counts: number[] } {
  const distinct: number[] = [];
  const counts: number[] = [];
  for (let place = 0; place < sorted.length; place++) {
    const value = sorted[place]!;
    if (distinct.length > 0 && distinct[distinct.length - 1] === value) counts[counts.length - 1]!++;
    else {
      distinct.push(value);
      counts.push(1);
    }
  }
  return { distinct, counts };
}

/** A float32 `cut` with `low <= cut < high`: what is learnt on bins then holds for the values themselves. */
function between(low: number, high: number): number {
  const middle = Math.fround(low / 2 + high / 2);
  return middle < high && middle >= low ? middle : low;
}

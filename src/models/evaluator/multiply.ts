import type { NumberData } from '../tensor.ts';

/**
 * `out[m, n] = Σ a[m, k] · b[k, n]`, row-major. Sums are float64 and rounded once, when they are stored: no farther from
 * the exact product than any order of float32 sums.
 */
export function multiply(
  a: ArrayLike<number>,
  aAt: number,
  b: ArrayLike<number>,
  bAt: number,
  out: NumberData,
  outAt: number,
  rows: number,
  inner: number,
  columns: number,
): void {
  const sums = new Float64Array(columns);
  for (let row = 0; row < rows; row += 1) {
    sums.fill(0);
    for (let step = 0; step < inner; step += 1) {
      const factor = a[aAt + row * inner + step]!;
      const from = bAt + step * columns;
      for (let column = 0; column < columns; column += 1) sums[column]! += factor * b[from + column]!;
    }
    const to = outAt + row * columns;
    for (let column = 0; column < columns; column += 1) out[to + column] = sums[column]!;
  }
}

/** A copy of a [rows, columns] matrix as [columns, rows]. */
export function transposed(data: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1)
      result[column * rows + row] = data[row * columns + column]!;
  }
  return result;
}

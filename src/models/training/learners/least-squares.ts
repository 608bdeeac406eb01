import { MillraceError } from '../../../kernel/index.ts';
import type { Coefficients } from './logistic.ts';

export const LEAST_SQUARES_DEFAULTS = {
  /** Weight of the squared coefficients against the summed squared error (ridge regression). */
  l2: 0,
};

/** The normal equations grow with the square of the columns. */
const MOST_COLUMNS = 2000;

/** Linear regression on columns of mean 0 and deviation 1, by the normal equations and Cholesky's decomposition. */
export function fitLeastSquares(
  matrix: Float64Array,
  width: number,
  label: Float64Array,
  weights: Float64Array | undefined,
  { l2 }: typeof LEAST_SQUARES_DEFAULTS,
): Coefficients {
  if (width > MOST_COLUMNS) {
    const message = `Linear regression takes at most ${MOST_COLUMNS} columns, and there are ${width}. Name the features to learn from.`;
    throw new MillraceError('INVALID_INPUT', message);
  }
  const size = width + 1;
  const products = new Float64Array(size * size);
  const sums = new Float64Array(size);
  const row = new Float64Array(size).fill(1);
  for (let each = 0; each < label.length; each++) {
    row.set(matrix.subarray(each * width, (each + 1) * width));
    const weight = weights ? weights[each]! : 1;
    for (let a = 0; a < size; a++) {
      const part = weight * row[a]!;
      sums[a]! += part * label[each]!;
      for (let b = 0; b <= a; b++) products[a * size + b]! += part * row[b]!;
    }
  }
  // A hair more on the diagonal: columns that say the same share their weight instead of dividing by zero.
  for (let a = 0; a < width; a++) products[a * size + a]! += l2 + 1e-9 * label.length;
  return solve(products, sums, size);
}

/** Solves `A x = b` for a symmetric positive `A`, of which the lower half is given. Changes both. */
function solve(a: Float64Array, b: Float64Array, size: number): Float64Array {
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let sum = a[row * size + column]!;
      for (let each = 0; each < column; each++) sum -= a[row * size + each]! * a[column * size + each]!;
      a[row * size + column] =
        row === column ? Math.sqrt(Math.max(sum, 1e-12)) : sum / a[column * size + column]!;
    }
  }
  for (let row = 0; row < size; row++) {
    for (let each = 0; each < row; each++) b[row]! -= a[row * size + each]! * b[each]!;
    b[row]! /= a[row * size + row]!;
  }
  for (let row = size - 1; row >= 0; row--) {
    for (let each = row + 1; each < size; each++) b[row]! -= a[each * size + row]! * b[each]!;
    b[row]! /= a[row * size + row]!;
  }
  return b;
}

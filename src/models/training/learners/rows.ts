/** Rows of numbers that linear learners go over; most of a row's numbers may be zero. */
export interface NumberRows {
  readonly count: number;
  readonly width: number;
  /** The row times the weights `weights[from .. from + width)`. */
  dot(row: number, weights: Float64Array, from: number): number;
  /** Adds the row, times a factor, to `sums[from .. from + width)`. */
  addTo(row: number, factor: number, sums: Float64Array, from: number): void;
}

/** `[row × width + column]`. */
export function denseRows(matrix: Float32Array | Float64Array, width: number): NumberRows {
  return {
    count: matrix.length / width,
    width,
    dot(row, weights, from) {
      let sum = 0;
      const first = row * width;
      for (let column = 0; column < width; column++) sum += matrix[first + column]! * weights[from + column]!;
      return sum;
    },
    addTo(row, factor, sums, from) {
      const first = row * width;
      for (let column = 0; column < width; column++) sums[from + column]! += factor * matrix[first + column]!;
    },
  };
}

/** Row `i` has `values[j]` in `columns[j]`, for `j` from `first[i]` to `first[i + 1]`. */
export interface SparseMatrix {
  readonly first: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

export function sparseRows({ first, columns, values }: SparseMatrix, width: number): NumberRows {
  return {
    count: first.length - 1,
    width,
    dot(row, weights, from) {
      let sum = 0;
      for (let each = first[row]!; each < first[row + 1]!; each++) {
        sum += values[each]! * weights[from + columns[each]!]!;
      }
      return sum;
    },
    addTo(row, factor, sums, from) {
      for (let each = first[row]!; each < first[row + 1]!; each++) {
        sums[from + columns[each]!]! += factor * values[each]!;
      }
    },
  };
}

import type { Random } from '../../kernel/index.ts';

/** A figure and how uncertain it is. */
export interface Estimate {
  readonly value: number;
  readonly standardError: number;
}

export const RESAMPLES = 300;

/**
 * The bootstrap's standard error of statistics of the same rows (Efron and Tibshirani, 1993): the rows are drawn again with
 * replacement, and every statistic is computed on the same draws, so that differences between versions are of pairs. A resample
 * for which a statistic has no meaning is left out for it. `strata` (of each row; such as its label) keep their sizes, so that a
 * rare class is in every resample.
 */
export function bootstrap(
  size: number,
  statistics: readonly ((weights: Float64Array | undefined) => number)[],
  random: Random,
  strata?: ArrayLike<number>,
): Estimate[] {
  const rowsOf = groupRows(size, strata);
  const drawn = statistics.map(() => [] as number[]);
  const weights = new Float64Array(size);
  for (let round = 0; round < RESAMPLES; round++) {
    weights.fill(0);
    for (const rows of rowsOf) {
      for (let draw = 0; draw < rows.length; draw++) {
        const row = rows[random.integer(rows.length)]!;
        weights[row] = weights[row]! + 1;
      }
    }
    for (const [index, statistic] of statistics.entries()) {
      const value = statistic(weights);
      if (Number.isFinite(value)) drawn[index]!.push(value);
    }
  }
  return statistics.map((statistic, index) => ({
    value: statistic(undefined),
    standardError: deviation(drawn[index]!),
  }));
}

function groupRows(size: number, strata: ArrayLike<number> | undefined): readonly Uint32Array[] {
  const groups = new Map<number, number[]>();
  for (let row = 0; row < size; row++) {
    const stratum = strata?.[row] ?? 0;
    const rows = groups.get(stratum);
    if (rows) rows.push(row);
    else groups.set(stratum, [row]);
  }
  return [...groups.values()].map((rows) => Uint32Array.from(rows));
}

function deviation(values: readonly number[]): number {
  if (values.length < 2) return Number.NaN;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

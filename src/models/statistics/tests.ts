import { chiSquareTail, hypergeometricTail } from './special.ts';

/** A figure of how far apart two samples are, and how likely it would be at least that if nothing had changed. */
export interface TestResult {
  readonly statistic: number;
  readonly p: number;
}

/**
 * Whether two counts over the same cells come from one distribution: the likelihood-ratio (G) test of a 2 × k table. G is
 * 2(n+m) times the Jensen-Shannon divergence in nats, weighted by the sizes of the samples (Grosse and others, "Analysis of
 * symbolic sequences using the Jensen-Shannon divergence", 2002), and about chi-square with k-1 degrees of freedom. Divided by
 * Williams' factor (1976), without which its tail is too heavy where cells hold few. Cells that expect fewer than
 * `leastExpected` of the smaller sample are pooled with their neighbour.
 */
export function homogeneityTest(
  first: ArrayLike<number>,
  second: ArrayLike<number>,
  leastExpected = 5,
): TestResult {
  const [n, m] = [total(first), total(second)];
  if (n === 0 || m === 0) return { statistic: 0, p: 1 };
  const cells = pooled(first, second, (leastExpected * (n + m)) / Math.min(n, m));
  const degrees = cells.length - 1;
  if (degrees < 1) return { statistic: 0, p: 1 };
  let g = 0;
  let inverses = 0;
  for (const [a, b] of cells) {
    const both = a + b;
    inverses += (n + m) / both;
    if (a > 0) g += a * Math.log((a / both) * ((n + m) / n));
    if (b > 0) g += b * Math.log((b / both) * ((n + m) / m));
  }
  const sides = (n + m) / n + (n + m) / m - 1;
  const williams = 1 + (sides * (inverses - 1)) / (6 * (n + m) * degrees);
  const statistic = Math.max(0, (2 * g) / williams);
  return { statistic, p: chiSquareTail(statistic, degrees) };
}

function total(counts: ArrayLike<number>): number {
  let sum = 0;
  for (let cell = 0; cell < counts.length; cell++) sum += counts[cell]!;
  return sum;
}

/** Neighbouring cells joined until each holds `least` of both samples together; the last takes what is left over. */
function pooled(first: ArrayLike<number>, second: ArrayLike<number>, least: number): [number, number][] {
  const cells: [number, number][] = [];
  let open: [number, number] = [0, 0];
  for (let cell = 0; cell < first.length; cell++) {
    open = [open[0] + first[cell]!, open[1] + second[cell]!];
    if (open[0] + open[1] < least) continue;
    cells.push(open);
    open = [0, 0];
  }
  const last = cells.at(-1);
  if (last) {
    last[0] += open[0];
    last[1] += open[1];
  }
  return cells;
}

/**
 * The two-sample Kolmogorov-Smirnov test on counts over ordered cells: the largest difference of the cumulated shares, with the
 * asymptotic distribution and Stephens' (1970) adjustment of it for finite samples. That distribution is the one of continuous
 * data; on cells the statistic can only be smaller, so p errs towards 1 and the rate of false alarms keeps below what is set.
 */
export function kolmogorovSmirnovTest(first: ArrayLike<number>, second: ArrayLike<number>): TestResult {
  const [n, m] = [total(first), total(second)];
  if (n === 0 || m === 0) return { statistic: 0, p: 1 };
  let [below, belowOther, statistic] = [0, 0, 0];
  for (let cell = 0; cell < first.length - 1; cell++) {
    below += first[cell]!;
    belowOther += second[cell]!;
    statistic = Math.max(statistic, Math.abs(below / n - belowOther / m));
  }
  const size = Math.sqrt((n * m) / (n + m));
  return { statistic, p: kolmogorovTail((size + 0.12 + 0.11 / size) * statistic) };
}

/** P(K ≥ x) = 2 Σ (-1)^(j-1) exp(-2 j² x²). */
function kolmogorovTail(x: number): number {
  if (x < 0.2) return 1;
  let sum = 0;
  for (let j = 1; j <= 100; j++) {
    const term = Math.exp(-2 * j * j * x * x);
    sum += j % 2 === 1 ? term : -term;
    if (term < 1e-300 || term < Math.abs(sum) * 1e-16) break;
  }
  return Math.min(1, Math.max(0, 2 * sum));
}

/** Fisher's exact test of whether two shares differ, both sides (the smaller side doubled). `statistic` is the second share less the first. */
export function shareTest(hits: number, size: number, otherHits: number, otherSize: number): TestResult {
  if (size === 0 || otherSize === 0) return { statistic: 0, p: 1 };
  const [marked, all] = [hits + otherHits, size + otherSize];
  const more = hypergeometricTail(otherHits, otherSize, marked, all);
  const fewer = hypergeometricTail(hits, size, marked, all);
  return { statistic: otherHits / otherSize - hits / size, p: Math.min(1, 2 * Math.min(more, fewer)) };
}

/** One side of Fisher's exact test: small when the second share is larger than the first. */
export function largerShareTest(
  hits: number,
  size: number,
  otherHits: number,
  otherSize: number,
): TestResult {
  if (size === 0 || otherSize === 0) return { statistic: 0, p: 1 };
  const p = hypergeometricTail(otherHits, otherSize, hits + otherHits, size + otherSize);
  return { statistic: otherHits / otherSize - hits / size, p };
}

/**
 * How likely it is that `beyond` or more of `size` new values lie above the highest (or below the lowest) of `referenceSize` old
 * ones, if all come from one distribution: then any order of the values is as likely as any other, so the probability that the
 * top `beyond` of all are new is a product of shares, exactly. Ties only make it smaller.
 */
export function beyondRangeTest(beyond: number, size: number, referenceSize: number): TestResult {
  if (size === 0 || referenceSize === 0) return { statistic: 0, p: 1 };
  let p = 1;
  for (let taken = 0; taken < beyond && p > 1e-300; taken++) {
    p *= (size - taken) / (referenceSize + size - taken);
  }
  return { statistic: beyond / size, p };
}

/**
 * Holm's step-down correction (1979): adjusted values such that those at most α are false with probability at most α in all,
 * however the tests depend on each other. Inputs of a model do depend on each other, which Hochberg's and Benjamini-Hochberg's
 * procedures do not allow in general. Same order as the input.
 */
export function holm(values: readonly number[]): number[] {
  const order = values.map((_, index) => index).sort((a, b) => values[a]! - values[b]!);
  const adjusted = new Array<number>(values.length);
  let largest = 0;
  for (const [rank, index] of order.entries()) {
    largest = Math.max(largest, Math.min(1, values[index]! * (values.length - rank)));
    adjusted[index] = largest;
  }
  return adjusted;
}

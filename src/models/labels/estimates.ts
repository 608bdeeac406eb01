import { type ModelMetric, VALUE_METRICS } from '../../kernel/index.ts';
import type { Estimate } from '../releases/bootstrap.ts';
import { BINS, type LabelCounts, labelsIn } from './label-counts.ts';

/** Why a metric has no meaning for these labels; undefined where it has. */
export function misfitOf(metric: ModelMetric, { values }: LabelCounts): string | undefined {
  if (VALUE_METRICS.has(metric) || values === 0) return undefined;
  return `${metric} is of the classes 0 and 1, and ${values} labels are other values: name mae, rmse or r2 instead.`;
}

/**
 * A metric of labelled predictions, from their counts alone, and its standard error; NaN where there are too few for one.
 *
 * Shares (accuracy, precision, recall) have Agresti and Coull's error (1998), F1 that of the share it is a function of. The error of
 * an AUC is DeLong, DeLong and Clarke-Pearson's (1988), that of an average precision the infinitesimal jackknife's (Jaeckel, 1972;
 * Efron, 1982); both are those of the binned scores. Means (brier, logLoss, mae) have that of a mean, and rmse and r2
 * the delta method's.
 */
export function estimateOf(metric: ModelMetric, counts: LabelCounts): Estimate {
  const { truePositives: tp, falsePositives: fp, falseNegatives: fn, trueNegatives: tn } = counts;
  const size = labelsIn(counts);
  switch (metric) {
    case 'accuracy':
      return shareOf(tp + tn, size);
    case 'precision':
      return shareOf(tp, tp + fp);
    case 'recall':
      return shareOf(tp, tp + fn);
    case 'f1':
      return f1Of(shareOf(tp, tp + fp + fn));
    case 'auc':
      return aucOf(counts);
    case 'averagePrecision':
      return averagePrecisionOf(counts);
    case 'brier':
      return meanOf(counts.sumSquares, counts.sumFourths, size);
    case 'logLoss':
      return meanOf(counts.sumLogLoss, counts.sumLogLossSquares, size);
    case 'mae':
      return meanOf(counts.sumAbsolute, counts.sumSquares, size);
    case 'rmse':
      return rmseOf(meanOf(counts.sumSquares, counts.sumFourths, size));
    default:
      return r2Of(counts, size);
  }
}

const NOTHING: Estimate = { value: Number.NaN, standardError: Number.NaN };

/** Two hits and two misses are added for the error, so that a share of 0 or 1 is not taken for certain. */
export function shareOf(hits: number, size: number): Estimate {
  if (size === 0) return NOTHING;
  const adjusted = (hits + 2) / (size + 4);
  return { value: hits / size, standardError: Math.sqrt((adjusted * (1 - adjusted)) / (size + 4)) };
}

/** F1 is 2J / (1 + J) of Jaccard's J, the share of hits among all that was decided or is positive. */
function f1Of({ value, standardError }: Estimate): Estimate {
  return { value: (2 * value) / (1 + value), standardError: (2 / (1 + value) ** 2) * standardError };
}

function meanOf(sum: number, squares: number, size: number): Estimate {
  if (size < 2) return NOTHING;
  const mean = sum / size;
  const variance = Math.max(0, squares - size * mean * mean) / (size - 1);
  return { value: mean, standardError: Math.sqrt(variance / size) };
}

function rmseOf({ value, standardError }: Estimate): Estimate {
  const root = Math.sqrt(value);
  return { value: root, standardError: root === 0 ? 0 : standardError / (2 * root) };
}

/** 1 - A/B of the mean squared error A and the variance B of the truths; each row pulls at both. */
function r2Of({ sumSquares, sumFourths, truths, products }: LabelCounts, size: number): Estimate {
  const [d1, d2, d3, d4] = truths.map((sum) => sum / size) as [number, number, number, number];
  const spread = d2 - d1 * d1;
  if (size < 3 || !(spread > 0)) return NOTHING;
  const error = sumSquares / size;
  const fourth = d4 - 4 * d1 * d3 + 6 * d1 * d1 * d2 - 3 * d1 ** 4;
  const together = (products[1]! - 2 * d1 * products[0]! + d1 * d1 * sumSquares) / size;
  const variance =
    (sumFourths / size - error * error) / spread ** 2 -
    (2 * error * (together - error * spread)) / spread ** 3 +
    (error * error * (fourth - spread * spread)) / spread ** 4;
  return { value: 1 - error / spread, standardError: Math.sqrt(Math.max(0, variance) / size) };
}

/** The probability that a positive row scores above a negative one, by placements of whole bins. */
function aucOf({ positives, negatives }: LabelCounts): Estimate {
  const [all, others] = [sumOf(positives), sumOf(negatives)];
  if (all === 0 || others === 0) return NOTHING;
  const above = placements(positives, negatives, others);
  let area = 0;
  for (let bin = 0; bin < BINS; bin++) area += positives[bin]! * above[bin]!;
  const auc = area / all;
  const below = placements(negatives, positives, all);
  const variance =
    spreadOf(positives, above, all, auc) / all + spreadOf(negatives, below, others, 1 - auc) / others;
  // Where the classes lie apart the rows say nothing of how far: a share of the rarer class does.
  const standardError =
    variance > 0
      ? Math.sqrt(variance)
      : shareOf(auc * Math.min(all, others), Math.min(all, others)).standardError;
  return { value: auc, standardError };
}

/** By bin: the share of `others` in lower bins, and half of that in the same. */
function placements(rows: readonly number[], others: readonly number[], size: number): number[] {
  let lower = 0;
  return rows.map((_, bin) => {
    const placed = (lower + others[bin]! / 2) / size;
    lower += others[bin]!;
    return placed;
  });
}

function spreadOf(rows: readonly number[], placed: readonly number[], size: number, mean: number): number {
  if (size < 2) return 0.25;
  let squares = 0;
  for (let bin = 0; bin < BINS; bin++) squares += rows[bin]! * (placed[bin]! - mean) ** 2;
  return squares / (size - 1);
}

/**
 * Σ (recall step) × precision from the highest bin down. Its variance is Σ n (∂AP/∂n)² over the cells, a cell being the positive
 * or the negative rows of a bin: AP does not change when all counts grow alike, so the derivative is each row's influence.
 */
function averagePrecisionOf({ positives, negatives }: LabelCounts): Estimate {
  const all = sumOf(positives);
  if (all === 0) return NOTHING;
  let [hits, seen, sum] = [0, 0, 0];
  const precision = new Array<number>(BINS).fill(0);
  const ranks = new Array<number>(BINS).fill(0);
  for (let bin = BINS - 1; bin >= 0; bin--) {
    hits += positives[bin]!;
    seen += positives[bin]! + negatives[bin]!;
    ranks[bin] = seen;
    if (seen > 0) precision[bin] = hits / seen;
    sum += positives[bin]! * precision[bin]!;
  }
  const value = sum / all;
  // A row of a bin changes the precision of its own bin and of all below.
  let [byHit, bySeen, variance] = [0, 0, 0];
  for (let bin = 0; bin < BINS; bin++) {
    if (ranks[bin]! > 0) {
      byHit += positives[bin]! / ranks[bin]!;
      bySeen += (positives[bin]! * precision[bin]!) / ranks[bin]!;
    }
    const ofPositive = (precision[bin]! + byHit - bySeen - value) / all;
    const ofNegative = -bySeen / all;
    variance += positives[bin]! * ofPositive ** 2 + negatives[bin]! * ofNegative ** 2;
  }
  const standardError = variance > 0 ? Math.sqrt(variance) : shareOf(value * all, all).standardError;
  return { value, standardError };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

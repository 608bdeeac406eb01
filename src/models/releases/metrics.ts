import { LOWER_IS_BETTER, type ModelMetric } from '../../kernel/index.ts';

export const higherIsBetter = (metric: ModelMetric): boolean => !LOWER_IS_BETTER.has(metric);

/** Predictions of rows whose truth is known. */
export interface Predicted {
  /** 0 or 1, the number of a class, or a value. */
  readonly labels: Float64Array;
  /** What was decided, in the terms of the labels; NaN where the version gave no answer. */
  readonly decisions: Float64Array;
  /** The probability of 1, or the predicted value; NaN where the version gave no answer. */
  readonly scores: Float64Array;
}

/** A metric of the rows, each counted as often as its weight says; NaN where it has no meaning (no positive row, say). */
export type WeightedMetric = (weights: Float64Array | undefined) => number;

/** Prepares a metric (for binary labels all but the last three; for classes `accuracy`; for values the last three), so that resampling costs one pass over the rows. */
export function prepareMetric(metric: ModelMetric, rows: Predicted): WeightedMetric {
  switch (metric) {
    case 'auc':
    case 'averagePrecision':
      return ranked(rows, metric === 'auc' ? areaOf : averagePrecisionOf);
    case 'accuracy':
      return meanOf(rows, (row) => (rows.decisions[row] === rows.labels[row] ? 1 : 0));
    case 'precision':
    case 'recall':
    case 'f1':
      return (weights) => confusionMetric(metric, rows, weights);
    case 'brier':
      return meanOf(rows, (row) => (rows.scores[row]! - rows.labels[row]!) ** 2);
    case 'logLoss':
      return meanOf(rows, (row) => logLoss(rows.scores[row]!, rows.labels[row]!));
    case 'mae':
      return meanOf(rows, (row) => Math.abs(rows.scores[row]! - rows.labels[row]!));
    default:
      return (weights) => squaredError(metric, rows, weights);
  }
}

function logLoss(score: number, label: number): number {
  const probability = Math.min(1 - 1e-15, Math.max(1e-15, label === 1 ? score : 1 - score));
  return Number.isNaN(score) ? Number.NaN : -Math.log(probability);
}

function meanOf({ labels }: Predicted, of: (row: number) => number): WeightedMetric {
  const values = Float64Array.from(labels, (_, row) => of(row));
  return (weights) => {
    let [sum, size] = [0, 0];
    for (let row = 0; row < values.length; row++) {
      const weight = weights ? weights[row]! : 1;
      sum += weight * values[row]!;
      size += weight;
    }
    return sum / size;
  };
}

function confusionMetric(
  metric: 'precision' | 'recall' | 'f1',
  { labels, decisions }: Predicted,
  weights: Float64Array | undefined,
): number {
  let [hits, decided, positive] = [0, 0, 0];
  for (let row = 0; row < labels.length; row++) {
    const weight = weights ? weights[row]! : 1;
    if (labels[row] === 1) positive += weight;
    if (decisions[row] !== 1) continue;
    decided += weight;
    if (labels[row] === 1) hits += weight;
  }
  if (metric === 'precision') return hits / decided;
  return metric === 'recall' ? hits / positive : (2 * hits) / (decided + positive);
}

function squaredError(
  metric: ModelMetric,
  { labels, scores }: Predicted,
  weights: Float64Array | undefined,
): number {
  let [error, size, sum, squares] = [0, 0, 0, 0];
  // The spread is that of the labels less any of them: of large labels, squares of their own would lose its digits.
  const origin = labels[0] ?? 0;
  for (let row = 0; row < labels.length; row++) {
    const weight = weights ? weights[row]! : 1;
    const label = labels[row]!;
    error += weight * (scores[row]! - label) ** 2;
    size += weight;
    sum += weight * (label - origin);
    squares += weight * (label - origin) ** 2;
  }
  return metric === 'rmse' ? Math.sqrt(error / size) : 1 - error / (squares - (sum * sum) / size);
}

/** Weights of negatives and positives that share a score, from the highest score down. */
interface Ranks {
  next(): boolean;
  negatives: number;
  positives: number;
}

function ranked({ labels, scores }: Predicted, of: (ranks: Ranks) => number): WeightedMetric {
  const order = Uint32Array.from(scores, (_, row) => row).sort((a, b) => scores[b]! - scores[a]! || a - b);
  const unanswered = scores.some(Number.isNaN);
  return (weights) => {
    if (unanswered) return Number.NaN;
    let at = 0;
    return of({
      negatives: 0,
      positives: 0,
      next() {
        if (at >= order.length) return false;
        this.negatives = 0;
        this.positives = 0;
        const score = scores[order[at]!];
        for (; at < order.length && scores[order[at]!] === score; at++) {
          const row = order[at]!;
          const weight = weights ? weights[row]! : 1;
          if (labels[row] === 1) this.positives += weight;
          else this.negatives += weight;
        }
        return true;
      },
    });
  };
}

/** The probability that a positive row scores above a negative one; equal scores count half. */
function areaOf(ranks: Ranks): number {
  let [area, positives, negatives] = [0, 0, 0];
  while (ranks.next()) {
    area += ranks.negatives * (positives + ranks.positives / 2);
    positives += ranks.positives;
    negatives += ranks.negatives;
  }
  return area / (positives * negatives);
}

/** Σ (recall step) × precision, from the highest score down, as scikit-learn defines it. */
function averagePrecisionOf(ranks: Ranks): number {
  let [sum, positives, seen] = [0, 0, 0];
  while (ranks.next()) {
    positives += ranks.positives;
    seen += ranks.positives + ranks.negatives;
    if (seen > 0) sum += (ranks.positives * positives) / seen;
  }
  return sum / positives;
}

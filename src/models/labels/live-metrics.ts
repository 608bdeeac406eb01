import { normalUpperQuantile } from '../statistics/special.ts';

/** Predictions whose truth is known, in bins of their scores: a few hundred numbers, whatever goes through. Plain JSON. */
export interface LabelCounts {
  readonly positives: number[];
  readonly negatives: number[];
  /** By decision and truth. */
  truePositives: number;
  falsePositives: number;
  falseNegatives: number;
  trueNegatives: number;
  sumScores: number;
  /** Of squared and absolute differences between score and truth. */
  sumSquares: number;
  sumAbsolute: number;
  /** Truths that are neither 0 nor 1: the model predicts a value. */
  values: number;
}

const BINS = 100;

export function emptyCounts(): LabelCounts {
  return {
    positives: new Array<number>(BINS).fill(0),
    negatives: new Array<number>(BINS).fill(0),
    truePositives: 0,
    falsePositives: 0,
    falseNegatives: 0,
    trueNegatives: 0,
    sumScores: 0,
    sumSquares: 0,
    sumAbsolute: 0,
    values: 0,
  };
}

/** Scores within 0 and 1 lie in even bins; others are squeezed into them, in their order. */
function binOf(score: number): number {
  const within = score >= 0 && score <= 1 ? score : 0.5 + score / (2 * (1 + Math.abs(score)));
  return Math.min(BINS - 1, Math.max(0, Math.floor(within * BINS)));
}

/** Counts a prediction and its truth; answers whether the decision was right. */
export function addLabel(counts: LabelCounts, score: number, truth: number, threshold: number): boolean {
  counts.sumScores += score;
  counts.sumSquares += (score - truth) ** 2;
  counts.sumAbsolute += Math.abs(score - truth);
  if (truth !== 0 && truth !== 1) {
    counts.values++;
    return false;
  }
  const bin = binOf(score);
  const decided = score >= threshold;
  if (truth === 1) counts.positives[bin] = counts.positives[bin]! + 1;
  else counts.negatives[bin] = counts.negatives[bin]! + 1;
  if (decided) counts[truth === 1 ? 'truePositives' : 'falsePositives']++;
  else counts[truth === 1 ? 'falseNegatives' : 'trueNegatives']++;
  return decided === (truth === 1);
}

/** How many truths were counted. */
export function labelsIn(counts: LabelCounts): number {
  const { truePositives, falsePositives, falseNegatives, trueNegatives, values } = counts;
  return truePositives + falsePositives + falseNegatives + trueNegatives + values;
}

/** What the counts say; null where a figure has no meaning yet. */
export interface LiveMetrics {
  readonly labels: number;
  readonly accuracy: number | null;
  readonly precision: number | null;
  readonly recall: number | null;
  /** From bins of a hundredth: two scores in one bin count as equal. */
  readonly auc: number | null;
  /** Expected calibration error: how far scores are from the share of positives, bin by bin (Naeini and others, 2015). */
  readonly calibrationError: number | null;
  readonly brier: number | null;
  readonly meanAbsoluteError: number | null;
  /** Share of rows decided 1, of positive ones, of negative ones. */
  readonly selection: number | null;
  readonly truePositives: number | null;
  readonly falsePositives: number | null;
}

export function metricsOf(counts: LabelCounts): LiveMetrics {
  const { truePositives: tp, falsePositives: fp, falseNegatives: fn, trueNegatives: tn, values } = counts;
  const [positives, negatives] = [tp + fn, fp + tn];
  const classes = positives + negatives;
  const labels = classes + values;
  return {
    labels,
    accuracy: share(tp + tn, classes),
    precision: share(tp, tp + fp),
    recall: share(tp, positives),
    auc: aucOf(counts),
    calibrationError: calibrationError(counts, classes),
    brier: values > 0 ? null : share(counts.sumSquares, classes),
    meanAbsoluteError: values > 0 ? share(counts.sumAbsolute, labels) : null,
    selection: share(tp + fp, classes),
    truePositives: share(tp, positives),
    falsePositives: share(fp, negatives),
  };
}

const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

function aucOf({ positives, negatives }: LabelCounts): number | null {
  let [area, below] = [0, 0];
  let total = 0;
  for (let bin = 0; bin < BINS; bin++) {
    area += positives[bin]! * (below + negatives[bin]! / 2);
    below += negatives[bin]!;
    total += positives[bin]!;
  }
  return total === 0 || below === 0 ? null : area / (total * below);
}

function calibrationError({ positives, negatives }: LabelCounts, classes: number): number | null {
  if (classes === 0) return null;
  let error = 0;
  for (let bin = 0; bin < BINS; bin++) {
    const size = positives[bin]! + negatives[bin]!;
    if (size > 0) error += Math.abs(positives[bin]! - size * ((bin + 0.5) / BINS));
  }
  return error / classes;
}

/** A metric that is surely lower than it was. */
export interface Decay {
  readonly metric: 'accuracy' | 'auc';
  readonly value: number;
  readonly before: number;
}

/**
 * Whether accuracy or AUC are lower than before by more than the margin, with a probability of at most `falseAlarms` that this is
 * chance. The error of an AUC is Hanley and McNeil's (1982), of an accuracy Agresti and Coull's (1998).
 */
export function findDecay(
  counts: LabelCounts,
  before: { readonly accuracy?: number | null; readonly auc?: number | null },
  margin: number,
  falseAlarms: number,
): Decay | undefined {
  const now = metricsOf(counts);
  const z = normalUpperQuantile(falseAlarms / 2);
  const { truePositives: tp, falseNegatives: fn, falsePositives: fp, trueNegatives: tn } = counts;
  for (const metric of ['auc', 'accuracy'] as const) {
    const [value, was] = [now[metric], before[metric]];
    if (value === null || was == null) continue;
    const error = metric === 'auc' ? aucError(value, tp + fn, fp + tn) : shareError(value, now.labels);
    if (value + z * error < was - margin) return { metric, value, before: was };
  }
  return undefined;
}

function aucError(auc: number, positives: number, negatives: number): number {
  const [q1, q2] = [auc / (2 - auc), (2 * auc * auc) / (1 + auc)];
  const spread = auc * (1 - auc) + (positives - 1) * (q1 - auc * auc) + (negatives - 1) * (q2 - auc * auc);
  return Math.sqrt(Math.max(0, spread) / (positives * negatives));
}

function shareError(value: number, size: number): number {
  const adjusted = (value * size + 2) / (size + 4);
  return Math.sqrt((adjusted * (1 - adjusted)) / (size + 4));
}

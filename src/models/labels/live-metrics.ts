import type { ModelMetric } from '../../kernel/index.ts';
import { normalUpperQuantile } from '../statistics/special.ts';
import { estimateOf } from './estimates.ts';
import { BINS, decisionsIn, type LabelCounts, labelsIn } from './label-counts.ts';

/** What the counts say; null where a figure has no meaning, or none yet. */
export interface LiveMetrics {
  readonly labels: number;
  readonly accuracy: number | null;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly f1: number | null;
  /** From bins of a hundredth: two scores in one bin count as equal. */
  readonly auc: number | null;
  readonly averagePrecision: number | null;
  /** Expected calibration error: how far scores are from the share of positives, bin by bin (Naeini and others, 2015). */
  readonly calibrationError: number | null;
  readonly brier: number | null;
  readonly logLoss: number | null;
  readonly mae: number | null;
  readonly rmse: number | null;
  readonly r2: number | null;
  /** Share of rows decided 1, of positive ones, of negative ones. */
  readonly selection: number | null;
  readonly truePositives: number | null;
  readonly falsePositives: number | null;
}

export function metricsOf(counts: LabelCounts): LiveMetrics {
  const { truePositives: tp, falsePositives: fp, falseNegatives: fn, trueNegatives: tn, values } = counts;
  const classes = decisionsIn(counts);
  const ofClass = (metric: ModelMetric): number | null =>
    values > 0 ? null : numberOrNull(estimateOf(metric, counts).value);
  const ofValue = (metric: ModelMetric): number | null =>
    values > 0 ? numberOrNull(estimateOf(metric, counts).value) : null;
  return {
    labels: labelsIn(counts),
    accuracy: share(tp + tn, classes),
    precision: share(tp, tp + fp),
    recall: share(tp, tp + fn),
    f1: ofClass('f1'),
    auc: ofClass('auc'),
    averagePrecision: ofClass('averagePrecision'),
    calibrationError: calibrationError(counts, classes),
    brier: ofClass('brier'),
    logLoss: ofClass('logLoss'),
    mae: ofValue('mae'),
    rmse: ofValue('rmse'),
    r2: ofValue('r2'),
    selection: share(tp + fp, classes),
    truePositives: share(tp, tp + fn),
    falsePositives: share(fp, fp + tn),
  };
}

const numberOrNull = (value: number): number | null => (Number.isFinite(value) ? value : null);
const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

function calibrationError({ positives, negatives }: LabelCounts, classes: number): number | null {
  if (classes === 0) return null;
  let error = 0;
  for (let bin = 0; bin < BINS; bin++) {
    const size = positives[bin]! + negatives[bin]!;
    if (size > 0) error += Math.abs(positives[bin]! - size * ((bin + 0.5) / BINS));
  }
  return error / classes;
}

/** What a decay is judged by: figures without a unit, so that one margin fits all models. */
export const DECAY_METRICS = ['auc', 'accuracy', 'r2'] as const;
type DecayMetric = (typeof DECAY_METRICS)[number];

/** What the metrics were in training. */
export type MetricsBefore = { readonly [metric in DecayMetric]?: number | null };

/** A metric that is surely lower than it was. */
export interface Decay {
  readonly metric: DecayMetric;
  readonly value: number;
  readonly before: number;
}

/**
 * Whether accuracy or AUC, or R² of values, are lower than before by more than the margin, with a probability of at most
 * `falseAlarms` that this is chance.
 */
export function findDecay(
  counts: LabelCounts,
  before: MetricsBefore,
  margin: number,
  falseAlarms: number,
): Decay | undefined {
  const now = metricsOf(counts);
  const z = normalUpperQuantile(falseAlarms / 2);
  for (const metric of DECAY_METRICS) {
    const was = before[metric];
    if (now[metric] === null || was == null) continue;
    const { value, standardError } = estimateOf(metric, counts);
    if (value + z * standardError < was - margin) return { metric, value, before: was };
  }
  return undefined;
}

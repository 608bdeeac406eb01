import {
  type ModelFairness,
  type ModelMetric,
  type ModelMetricGate,
  type Random,
  VALUE_METRICS,
} from '../../kernel/index.ts';
import { addDecision, type Decisions, emptyDecisions, isClass } from '../labels/label-counts.ts';
import { bootstrap, type Estimate } from './bootstrap.ts';
import { judgeGap } from './fairness.ts';
import { judgeLatency, latencyHistogram, p99LimitVerdict } from './latency.ts';
import { higherIsBetter, type Predicted, prepareMetric } from './metrics.ts';
import type { ReleaseSettings } from './settings.ts';
import { type Certainty, figure, type GateResult, judgeAtLeast, type Verdict } from './verdict.ts';

/** What a version answered to the held-back rows. */
export interface Answers {
  /** In the terms of the labels; NaN where there was no answer. */
  readonly decisions: Float64Array;
  /** Probability of 1, or the value; NaN where there was no answer. */
  readonly scores: Float64Array;
  /** Of single rows, one after the other, the two versions in turns. */
  readonly latenciesMs: Float64Array;
}

/** The held-back set, and what both versions made of it. */
export interface HeldBack {
  readonly labels: Float64Array;
  /** Whether labels are classes (0 and 1 among them) or values. */
  readonly kind: 'classes' | 'values';
  /** The group of each row, where fairness is asked for. */
  readonly groups: readonly string[] | null;
  readonly candidate: Answers;
  /** Null for a model's first version. */
  readonly current: Answers | null;
}

/** Stages that may stop a release: the gates before, the shadow, the canary, the watch after. They share the false stops. */
export const STAGES = 4;

/**
 * Judges a version on rows that it was not trained on, before it sees any traffic. The same rows and seed give the same verdicts.
 * Hundreds of resamples: call it in a worker.
 */
export function judgeHeldBack(heldBack: HeldBack, settings: ReleaseSettings, random: Random): GateResult[] {
  const { gates, falseStops, confidence } = settings;
  const judgements = 3 + gates.metrics.length * 2 + (gates.fairness ? 1 : 0);
  const certainty = { falseStop: falseStops / STAGES / judgements, confidence };
  return [
    judgeAnswers(heldBack),
    ...judgeMetrics(heldBack, settings, certainty, random),
    ...(gates.fairness ? [judgeFairness(heldBack, gates.fairness, certainty)] : []),
    ...judgeLatencies(heldBack, settings, certainty),
  ];
}

function judgeAnswers({ candidate, current, labels }: HeldBack): GateResult {
  const missing = unanswered(candidate);
  const before = current ? unanswered(current) : 0;
  const reason = `${missing} of ${labels.length} held-back rows got no finite answer${current ? `, ${before} by the current version` : ''}.`;
  return { gate: 'answers', verdict: missing > before ? 'fail' : 'pass', reason };
}

function unanswered({ decisions, scores }: Answers): number {
  let count = 0;
  for (let row = 0; row < scores.length; row++) {
    if (Number.isNaN(scores[row]!) || Number.isNaN(decisions[row]!)) count++;
  }
  return count;
}

function judgeMetrics(
  heldBack: HeldBack,
  { gates }: ReleaseSettings,
  certainty: Certainty,
  random: Random,
): GateResult[] {
  if (gates.metrics.length === 0) return [];
  const { labels, candidate, current, kind } = heldBack;
  const misfits = gates.metrics.flatMap(({ metric }) => misfitOf(metric, labels));
  if (misfits.length > 0) return misfits;
  const statistics = gates.metrics.flatMap(({ metric }) => {
    const mine = prepareMetric(metric, predicted(labels, candidate));
    const before = current ? prepareMetric(metric, predicted(labels, current)) : () => Number.NaN;
    return [mine, before, (weights: Float64Array | undefined) => mine(weights) - before(weights)];
  });
  const estimates = bootstrap(labels.length, statistics, random, kind === 'classes' ? labels : undefined);
  return gates.metrics.flatMap((gate, index) => {
    const [mine, before, difference] = estimates.slice(index * 3, index * 3 + 3) as [
      Estimate,
      Estimate,
      Estimate,
    ];
    const few = labels.length < gates.leastRows;
    const results: GateResult[] = [];
    if (gate.limit !== null) results.push(judgeLimit(gate, gate.limit, mine, few, labels.length, certainty));
    if (gate.relative && current) {
      results.push(judgeDifference(gate, mine, before, difference, few, labels.length, certainty));
    }
    return results;
  });
}

/** A metric that has no meaning for these labels would be a figure all the same. */
function misfitOf(metric: ModelMetric, labels: Float64Array): GateResult[] {
  // Accuracy is of classes, however many there are.
  if (VALUE_METRICS.has(metric) || metric === 'accuracy') return [];
  const row = labels.findIndex((label) => !isClass(label));
  if (row < 0) return [];
  const reason = `${metric} is of the classes 0 and 1, and the label of row ${row + 1} is ${labels[row]}: name mae, rmse or r2 instead.`;
  return [{ gate: metric, verdict: 'fail', reason }];
}

const predicted = (labels: Float64Array, { decisions, scores }: Answers): Predicted => ({
  labels,
  decisions,
  scores,
});

function judgeLimit(
  { metric, limit, margin }: ModelMetricGate,
  asked: number,
  { value, standardError }: Estimate,
  few: boolean,
  rows: number,
  certainty: Certainty,
): GateResult {
  const sign = higherIsBetter(metric) ? 1 : -1;
  const verdict = few
    ? 'not enough data'
    : judgeAtLeast(sign * value, standardError, sign * asked, margin, certainty);
  const side = sign > 0 ? 'at least' : 'at most';
  const reason = `${metric} is ${figure(value)} ± ${figure(standardError)} on ${rows} rows; asked for is ${side} ${figure(limit!)}.`;
  return { gate: metric, verdict, reason };
}

function judgeDifference(
  { metric, margin }: ModelMetricGate,
  mine: Estimate,
  before: Estimate,
  difference: Estimate,
  few: boolean,
  rows: number,
  certainty: Certainty,
): GateResult {
  const sign = higherIsBetter(metric) ? 1 : -1;
  const verdict: Verdict = few
    ? 'not enough data'
    : judgeAtLeast(sign * difference.value, difference.standardError, 0, margin, certainty);
  const reason = `${metric} is ${figure(mine.value)}, that of the current version ${figure(before.value)}: a difference of ${figure(difference.value)} ± ${figure(difference.standardError)} on the same ${rows} rows; worse by ${figure(margin)} does not matter.`;
  return { gate: `${metric} against the current version`, verdict, reason };
}

/** The widest gap between two groups; rows without an answer are decided 0. */
export function judgeFairness(
  { labels, groups, candidate }: Pick<HeldBack, 'labels' | 'groups' | 'candidate'>,
  fairness: ModelFairness,
  certainty: Certainty,
): GateResult {
  const counted: { [group: string]: Decisions } = Object.create(null);
  for (const [row, group] of (groups ?? []).entries()) {
    counted[group] ??= emptyDecisions();
    addDecision(counted[group], candidate.decisions[row] === 1, labels[row]!);
  }
  const { verdict, reason } = judgeGap(counted, fairness, certainty);
  return { gate: `fairness by ${fairness.by}`, verdict, reason };
}

function judgeLatencies(heldBack: HeldBack, { gates }: ReleaseSettings, certainty: Certainty): GateResult[] {
  const { candidate, current } = heldBack;
  const mine = latencyHistogram(candidate.latenciesMs);
  const results: GateResult[] = [];
  if (gates.latency.p99Ms !== null) results.push(p99LimitVerdict(mine, gates.latency.p99Ms, certainty));
  if (current) {
    results.push(
      judgeLatency(latencyHistogram(current.latenciesMs), mine, gates.latency.slowerBy, certainty),
    );
  }
  return results;
}

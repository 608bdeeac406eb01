import {
  LOWER_IS_BETTER,
  type ModelLiveLabels,
  type ModelMetric,
  type ModelMetricGate,
  VALUE_METRICS,
} from '../../kernel/index.ts';
import { estimateOf, misfitOf } from '../labels/estimates.ts';
import { type Decisions, type LabelCounts, labelsIn } from '../labels/label-counts.ts';
import type { Estimate } from './bootstrap.ts';
import { judgeGap } from './fairness.ts';
import type { ReleaseSettings } from './settings.ts';
import { type Certainty, figure, type GateResult, judgeAtLeast } from './verdict.ts';

/** What the labels of one version say. */
interface Labelled {
  readonly labels: LabelCounts;
  readonly groups: { readonly [group: string]: Decisions };
}

/** Both versions of a release; they answered different rows, so their errors are independent. */
interface Both {
  readonly candidate: Labelled;
  readonly current: Labelled;
}

/** Judges the metrics that are named by the labels that have come; they share the false stops of one gate. */
export function judgeLabels(both: Both, settings: ModelLiveLabels, certainty: Certainty): GateResult[] {
  const metrics = settings.metrics.length > 0 ? settings.metrics : [defaultGate(both, settings.margin)];
  const judgements = metrics.length * 2 + (settings.fairness ? 1 : 0);
  const each = { ...certainty, falseStop: certainty.falseStop / judgements };
  const results = metrics.flatMap((gate) => judgeMetric(both, gate, settings.leastRows, each));
  if (!settings.fairness) return results;
  const { verdict, reason } = judgeGap(both.candidate.groups, settings.fairness, each);
  return [...results, { gate: 'fairness by labels', verdict, reason }];
}

function judgeMetric(
  both: Both,
  gate: ModelMetricGate,
  leastRows: number,
  certainty: Certainty,
): GateResult[] {
  const { metric, limit, margin, relative } = gate;
  const { candidate, current } = both;
  const name = `${metric} by labels`;
  const misfit = misfitOf(metric, candidate.labels);
  if (misfit) return [{ gate: name, verdict: 'fail', reason: misfit }];
  const sign = LOWER_IS_BETTER.has(metric) ? -1 : 1;
  const mine = estimateOf(metric, candidate.labels);
  const rows = labelsIn(candidate.labels);
  const results: GateResult[] = [];
  if (limit !== null) {
    const side = sign > 0 ? 'at least' : 'at most';
    const reason = `${metric} is ${shown(mine)} by ${rows} labels; asked for is ${side} ${figure(limit)}.`;
    const verdict =
      rows < leastRows
        ? 'not enough data'
        : judgeAtLeast(sign * mine.value, mine.standardError, sign * limit, margin, certainty);
    results.push({ gate: name, verdict, reason });
  }
  if (!relative) return results;
  const theirs = estimateOf(metric, current.labels);
  const before = labelsIn(current.labels);
  const { value, standardError } = difference(mine, theirs);
  const reason = `${metric} is ${shown(mine)} by ${rows} labels, that of the current version ${shown(theirs)} by ${before}; worse by ${figure(margin)} does not matter.`;
  const verdict =
    Math.min(rows, before) < leastRows
      ? 'not enough data'
      : judgeAtLeast(sign * value, standardError, 0, margin, certainty);
  return [...results, { gate: `${name} against the current version`, verdict, reason }];
}

/** What an A/B test is for: not only no worse, but better. */
export function judgeBetter(both: Both, { live, canary }: ReleaseSettings, certainty: Certainty): GateResult {
  const gate = 'better';
  const metric = canary.by ?? live.labels?.metrics[0]?.metric ?? defaultMetric(both);
  const misfit = misfitOf(metric, both.candidate.labels);
  if (misfit) return { gate, verdict: 'fail', reason: misfit };
  const [mine, theirs] = [both.candidate, both.current].map(({ labels }) => estimateOf(metric, labels)) as [
    Estimate,
    Estimate,
  ];
  const { value, standardError } = difference(mine, theirs);
  const sign = LOWER_IS_BETTER.has(metric) ? -1 : 1;
  const counted = `${labelsIn(both.candidate.labels)} and ${labelsIn(both.current.labels)} labels`;
  const reason = `${metric} differs by ${figure(value)} ± ${figure(standardError)} (${counted}).`;
  return { gate, verdict: judgeAtLeast(sign * value, standardError, 0, 0, certainty), reason };
}

const difference = (mine: Estimate, theirs: Estimate): Estimate => ({
  value: mine.value - theirs.value,
  standardError: Math.hypot(mine.standardError, theirs.standardError),
});

const shown = ({ value, standardError }: Estimate): string => `${figure(value)} ± ${figure(standardError)}`;

const defaultMetric = ({ candidate, current }: Both): ModelMetric =>
  candidate.labels.values + current.labels.values > 0 ? 'r2' : 'accuracy';

function defaultGate(both: Both, margin: number): ModelMetricGate {
  return { metric: defaultMetric(both), limit: null, margin, relative: true };
}

/** The metrics that a release names and that do not fit what a version predicts, as its own metrics tell. */
export function unfit(
  { gates, live, canary }: ReleaseSettings,
  own: { readonly [metric: string]: number | null },
): { readonly metric: ModelMetric; readonly predicts: 'classes' | 'values' } | undefined {
  const named = [...gates.metrics, ...(live.labels?.metrics ?? [])].map(({ metric }) => metric);
  if (canary.by) named.push(canary.by);
  const values = [...VALUE_METRICS].some((metric) => own[metric] != null);
  const classes = own.accuracy != null || own.logLoss != null;
  if (values === classes) return undefined;
  const metric = named.find((each) => VALUE_METRICS.has(each) !== values);
  return metric && { metric, predicts: values ? 'values' : 'classes' };
}

import {
  addDecision,
  addLabel,
  type Decisions,
  emptyCounts,
  emptyDecisions,
  isClass,
  type LabelCounts,
} from '../labels/label-counts.ts';
import { normalTail, normalUpperQuantile } from '../statistics/special.ts';
import { STAGES } from './held-back.ts';
import { addLatency, judgeLatency, type LatencyHistogram, latencyHistogram } from './latency.ts';
import { judgeBetter, judgeLabels } from './live-labels.ts';
import type { ReleaseSettings } from './settings.ts';
import { type Certainty, type GateResult, percent, surelyLarger, type Verdict } from './verdict.ts';

/** What one version has shown in a stage; small, and plain JSON. */
export interface Evidence {
  /** Rows predicted. */
  rows: number;
  /** Calls that failed, or whose answers were no finite numbers. */
  failedRows: number;
  readonly latency: LatencyHistogram;
  /** Rows whose truth has come. */
  readonly labels: LabelCounts;
  /** The same by group, as far as groups are told apart. */
  readonly groups: { [group: string]: Decisions };
}

/** A prediction whose truth has come. */
export interface Labelled {
  readonly version: string;
  readonly score: number;
  readonly truth: number;
  readonly threshold: number;
  /** Empty where groups are not told apart. */
  readonly group: string;
}

/** What a stage of a release has shown. */
export interface StageEvidence {
  readonly current: Evidence;
  readonly candidate: Evidence;
  /** Rows that both versions answered, and how many alike. */
  compared: number;
  alike: number;
  /** Whether drift is watched: there is a reference profile, and it is asked for. */
  watched: boolean;
  /** Windows judged against the new version's own reference, and what drifted in them. */
  driftWindows: number;
  readonly drifted: string[];
}

export function emptyEvidence(): Evidence {
  return { rows: 0, failedRows: 0, latency: latencyHistogram(), labels: emptyCounts(), groups: {} };
}

export function emptyStage(current: Evidence = emptyEvidence()): StageEvidence {
  return {
    current,
    candidate: emptyEvidence(),
    compared: 0,
    alike: 0,
    watched: false,
    driftWindows: 0,
    drifted: [],
  };
}

/** One call: all its rows took as long as the call. */
export function addCall(evidence: Evidence, rows: number, latencyMs: number, failed: number): void {
  evidence.rows += rows;
  evidence.failedRows += failed;
  addLatency(evidence.latency, latencyMs);
}

/** The truth of one row. */
export function addTruth(evidence: Evidence, { score, truth, threshold, group }: Labelled): void {
  addLabel(evidence.labels, score, truth, threshold);
  if (group === '' || !isClass(truth)) return;
  evidence.groups[group] ??= emptyDecisions();
  addDecision(evidence.groups[group], score >= threshold, truth);
}

/** Live gates of a stage. */
const GATES = 6;

/**
 * The share of the false stops that look number `look` (from 1) of a gate may use: 6/(π²k²) of the stage's, which add up to it
 * however many looks there are.
 */
export function stopShare(falseStops: number, look: number): number {
  return (falseStops / STAGES / GATES) * (6 / (Math.PI * look) ** 2);
}

/** Judges what a stage has shown so far. `look` counts the times this was done on more data. */
export function judgeLive(
  evidence: StageEvidence,
  { stage, settings }: { readonly stage: string; readonly settings: ReleaseSettings },
  leastRows: number,
  look: number,
): GateResult[] {
  const certainty = { falseStop: stopShare(settings.falseStops, look), confidence: settings.confidence };
  const { live, canary } = settings;
  // Labels come late: while only the shadow answers, there may be none for days.
  const labels = stage === 'shadow' ? null : live.labels;
  return [
    judgeErrors(evidence, live.errors, leastRows, certainty),
    judgeLatency(evidence.current.latency, evidence.candidate.latency, live.slowerBy, certainty),
    ...(evidence.watched ? [judgeStageDrift(evidence)] : []),
    ...(labels ? judgeLabels(evidence, labels, certainty) : []),
    ...(stage === 'canary' && canary.kind === 'ab' ? [judgeBetter(evidence, settings, certainty)] : []),
    ...(stage !== 'shadow' || live.agreement === null
      ? []
      : [judgeAgreement(evidence, live.agreement, leastRows, certainty)]),
  ];
}

function judgeErrors(
  { current, candidate }: StageEvidence,
  allowed: number,
  leastRows: number,
  { falseStop }: Certainty,
): GateResult {
  const share = (evidence: Evidence) => evidence.failedRows / Math.max(1, evidence.rows);
  const reason = `${candidate.failedRows} of ${candidate.rows} rows got no answer, ${current.failedRows} of ${current.rows} by the current version.`;
  const worse = surelyLarger(
    { hits: current.failedRows, of: current.rows },
    { hits: candidate.failedRows, of: candidate.rows },
    falseStop,
  );
  // Where the current version has no rows yet, or few, the allowed share itself is what the new one is held to.
  const tooMany = surelyAbove(candidate.failedRows, candidate.rows, share(current) + allowed, falseStop);
  const large = share(candidate) - share(current) > allowed;
  const verdict: Verdict =
    large && (worse || tooMany) ? 'fail' : candidate.rows < leastRows || large ? 'not enough data' : 'pass';
  return { gate: 'errors', verdict, reason };
}

/** Whether a share is surely above another (normal approximation with two hits and two misses added). */
function surelyAbove(hits: number, of: number, share: number, falseStop: number): boolean {
  if (of < 10) return false;
  const rate = (hits + 2) / (of + 4);
  const standardError = Math.sqrt((rate * (1 - rate)) / (of + 4));
  return normalTail((hits / of - share) / standardError) <= falseStop;
}

function judgeStageDrift({ driftWindows, drifted }: StageEvidence): GateResult {
  const gate = 'drift';
  if (drifted.length > 0) {
    const named = drifted.slice(0, 10).join(', ');
    return { gate, verdict: 'fail', reason: `Unlike what the version was trained on: ${named}.` };
  }
  if (driftWindows === 0) return { gate, verdict: 'not enough data', reason: 'No window is full yet.' };
  return { gate, verdict: 'pass', reason: `Nothing drifted in ${driftWindows} windows.` };
}

function judgeAgreement(
  { compared, alike }: StageEvidence,
  least: number,
  leastRows: number,
  { falseStop, confidence }: Certainty,
): GateResult {
  const gate = 'agreement';
  const share = alike / Math.max(1, compared);
  const reason = `${percent(share)} of ${compared} answers are like those of the current version; ${percent(least)} are asked for.`;
  if (compared < leastRows) return { gate, verdict: 'not enough data', reason };
  const standardError = Math.sqrt((share * (1 - share)) / compared);
  if (share + normalUpperQuantile(falseStop) * standardError < least)
    return { gate, verdict: 'fail', reason };
  const sure = share - normalUpperQuantile(1 - confidence) * standardError >= least;
  return { gate, verdict: sure ? 'pass' : 'not enough data', reason };
}

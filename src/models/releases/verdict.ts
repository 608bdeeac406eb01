import { normalUpperQuantile } from '../statistics/special.ts';
import { largerShareTest } from '../statistics/tests.ts';

/** Too few data are a verdict of their own: neither a pass nor a fail. */
export type Verdict = 'pass' | 'fail' | 'not enough data';

/** What a gate says, and why, in a sentence with the figures. */
export interface GateResult {
  readonly gate: string;
  readonly verdict: Verdict;
  readonly reason: string;
}

/** All pass, or one fails, or neither can be said. */
export function overall(results: readonly GateResult[]): Verdict {
  if (results.some(({ verdict }) => verdict === 'fail')) return 'fail';
  return results.every(({ verdict }) => verdict === 'pass') ? 'pass' : 'not enough data';
}

/** How sure a verdict must be. */
export interface Certainty {
  /** Probability of failing a version that is as good as asked. */
  readonly falseStop: number;
  /** Of passing one that is worse by more than the margin: one less this. */
  readonly confidence: number;
}

/**
 * Judges a figure of which more is better against the least that will do. It fails when it is surely below, and passes when it
 * is surely not below by more than the margin (a non-inferiority test); in between there are too few data to tell.
 */
export function judgeAtLeast(
  value: number,
  standardError: number,
  least: number,
  margin: number,
  { falseStop, confidence }: Certainty,
): Verdict {
  if (!Number.isFinite(value) || !Number.isFinite(standardError)) return 'not enough data';
  if (value - normalUpperQuantile(1 - confidence) * standardError >= least - margin) return 'pass';
  return value + normalUpperQuantile(falseStop) * standardError < least ? 'fail' : 'not enough data';
}

/** Something that was slow, failed or differed: how often of how many. */
export interface Share {
  readonly hits: number;
  readonly of: number;
}

/** Whether the second share is surely larger than the first. */
export function surelyLarger(first: Share, second: Share, falseStop: number): boolean {
  return largerShareTest(first.hits, first.of, second.hits, second.of).p <= falseStop;
}

const DIGITS = 4;

/** For people: a few digits, no exponent for common sizes. */
export function figure(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(DIGITS))) : 'unknown';
}

export function percent(share: number): string {
  return `${figure(share * 100)} %`;
}

import { logGamma } from '../statistics/special.ts';
import { type Certainty, figure, type GateResult, surelyLarger } from './verdict.ts';

/** Counts of durations in bins that grow by a twentieth: a few hundred numbers hold any amount of them, to 2.5 %. */
export type LatencyHistogram = number[];

const LOWEST_MS = 0.0001;
const GROWTH = Math.log(1.05);
/** From 0.1 µs to ten minutes. */
const BINS = Math.ceil(Math.log(600_000 / LOWEST_MS) / GROWTH) + 1;

function binOf(ms: number): number {
  if (!(ms > LOWEST_MS)) return 0;
  return Math.min(BINS - 1, Math.ceil(Math.log(ms / LOWEST_MS) / GROWTH));
}

/** The upper end of a bin. */
const endOf = (bin: number): number => LOWEST_MS * Math.exp(bin * GROWTH);

export function latencyHistogram(latenciesMs: Iterable<number> = []): LatencyHistogram {
  const histogram = new Array<number>(BINS).fill(0);
  for (const ms of latenciesMs) addLatency(histogram, ms);
  return histogram;
}

export function addLatency(histogram: LatencyHistogram, ms: number): void {
  const bin = binOf(ms);
  histogram[bin] = histogram[bin]! + 1;
}

export function latencyCount(histogram: LatencyHistogram): number {
  return histogram.reduce((sum, count) => sum + count, 0);
}

/** The bin below whose end lie `fraction` of the durations. */
function quantileBin(histogram: LatencyHistogram, fraction: number): number {
  const target = Math.ceil(fraction * latencyCount(histogram));
  let seen = 0;
  for (let bin = 0; bin < BINS; bin++) if ((seen += histogram[bin]!) >= target) return bin;
  return BINS - 1;
}

export function latencyQuantile(histogram: LatencyHistogram, fraction: number): number {
  return latencyCount(histogram) === 0 ? Number.NaN : endOf(quantileBin(histogram, fraction));
}

function above(histogram: LatencyHistogram, bin: number): number {
  let count = 0;
  for (let each = bin + 1; each < BINS; each++) count += histogram[each]!;
  return count;
}

/** Durations of each version that the comparison needs. */
export const LEAST_LATENCIES = 100;
const QUANTILES = [0.5, 0.99];

/**
 * Whether a version takes more than `slowerBy` times as long as the current one, at the median or at the 99th percentile: that is
 * so when more of its durations than of the current one's lie above the same place, once the places are scaled (Fisher's exact test).
 */
export function judgeLatency(
  current: LatencyHistogram,
  candidate: LatencyHistogram,
  slowerBy: number,
  { falseStop }: Pick<Certainty, 'falseStop'>,
): GateResult {
  const gate = 'latency against the current version';
  const [before, mine] = [latencyCount(current), latencyCount(candidate)];
  const describe = (histogram: LatencyHistogram) =>
    QUANTILES.map((fraction) => `${figure(latencyQuantile(histogram, fraction))} ms`).join(' and ');
  const reason = `Median and p99 are ${describe(candidate)} (${mine} predictions), those of the current version ${describe(current)} (${before}); up to ${figure(slowerBy)} times as long is allowed.`;
  if (before < LEAST_LATENCIES || mine < LEAST_LATENCIES) return { gate, verdict: 'not enough data', reason };
  // A version of just `slowerBy` is allowed: round the scaled place up.
  const shift = Math.ceil(Math.log(slowerBy) / GROWTH);
  const slow = QUANTILES.some((fraction) => {
    const bin = quantileBin(current, fraction);
    const first = { hits: above(current, bin), of: before };
    const second = { hits: above(candidate, bin + shift), of: mine };
    return surelyLarger(first, second, falseStop / QUANTILES.length);
  });
  return { gate, verdict: slow ? 'fail' : 'pass', reason };
}

/** Whether surely more than one in a hundred takes longer than the limit. */
export function p99LimitVerdict(
  histogram: LatencyHistogram,
  limitMs: number,
  { falseStop }: Certainty,
): GateResult {
  const size = latencyCount(histogram);
  const slow = above(histogram, binOf(limitMs));
  const reason = `${slow} of ${size} predictions took longer than ${figure(limitMs)} ms; one in a hundred may.`;
  const gate = 'latency';
  if (size < LEAST_LATENCIES) return { gate, verdict: 'not enough data', reason };
  return { gate, verdict: binomialTail(slow, size, 0.01) <= falseStop ? 'fail' : 'pass', reason };
}

/** P(X ≥ atLeast) of `trials` that each hit with `probability`. */
function binomialTail(atLeast: number, trials: number, probability: number): number {
  if (atLeast <= 0) return 1;
  const first =
    logGamma(trials + 1) -
    logGamma(atLeast + 1) -
    logGamma(trials - atLeast + 1) +
    atLeast * Math.log(probability) +
    (trials - atLeast) * Math.log(1 - probability);
  let [term, sum] = [1, 1];
  for (let k = atLeast; k < trials && term > sum * 1e-16; k++) {
    term *= ((trials - k) / (k + 1)) * (probability / (1 - probability));
    sum += term;
  }
  return Math.min(1, Math.exp(first) * sum);
}

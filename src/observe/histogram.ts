/**
 * Logarithmic histogram of latencies: each bucket ends 10 % above the one before, from 0.01 ms to over an hour. A
 * percentile is read at the geometric middle of its bucket, so it is off by at most √1.1 - 1 = 4.9 % of its value.
 */
const SMALLEST_MS = 0.01;
const GROWTH = Math.log(1.1);
export const HISTOGRAM_BUCKETS = 208;

export function bucketOf(durationMs: number): number {
  if (!(durationMs > SMALLEST_MS)) return 0;
  return Math.min(HISTOGRAM_BUCKETS - 1, Math.ceil(Math.log(durationMs / SMALLEST_MS) / GROWTH));
}

/** The value that stands for a bucket, in milliseconds. */
export function middleOf(bucket: number): number {
  return bucket === 0 ? SMALLEST_MS : SMALLEST_MS * Math.exp((bucket - 0.5) * GROWTH);
}

/** Counts by bucket; only those that are not empty are held. */
export type Histogram = Map<number, number>;

export function addPairs(target: Histogram, pairs: readonly number[]): void {
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    target.set(pairs[at]!, (target.get(pairs[at]!) ?? 0) + pairs[at + 1]!);
  }
}

export function toPairs(histogram: Histogram): number[] {
  return [...histogram].sort(([a], [b]) => a - b).flat();
}

/** Milliseconds below which `fraction` of the values lie; null for an empty histogram. */
export function percentile(histogram: Histogram, fraction: number): number | null {
  let total = 0;
  for (const count of histogram.values()) total += count;
  if (total === 0) return null;
  let left = Math.ceil(total * fraction);
  for (const [bucket, count] of [...histogram].sort(([a], [b]) => a - b)) {
    left -= count;
    if (left <= 0) return middleOf(bucket);
  }
  return null;
}

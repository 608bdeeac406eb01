import { addPairs, bucketOf, type Histogram, toPairs } from './histogram.ts';
import type { SampleRow, SeriesKind } from './port.ts';

/** Series of one kind that are told apart at once; what comes beyond is counted under `other`. */
const MOST_SERIES = 10_000;

export interface Totals {
  readonly kind: SeriesKind;
  readonly name: string;
  readonly counts: { [measure: string]: number };
  readonly latency: Histogram;
}

/** What happened since it was made, by series. Adding is a look-up and a sum. */
export class Accumulator {
  readonly #series: { readonly [kind in SeriesKind]: Map<string, Totals> } = {
    stream: new Map(),
    function: new Map(),
    route: new Map(),
  };

  of(kind: SeriesKind, name: string): Totals {
    const series = this.#series[kind];
    const found = series.get(name);
    if (found) return found;
    if (series.size >= MOST_SERIES && name !== 'other') return this.of(kind, 'other');
    const totals: Totals = { kind, name, counts: {}, latency: new Map() };
    series.set(name, totals);
    return totals;
  }

  find(kind: SeriesKind, name: string): Totals | undefined {
    return this.#series[kind].get(name);
  }

  add({ kind, name, counts, latency }: SampleRow): void {
    const totals = this.of(kind, name);
    for (const [measure, amount] of Object.entries(counts)) count(totals, measure, amount);
    if (latency) addPairs(totals.latency, latency);
  }

  names(kind: SeriesKind): Iterable<string> {
    return this.#series[kind].keys();
  }

  *totals(): Iterable<Totals> {
    for (const series of Object.values(this.#series)) yield* series.values();
  }

  *rows(): Iterable<SampleRow> {
    for (const { kind, name, counts, latency } of this.totals()) {
      const pairs = latency.size > 0 ? { latency: toPairs(latency) } : {};
      yield { kind, name, counts: { ...counts }, ...pairs };
    }
  }
}

export function count(totals: Totals, measure: string, amount: number): void {
  totals.counts[measure] = (totals.counts[measure] ?? 0) + amount;
}

export function observe(totals: Totals, durationMs: number): void {
  const bucket = bucketOf(durationMs);
  totals.latency.set(bucket, (totals.latency.get(bucket) ?? 0) + 1);
}

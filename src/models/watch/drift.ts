import {
  beyondRangeTest,
  holm,
  homogeneityTest,
  kolmogorovSmirnovTest,
  largerShareTest,
  shareTest,
} from '../statistics/tests.ts';
import { BELOW, type Cells, MISSING, OTHER, referenceCounts } from './cells.ts';
import type { ColumnReference } from './reference.ts';

/** How a column's live values compare with its reference. Shares are of all live rows. */
export interface ColumnDrift {
  readonly name: string;
  readonly rows: number;
  /** Population stability index over the cells (Siddiqi, "Credit Risk Scorecards", 2006): below 0.1 little, above 0.25 much. */
  readonly psi: number;
  /** Kolmogorov-Smirnov statistic over the cells, 0 to 1; null where categorical. */
  readonly ks: number | null;
  /** Jensen-Shannon divergence in bits, 0 to 1. */
  readonly js: number;
  readonly missing: number;
  readonly missingBefore: number;
  /** Below or above the range of the reference; for a category: not among those listed. */
  readonly outOfRange: number;
  /** The smallest p of the column's tests, corrected for all tests of all columns. */
  readonly p: number;
  /** What changed so much that it matters and cannot be chance; empty where nothing did. */
  readonly reasons: readonly DriftReason[];
}

export type DriftReason = 'distribution' | 'missing' | 'range' | 'categories';

/** How large a change must be to matter; with many rows almost any change is more than chance. */
export interface DriftEffects {
  readonly psi: number;
  /** Difference of the share of missing values. */
  readonly missing: number;
  /** Share of values out of the range, or of categories that were not listed. */
  readonly outOfRange: number;
}

export const DEFAULT_EFFECTS: DriftEffects = { psi: 0.1, missing: 0.02, outOfRange: 0.02 };

interface Finding {
  readonly reason: DriftReason;
  readonly p: number;
  /** Whether the change is large enough to matter. */
  readonly large: boolean;
}

interface Compared {
  readonly drift: Omit<ColumnDrift, 'p' | 'reasons'>;
  readonly findings: readonly Finding[];
}

/**
 * Compares live counts with the reference, column by column. A column drifts when a change is large (`effects`) and could be
 * chance only with probability `alpha`, over all columns and all their tests together (Holm): so without any drift the
 * probability that one or more columns are named is at most `alpha`.
 */
export function judgeDrift(
  columns: readonly ColumnReference[],
  cells: Cells,
  counts: Float64Array,
  alpha: number,
  effects: DriftEffects = DEFAULT_EFFECTS,
): ColumnDrift[] {
  const compared = columns.map((column, index) =>
    compare(column, counts.subarray(cells.offsets[index], cells.offsets[index + 1]), effects),
  );
  const corrected = holm(compared.flatMap(({ findings }) => findings.map(({ p }) => p)));
  let next = 0;
  return compared.map(({ drift, findings }) => {
    const own = findings.map((finding) => ({ ...finding, p: corrected[next++]! }));
    const found = own.filter((each) => each.large && each.p <= alpha).map((each) => each.reason);
    return { ...drift, p: Math.min(1, ...own.map((each) => each.p)), reasons: [...new Set(found)] };
  });
}

function compare(column: ColumnReference, live: Float64Array, effects: DriftEffects): Compared {
  const before = Float64Array.from(referenceCounts(column));
  const [present, presentBefore] = [live.subarray(1), before.subarray(1)];
  const [size, sizeBefore] = [sum(present), sum(presentBefore)];
  const [rows, rowsBefore] = [size + live[MISSING]!, sizeBefore + before[MISSING]!];
  const psi = stabilityIndex(presentBefore, present);
  const missing = shareTest(before[MISSING]!, rowsBefore, live[MISSING]!, rows);
  const large = psi >= effects.psi;
  const findings: Finding[] = [
    { reason: 'distribution', p: homogeneityTest(presentBefore, present).p, large },
    { reason: 'missing', p: missing.p, large: Math.abs(missing.statistic) >= effects.missing },
  ];
  let ks: number | null = null;
  let outside: number;
  if (column.kind === 'numeric') {
    const test = kolmogorovSmirnovTest(presentBefore, present);
    ks = test.statistic;
    const [below, above] = [live[BELOW]!, live[live.length - 1]!];
    outside = below + above;
    findings.push({ reason: 'distribution', p: test.p, large });
    for (const beyond of [below, above]) {
      const { statistic, p } = beyondRangeTest(beyond, size, sizeBefore);
      findings.push({ reason: 'range', p, large: statistic >= effects.outOfRange });
    }
  } else {
    outside = live[OTHER]!;
    const { statistic, p } = largerShareTest(before[OTHER]!, sizeBefore, outside, size);
    findings.push({ reason: 'categories', p, large: statistic >= effects.outOfRange });
  }
  const share = (count: number, of: number): number => (of === 0 ? 0 : count / of);
  const drift = {
    name: column.name,
    rows,
    psi,
    ks,
    js: jensenShannon(presentBefore, present),
    missing: share(live[MISSING]!, rows),
    missingBefore: share(before[MISSING]!, rowsBefore),
    outOfRange: share(outside, rows),
  };
  return { drift, findings };
}

function sum(counts: Float64Array): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

/**
 * Σ (q - p) ln(q / p). Half a row is added to each cell, so that an empty one has a logarithm; cells that are empty in both
 * samples are left out.
 */
export function stabilityIndex(before: Float64Array, live: Float64Array): number {
  const [n, m] = [sum(before), sum(live)];
  if (n === 0 || m === 0) return 0;
  let used = 0;
  for (let cell = 0; cell < before.length; cell++) if (before[cell]! + live[cell]! > 0) used++;
  let index = 0;
  for (let cell = 0; cell < before.length; cell++) {
    if (before[cell]! + live[cell]! === 0) continue;
    const p = (before[cell]! + 0.5) / (n + used / 2);
    const q = (live[cell]! + 0.5) / (m + used / 2);
    index += (q - p) * Math.log(q / p);
  }
  return index;
}

/** The Jensen-Shannon divergence of two samples of equal weight, in bits (Lin, 1991). */
export function jensenShannon(before: Float64Array, live: Float64Array): number {
  const [n, m] = [sum(before), sum(live)];
  if (n === 0 || m === 0) return 0;
  let divergence = 0;
  for (let cell = 0; cell < before.length; cell++) {
    const [p, q] = [before[cell]! / n, live[cell]! / m];
    const middle = (p + q) / 2;
    if (p > 0) divergence += (p / 2) * Math.log2(p / middle);
    if (q > 0) divergence += (q / 2) * Math.log2(q / middle);
  }
  return Math.max(0, divergence);
}

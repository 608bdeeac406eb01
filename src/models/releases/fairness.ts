import type { ModelFairness } from '../../kernel/index.ts';
import { shareOf } from '../labels/estimates.ts';
import type { Decisions } from '../labels/label-counts.ts';
import { type Certainty, figure, judgeAtLeast, percent, type Verdict } from './verdict.ts';

/** Rows of a group that its rate must be made of. */
const LEAST_OF_GROUP = 30;

/** The two groups that are furthest apart, and what that says. */
export interface GapVerdict {
  readonly verdict: Verdict;
  readonly reason: string;
  /** Undefined where there are fewer than two groups with enough rows. */
  readonly widest:
    | {
        readonly lowest: GroupRate;
        readonly highest: GroupRate;
        readonly gap: number;
      }
    | undefined;
}

export interface GroupRate {
  readonly group: string;
  readonly rate: number;
  readonly rows: number;
}

/** Judges the widest gap between groups that have enough rows; the others are left out, and named in the reason. */
export function judgeGap(
  groups: { readonly [group: string]: Decisions },
  { by, of, gap, margin }: ModelFairness,
  certainty: Certainty,
): GapVerdict {
  const all = Object.entries(groups).map(([group, decisions]) => ({ group, ...rateOf(decisions, of) }));
  const large = all.filter(({ rows }) => rows >= LEAST_OF_GROUP).sort((a, b) => a.rate - b.rate);
  const small = all.filter(({ rows }) => rows < LEAST_OF_GROUP);
  const [lowest, highest] = [large[0], large.at(-1)];
  if (!lowest || !highest || large.length < 2) {
    const reason = `Fewer than two groups of '${by}' have ${LEAST_OF_GROUP} rows that count for ${of}.`;
    return { verdict: 'not enough data', reason, widest: undefined };
  }
  const difference = highest.rate - lowest.rate;
  const standardError = Math.hypot(errorOf(lowest), errorOf(highest));
  // The widest of all pairs is looked at, so each pair may fail falsely only in its share of the cases.
  const pairs = (large.length * (large.length - 1)) / 2;
  const falseStop = certainty.falseStop / pairs;
  const verdict = judgeAtLeast(-difference, standardError, -gap, margin, { ...certainty, falseStop });
  const reason = `${of}: ${percent(lowest.rate)} of '${lowest.group}', ${percent(highest.rate)} of '${highest.group}', a gap of ${figure(difference)} ± ${figure(standardError)}; at most ${figure(gap)} is asked for.${small.length > 0 ? ` Left out, with too few rows: ${small.map((each) => `'${each.group}'`).join(', ')}.` : ''}`;
  return { verdict, reason, widest: { lowest, highest, gap: difference } };
}

function rateOf(decisions: Decisions, of: ModelFairness['of']): { rate: number; rows: number } {
  const { truePositives: tp, falsePositives: fp, falseNegatives: fn, trueNegatives: tn } = decisions;
  const [hits, rows] = {
    selection: [tp + fp, tp + fp + fn + tn],
    truePositives: [tp, tp + fn],
    falsePositives: [fp, fp + tn],
    accuracy: [tp + tn, tp + fp + fn + tn],
  }[of] as [number, number];
  return { rate: rows === 0 ? 0 : hits / rows, rows };
}

const errorOf = ({ rate, rows }: GroupRate): number => shareOf(rate * rows, rows).standardError;

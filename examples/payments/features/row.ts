import type { CardFeatures } from './card.ts';
import type { TerminalFeatures } from './terminal.ts';
import type { Payment } from './window.ts';

/** What can be said of a payment when it is made. */
export interface FeatureRow extends CardFeatures, TerminalFeatures {
  readonly amount: number;
  /** Of the day, UTC, with the minutes as a fraction. */
  readonly hour: number;
  /** 1 on Saturdays and Sundays, UTC. */
  readonly weekend: number;
}

/** The card's part of the features, in the order in which it travels. */
const CARD_FEATURES = [
  'count1',
  'count7',
  'count30',
  'mean1',
  'mean7',
  'mean30',
  'ratio',
  'excess',
  'unusual14',
  'largest14',
] as const satisfies readonly (keyof CardFeatures)[];

export const FEATURES = [
  'amount',
  'hour',
  'weekend',
  ...CARD_FEATURES,
  'terminalCount1',
  'terminalCount7',
  'terminalCount30',
  'terminalRate1',
  'terminalRate7',
  'terminalRate30',
  'suspect30',
  'genuineSince',
  'spellDays',
] as const satisfies readonly (keyof FeatureRow)[];

/**
 * The columns that the model learns from. The others were left out because they do not help: over ten weeks that lie before
 * the one of the protocol, trees that saw them too found no more fraud, and ranked the rest worse (area under the curve
 * 0.888 for 0.891).
 */
export const MODEL_COLUMNS = [
  'amount',
  'ratio',
  'excess',
  'unusual14',
  'largest14',
  'terminalRate1',
  'terminalRate7',
  'terminalRate30',
  'suspect30',
  'genuineSince',
  'spellDays',
] as const satisfies readonly (keyof FeatureRow)[];

/** What the payment says by itself, and what its card and its terminal say of it. */
export function featureRow(
  { atMs, amount }: Payment,
  card: CardFeatures,
  terminal: TerminalFeatures,
): FeatureRow {
  const minute = Math.floor(atMs / 60_000);
  // 1970 began on a Thursday.
  const day = (Math.floor(minute / 1440) + 4) % 7;
  // Name by name, because spreading costs several times as much, and every payment has a row.
  return {
    amount,
    hour: (minute % 1440) / 60,
    weekend: day === 0 || day === 6 ? 1 : 0,
    count1: card.count1,
    count7: card.count7,
    count30: card.count30,
    mean1: card.mean1,
    mean7: card.mean7,
    mean30: card.mean30,
    ratio: card.ratio,
    excess: card.excess,
    unusual14: card.unusual14,
    largest14: card.largest14,
    terminalCount1: terminal.terminalCount1,
    terminalCount7: terminal.terminalCount7,
    terminalCount30: terminal.terminalCount30,
    terminalRate1: terminal.terminalRate1,
    terminalRate7: terminal.terminalRate7,
    terminalRate30: terminal.terminalRate30,
    suspect30: terminal.suspect30,
    genuineSince: terminal.genuineSince,
    spellDays: terminal.spellDays,
  };
}

/** The card's features as a list, in the order of `CARD_FEATURES`. */
export function cardValues(card: CardFeatures): number[] {
  const { count1, count7, count30, mean1, mean7, mean30, ratio, excess, unusual14, largest14 } = card;
  return [count1, count7, count30, mean1, mean7, mean30, ratio, excess, unusual14, largest14];
}

export function cardFeatures(values: readonly number[]): CardFeatures {
  return {
    count1: values[0]!,
    count7: values[1]!,
    count30: values[2]!,
    mean1: values[3]!,
    mean7: values[4]!,
    mean30: values[5]!,
    ratio: values[6]!,
    excess: values[7]!,
    unusual14: values[8]!,
    largest14: values[9]!,
  };
}

/** What the model is asked, in the order of its columns. */
export function modelValues(row: FeatureRow): number[] {
  return MODEL_COLUMNS.map((name) => row[name]);
}

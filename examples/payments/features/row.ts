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
  const at = new Date(atMs);
  const day = at.getUTCDay();
  return {
    amount,
    hour: at.getUTCHours() + at.getUTCMinutes() / 60,
    weekend: day === 0 || day === 6 ? 1 : 0,
    ...card,
    ...terminal,
  };
}

export function cardValues(features: CardFeatures): number[] {
  return CARD_FEATURES.map((name) => features[name]);
}

export function cardFeatures(values: readonly number[]): CardFeatures {
  const features: { [name in (typeof CARD_FEATURES)[number]]?: number } = {};
  for (let place = 0; place < CARD_FEATURES.length; place++) features[CARD_FEATURES[place]!] = values[place]!;
  return features as CardFeatures;
}

/** What the model is asked, in the order of its columns. */
export function modelValues(row: FeatureRow): number[] {
  return MODEL_COLUMNS.map((name) => row[name]);
}

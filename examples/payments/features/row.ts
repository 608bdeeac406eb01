import type { CardFeatures } from './card.ts';
import type { TerminalFeatures } from './terminal.ts';

/** The columns of the model, in their order. */
export const FEATURES = [
  'amount',
  'hour',
  'weekend',
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
  'terminalCount1',
  'terminalCount7',
  'terminalCount30',
  'terminalRate1',
  'terminalRate7',
  'terminalRate30',
  'suspect30',
  'genuineSince',
  'spellDays',
] as const;

export type Feature = (typeof FEATURES)[number];

export type FeatureRow = { readonly [name in Feature]: number };

/** One row for the model: what the payment says by itself, what its card and its terminal say of it. */
export function featureRow(
  payment: { readonly atMs: number; readonly amount: number },
  card: CardFeatures,
  terminal: TerminalFeatures,
): FeatureRow {
  const at = new Date(payment.atMs);
  const day = at.getUTCDay();
  return {
    amount: payment.amount,
    hour: at.getUTCHours() + at.getUTCMinutes() / 60,
    weekend: day === 0 || day === 6 ? 1 : 0,
    ...card,
    ...terminal,
  };
}

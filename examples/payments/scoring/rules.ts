import type { CardFeatures, TerminalFeatures } from './features.ts';

/** Why a payment is suspect, in words for an analyst, and how much, from 0 to 1. */
export interface Finding {
  readonly rule: 'large-amount' | 'unlike-the-card' | 'compromised-terminal';
  readonly reason: string;
  readonly score: number;
}

const LARGE_AMOUNT = 220;

export function judgeCard(amount: number, features: CardFeatures): Finding | undefined {
  if (amount > LARGE_AMOUNT) {
    return { rule: 'large-amount', reason: `${amount.toFixed(2)} is above ${LARGE_AMOUNT}`, score: 1 };
  }
  if (features.ratio > 3 && features.excess > 4.5) {
    const times = features.ratio.toFixed(1);
    return { rule: 'unlike-the-card', reason: `${times} times what this card usually pays`, score: 0.8 };
  }
  return undefined;
}

export function judgeTerminal(features: TerminalFeatures): Finding | undefined {
  if (features.knownFrauds < 3) return undefined;
  const reason = `${features.knownFrauds} payments at this terminal turned out to be fraud`;
  return { rule: 'compromised-terminal', reason, score: 0.9 };
}

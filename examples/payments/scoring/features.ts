/**
 * Velocity features, computed as events arrive. Plain functions from a state and an event to the next state, so that
 * the same code runs inside a stream function, over an array, and in a test. Times are event times in ms.
 */
const DAY_MS = 86_400_000;

/** What is remembered of a card: five numbers. */
export interface CardState {
  /** Payments so far. */
  readonly count: number;
  /** Mean amount, exponentially weighted once there are 20. */
  readonly mean: number;
  /** Mean absolute distance from that mean, the same way. */
  readonly spread: number;
  /** Payments of the last day, fading: each counts e^(-age / 1 day). */
  readonly burst: number;
  readonly lastMs: number;
}

export interface CardFeatures {
  /** Amount over the card's mean; 1 for the first payments. */
  readonly ratio: number;
  /** How many spreads the amount lies above the mean. */
  readonly excess: number;
  readonly burst: number;
}

const FRESH_CARD: CardState = { count: 0, mean: 0, spread: 0, burst: 0, lastMs: 0 };

export function observeCard(
  before: CardState | undefined,
  amount: number,
  atMs: number,
): { features: CardFeatures; next: CardState } {
  const card = before ?? FRESH_CARD;
  const known = card.count >= 5;
  const distance = amount - card.mean;
  const burst = card.burst * Math.exp(-Math.max(0, atMs - card.lastMs) / DAY_MS) + 1;
  // A wild payment must not teach the card that wild is normal: it moves the mean by at most three spreads.
  const step = known ? Math.max(-3 * card.spread, Math.min(3 * card.spread, distance)) : distance;
  const weight = 1 / Math.min(card.count + 1, 20);
  return {
    features: {
      ratio: known ? amount / Math.max(card.mean, 1) : 1,
      excess: known ? distance / Math.max(card.spread, 1) : 0,
      burst,
    },
    next: {
      count: card.count + 1,
      mean: round(card.mean + step * weight),
      spread: round(card.spread + (Math.abs(step) - card.spread) * weight),
      burst: round(burst),
      lastMs: atMs,
    },
  };
}

/** What is remembered of a terminal. */
export interface TerminalState {
  /** Payments of the last week, fading. */
  readonly volume: number;
  readonly lastMs: number;
  /** When the current spell of fraud began, and how many of its payments are known to be fraud. */
  readonly spellMs: number;
  readonly frauds: number;
}

export interface TerminalFeatures {
  readonly volume: number;
  /** Payments of a spell that is still on that turned out to be fraud. A compromised terminal is mended after 28 days. */
  readonly knownFrauds: number;
}

const FRESH_TERMINAL: TerminalState = { volume: 0, lastMs: 0, spellMs: 0, frauds: 0 };
const SPELL_MS = 28 * DAY_MS;

export function observeTerminal(
  before: TerminalState | undefined,
  atMs: number,
): { features: TerminalFeatures; next: TerminalState } {
  const terminal = before ?? FRESH_TERMINAL;
  const volume = terminal.volume * Math.exp(-Math.max(0, atMs - terminal.lastMs) / (7 * DAY_MS)) + 1;
  const spellIsOn = terminal.frauds > 0 && atMs < terminal.spellMs + SPELL_MS;
  return {
    features: { volume, knownFrauds: spellIsOn ? terminal.frauds : 0 },
    next: { ...terminal, volume: round(volume), lastMs: atMs },
  };
}

/** A payment at this terminal turned out to be fraud. */
export function learnFraud(before: TerminalState | undefined, paidAtMs: number): TerminalState {
  const terminal = before ?? FRESH_TERMINAL;
  const sameSpell = terminal.frauds > 0 && paidAtMs < terminal.spellMs + SPELL_MS;
  return sameSpell
    ? { ...terminal, frauds: terminal.frauds + 1 }
    : { ...terminal, spellMs: paidAtMs, frauds: 1 };
}

/** State is stored as JSON: three decimals are enough and keep it short. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

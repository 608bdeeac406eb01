import { DAY_SECONDS, dropOlder, type Recent, secondsOf } from './window.ts';

/** Labels are known a week after the payment. */
export const LABEL_DELAY_SECONDS = 7 * DAY_SECONDS;

/** What is remembered of a terminal, as plain JSON. */
export interface TerminalState {
  /** When the payments of the last 30 days were made, oldest first. */
  paid: number[];
  /** The payments of the last 37 days whose labels are known, oldest first: see `LABEL`. */
  labelled: Recent;
  /** When the current spell of frauds that only the terminal explains began; 0 when there is none. */
  spellBegan: number;
}

/** What a label says of a payment. */
const LABEL = {
  genuine: 0,
  /** A fraud that the amount or the card explains: it says little of the terminal. */
  explained: 1,
  /** A fraud whose amount is ordinary for the card: the terminal itself is suspect. */
  unexplained: 2,
} as const;

export interface TerminalFeatures {
  /** Payments in the last 1, 7 and 30 days, this one among them. */
  readonly terminalCount1: number;
  readonly terminalCount7: number;
  readonly terminalCount30: number;
  /** Of the payments of 1, 7 and 30 days up to a week ago: the part that was fraud; 0 without any. */
  readonly terminalRate1: number;
  readonly terminalRate7: number;
  readonly terminalRate30: number;
  /** Of the same 30 days: how many were frauds that only the terminal explains. */
  readonly suspect30: number;
  /** Labels since the last such fraud, all genuine or otherwise explained; -1 without one. */
  readonly genuineSince: number;
  /** Days since the first fraud of the spell that only the terminal explains; -1 without one. */
  readonly spellDays: number;
}

/** A fraud of an amount or a ratio above these is explained by them. */
const LARGE_AMOUNT = 220;
const UNUSUAL_RATIO = 2.5;
/** Frauds further apart than this belong to two spells. */
const SPELL_GAP_SECONDS = 28 * DAY_SECONDS;

export function freshTerminal(): TerminalState {
  return { paid: [], labelled: { seconds: [], values: [] }, spellBegan: 0 };
}

export interface Label {
  readonly paidAtMs: number;
  readonly amount: number;
  /** The card's feature when it was paid. */
  readonly ratio: number;
  readonly fraud: boolean;
}

/** Takes in what a payment of this terminal turned out to be, a week after it was made. */
export function learnLabel(terminal: TerminalState, label: Label): void {
  const second = secondsOf(label.paidAtMs);
  const explained = label.amount > LARGE_AMOUNT || label.ratio > UNUSUAL_RATIO;
  const kind = !label.fraud ? LABEL.genuine : explained ? LABEL.explained : LABEL.unexplained;
  const { seconds, values } = terminal.labelled;
  if (kind === LABEL.unexplained) {
    const before = values.lastIndexOf(LABEL.unexplained);
    const sameSpell = before >= 0 && second - terminal.spellBegan < SPELL_GAP_SECONDS;
    if (!sameSpell) terminal.spellBegan = second;
  }
  seconds.push(second);
  values.push(kind);
}

/** Takes the payment into the terminal's state, and gives what is known of the terminal at that moment. */
export function observeTerminal(terminal: TerminalState, atMs: number): TerminalFeatures {
  const now = secondsOf(atMs);
  const { paid } = terminal;
  let old = 0;
  while (old < paid.length && paid[old]! <= now - 30 * DAY_SECONDS) old++;
  if (old > 0) paid.splice(0, old);
  paid.push(now);
  dropOlder(terminal.labelled, now - 30 * DAY_SECONDS - LABEL_DELAY_SECONDS);
  const terminalCount7 = countAfter(paid, now - 7 * DAY_SECONDS);
  return {
    terminalCount1: countAfter(paid, now - DAY_SECONDS),
    terminalCount7,
    terminalCount30: paid.length,
    ...history(terminal, now),
  };
}

function countAfter(seconds: readonly number[], second: number): number {
  let place = seconds.length;
  while (place > 0 && seconds[place - 1]! > second) place--;
  return seconds.length - place;
}

function history(terminal: TerminalState, now: number) {
  const { seconds, values } = terminal.labelled;
  let [count1, count7, fraud1, fraud7, fraud30, suspect30] = [0, 0, 0, 0, 0, 0];
  let genuineSince = -1;
  for (let place = seconds.length - 1; place >= 0; place--) {
    const age = now - LABEL_DELAY_SECONDS - seconds[place]!;
    const kind = values[place]!;
    const fraud = kind === LABEL.genuine ? 0 : 1;
    fraud30 += fraud;
    if (kind === LABEL.unexplained) {
      suspect30++;
      if (genuineSince < 0) genuineSince = seconds.length - 1 - place;
    }
    if (age < 7 * DAY_SECONDS) {
      count7++;
      fraud7 += fraud;
    }
    if (age < DAY_SECONDS) {
      count1++;
      fraud1 += fraud;
    }
  }
  return {
    terminalRate1: count1 > 0 ? fraud1 / count1 : 0,
    terminalRate7: count7 > 0 ? fraud7 / count7 : 0,
    terminalRate30: seconds.length > 0 ? fraud30 / seconds.length : 0,
    suspect30,
    genuineSince,
    spellDays: suspect30 > 0 ? (now - terminal.spellBegan) / DAY_SECONDS : -1,
  };
}

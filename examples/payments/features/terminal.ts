import type { CardFeatures } from './card.ts';
import { DAY_SECONDS, dropOlder, type Payment, type Recent, secondsOf } from './window.ts';

/** Labels are known a week after the payment. */
export const LABEL_DELAY_SECONDS = 7 * DAY_SECONDS;

/** What is remembered of a terminal, as plain JSON. */
export interface TerminalState {
  /** When the payments of the last 30 days were made, oldest first. */
  paid: number[];
  /** Payments that wait for their labels, with whether amount or card would explain a fraud (1) or not (0). */
  waiting: Recent & { ids: number[] };
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
/** A compromised terminal is mended after this long; a later fraud begins another spell. */
const SPELL_SECONDS = 28 * DAY_SECONDS;

export function freshTerminal(): TerminalState {
  return {
    paid: [],
    waiting: { ids: [], seconds: [], values: [] },
    labelled: { seconds: [], values: [] },
    spellBegan: 0,
  };
}

/**
 * Takes in what a payment of this terminal turned out to be, a week after it was made. A label of a payment that the
 * terminal does not know, or knows the label of, changes nothing: a repeated delivery is harmless.
 */
export function learnLabel(
  terminal: TerminalState,
  label: { readonly id: number; readonly fraud: boolean },
): void {
  const { waiting, labelled } = terminal;
  const place = waiting.ids.indexOf(label.id);
  if (place < 0) return;
  waiting.ids.splice(place, 1);
  const second = waiting.seconds.splice(place, 1)[0]!;
  const explained = waiting.values.splice(place, 1)[0] === 1;
  const kind = !label.fraud ? LABEL.genuine : explained ? LABEL.explained : LABEL.unexplained;
  if (kind === LABEL.unexplained) {
    const sameSpell =
      labelled.values.includes(LABEL.unexplained) && second - terminal.spellBegan < SPELL_SECONDS;
    if (!sameSpell) terminal.spellBegan = second;
  }
  labelled.seconds.push(second);
  labelled.values.push(kind);
}

/** Takes the payment into the terminal's state, and gives what is known of the terminal at that moment. */
export function observeTerminal(
  terminal: TerminalState,
  payment: Payment,
  card: Pick<CardFeatures, 'ratio'>,
): TerminalFeatures {
  const now = secondsOf(payment.atMs);
  const { paid, waiting, labelled } = terminal;
  let old = 0;
  while (old < paid.length && paid[old]! <= now - 30 * DAY_SECONDS) old++;
  if (old > 0) paid.splice(0, old);
  paid.push(now);
  const oldest = now - 30 * DAY_SECONDS - LABEL_DELAY_SECONDS;
  dropOlder(labelled, oldest);
  waiting.ids.splice(0, dropOlder(waiting, oldest));
  waiting.ids.push(payment.id);
  waiting.seconds.push(now);
  waiting.values.push(payment.amount > LARGE_AMOUNT || card.ratio > UNUSUAL_RATIO ? 1 : 0);
  return {
    terminalCount1: countAfter(paid, now - DAY_SECONDS),
    terminalCount7: countAfter(paid, now - 7 * DAY_SECONDS),
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

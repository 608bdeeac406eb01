import { type CardFeatures, UNUSUAL_RATIO } from './card.ts';
import { Packer, Unpacker } from './pack.ts';
import { countUpTo, DAY_SECONDS, type Payment, secondsOf } from './window.ts';

/** A fraud is known a week after the payment; a payment that nobody has called fraud by then is genuine. */
export const LABEL_DELAY_SECONDS = 7 * DAY_SECONDS;

/**
 * What is remembered of a terminal: its payments of the last 40 days, by event time. Nothing of the last seven days counts
 * in any feature, so payments may come out of order, by up to three days, and the features are the same: they come through
 * the stream of cards, where each card has an order of its own.
 */
export interface TerminalState {
  readonly ids: number[];
  readonly seconds: number[];
  /** Bits of `KIND`. */
  readonly kinds: number[];
}

const KIND = {
  /** The amount or the card would explain a fraud: it would say little of the terminal. */
  explained: 1,
  fraud: 2,
} as const;

export interface TerminalFeatures {
  /** Payments of 1, 7 and 30 days up to a week ago: those whose labels are known. */
  readonly terminalCount1: number;
  readonly terminalCount7: number;
  readonly terminalCount30: number;
  /** The part of them that was fraud; 0 without any. */
  readonly terminalRate1: number;
  readonly terminalRate7: number;
  readonly terminalRate30: number;
  /** Of the same 30 days: how many were frauds that only the terminal explains. */
  readonly suspect30: number;
  /** Payments since the last such fraud, all genuine or otherwise explained; -1 without one. */
  readonly genuineSince: number;
  /** Days since the first fraud of the spell that only the terminal explains; -1 without one. */
  readonly spellDays: number;
}

/** A fraud of a larger amount is explained by it. */
const LARGE_AMOUNT = 220;
/** A compromised terminal is mended after this long; a later fraud begins another spell. */
const SPELL_SECONDS = 28 * DAY_SECONDS;
const REMEMBERED_SECONDS = 40 * DAY_SECONDS;

export function freshTerminal(): TerminalState {
  return { ids: [], seconds: [], kinds: [] };
}

/**
 * A payment of this terminal turned out to be fraud. It counts once a week has gone since the payment, not before; a payment that
 * the terminal does not know, or no longer, changes nothing.
 */
export function learnFraud(terminal: TerminalState, id: number): void {
  const place = terminal.ids.lastIndexOf(id);
  if (place >= 0) terminal.kinds[place]! |= KIND.fraud;
}

/** Takes the payment into the terminal's state, and gives what is known of the terminal at that moment. */
export function observeTerminal(
  terminal: TerminalState,
  payment: Payment,
  card: Pick<CardFeatures, 'ratio'>,
): TerminalFeatures {
  const { ids, seconds, kinds } = terminal;
  const now = secondsOf(payment.atMs);
  const kind = payment.amount > LARGE_AMOUNT || card.ratio > UNUSUAL_RATIO ? KIND.explained : 0;
  insert(terminal, payment.id, now, kind);
  const old = countUpTo(seconds, seconds.at(-1)! - REMEMBERED_SECONDS);
  if (old > 0) for (const list of [ids, seconds, kinds]) list.splice(0, old);
  return history(terminal, now);
}

/** In the order of time: nearly always at the end. */
function insert({ ids, seconds, kinds }: TerminalState, id: number, second: number, kind: number): void {
  let place = seconds.length;
  while (place > 0 && seconds[place - 1]! > second) place--;
  if (place === seconds.length) {
    ids.push(id);
    seconds.push(second);
    kinds.push(kind);
    return;
  }
  ids.splice(place, 0, id);
  seconds.splice(place, 0, second);
  kinds.splice(place, 0, kind);
}

function history({ seconds, kinds }: TerminalState, now: number): TerminalFeatures {
  const known = now - LABEL_DELAY_SECONDS;
  let [count1, count7, count30] = [0, 0, 0];
  let [frauds1, frauds7, frauds30] = [0, 0, 0];
  let suspect30 = 0;
  let genuineSince = -1;
  let spellBegan = Number.NEGATIVE_INFINITY;
  const first = countUpTo(seconds, known - 30 * DAY_SECONDS);
  for (let place = first; place < seconds.length && seconds[place]! <= known; place++) {
    const second = seconds[place]!;
    const kind = kinds[place]!;
    const fraud = kind & KIND.fraud ? 1 : 0;
    count30++;
    frauds30 += fraud;
    if (second > known - 7 * DAY_SECONDS) {
      count7++;
      frauds7 += fraud;
    }
    if (second > known - DAY_SECONDS) {
      count1++;
      frauds1 += fraud;
    }
    if (kind === KIND.fraud) {
      suspect30++;
      genuineSince = 0;
      if (second - spellBegan >= SPELL_SECONDS) spellBegan = second;
    } else if (genuineSince >= 0) genuineSince++;
  }
  return {
    terminalCount1: count1,
    terminalCount7: count7,
    terminalCount30: count30,
    terminalRate1: rate(frauds1, count1),
    terminalRate7: rate(frauds7, count7),
    terminalRate30: rate(frauds30, count30),
    suspect30,
    genuineSince,
    spellDays: suspect30 > 0 ? (now - spellBegan) / DAY_SECONDS : -1,
  };
}

const rate = (frauds: number, count: number): number => (count > 0 ? frauds / count : 0);

const packer = new Packer();

export function packTerminal({ ids, seconds, kinds }: TerminalState): string {
  let [id, second] = [0, 0];
  packer.whole(ids.length);
  for (let place = 0; place < ids.length; place++) {
    packer.whole(ids[place]! - id);
    packer.whole(seconds[place]! - second);
    packer.whole(kinds[place]!);
    id = ids[place]!;
    second = seconds[place]!;
  }
  return packer.text();
}

/** A terminal that nothing is known of where there is no text. */
export function unpackTerminal(text: string | undefined): TerminalState {
  const terminal = freshTerminal();
  if (text === undefined) return terminal;
  const from = new Unpacker(text);
  let [id, second] = [0, 0];
  for (let rest = from.whole(); rest > 0; rest--) {
    id += from.whole();
    second += from.whole();
    terminal.ids.push(id);
    terminal.seconds.push(second);
    terminal.kinds.push(from.whole());
  }
  return terminal;
}

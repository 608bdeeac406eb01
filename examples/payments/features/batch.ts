import { type CardState, freshCard, observeCard } from './card.ts';
import { type FeatureRow, featureRow } from './row.ts';
import {
  freshTerminal,
  LABEL_DELAY_SECONDS,
  learnFraud,
  observeTerminal,
  type TerminalState,
} from './terminal.ts';
import { type Payment, secondsOf } from './window.ts';

export interface LabelledPayment extends Payment {
  readonly card: string;
  readonly terminal: string;
  readonly fraud: boolean;
}

/** When it is known that a payment was fraud: a week after the second in which it was made. */
export function knownAtMs(paidAtMs: number): number {
  return (secondsOf(paidAtMs) + LABEL_DELAY_SECONDS) * 1000;
}

/** Labels that were learnt are let go of in blocks. */
const BLOCK = 4096;

/**
 * The features of payments in the order of their event time, one call each. It feeds the very functions that the stream's
 * functions call: a fraud becomes known to its terminal a week later, before what is paid at that moment.
 */
export function createFeatures(): (payment: LabelledPayment) => FeatureRow {
  const cards = new Map<string, CardState>();
  const terminals = new Map<string, TerminalState>();
  let frauds: { readonly dueMs: number; readonly id: number; readonly terminal: string }[] = [];
  let learnt = 0;
  return (payment) => {
    for (; learnt < frauds.length && frauds[learnt]!.dueMs <= payment.atMs; learnt++) {
      const { id, terminal } = frauds[learnt]!;
      learnFraud(terminals.get(terminal)!, id);
    }
    if (learnt >= BLOCK) {
      frauds = frauds.slice(learnt);
      learnt = 0;
    }
    const { id, atMs, fraud, terminal } = payment;
    if (fraud) frauds.push({ dueMs: knownAtMs(atMs), id, terminal });
    const ofCard = observeCard(entry(cards, payment.card, freshCard), payment);
    const ofTerminal = observeTerminal(entry(terminals, terminal, freshTerminal), payment, ofCard);
    return featureRow(payment, ofCard, ofTerminal);
  };
}

function entry<Value>(map: Map<string, Value>, key: string, fresh: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = fresh();
  map.set(key, made);
  return made;
}

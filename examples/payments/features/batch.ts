import { type CardState, freshCard, observeCard } from './card.ts';
import { type FeatureRow, featureRow } from './row.ts';
import {
  freshTerminal,
  LABEL_DELAY_SECONDS,
  learnLabel,
  observeTerminal,
  type TerminalState,
} from './terminal.ts';
import type { Payment } from './window.ts';

export interface LabelledPayment extends Payment {
  readonly card: string;
  readonly terminal: string;
  readonly fraud: boolean;
}

interface PendingLabel {
  readonly dueMs: number;
  readonly id: number;
  readonly terminal: string;
  readonly fraud: boolean;
}

/** Labels that were learnt are let go of in blocks. */
const BLOCK = 65_536;

/**
 * The features of payments in the order of their event time, one call each. It feeds the very functions that the stream's
 * functions call, in the order in which the streams bring them: a payment's label reaches its terminal a week later,
 * before what is paid at that moment.
 */
export function createFeatures(): (payment: LabelledPayment) => FeatureRow {
  const cards = new Map<string, CardState>();
  const terminals = new Map<string, TerminalState>();
  let labels: PendingLabel[] = [];
  let learnt = 0;
  return (payment) => {
    for (; learnt < labels.length && labels[learnt]!.dueMs <= payment.atMs; learnt++) {
      const label = labels[learnt]!;
      learnLabel(terminals.get(label.terminal)!, label);
    }
    if (learnt >= BLOCK) {
      labels = labels.slice(learnt);
      learnt = 0;
    }
    const { id, atMs, fraud, terminal } = payment;
    labels.push({ dueMs: atMs + LABEL_DELAY_SECONDS * 1000, id, terminal, fraud });
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

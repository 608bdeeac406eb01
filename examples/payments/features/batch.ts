import type { SourcePayment } from '../traffic/source.ts';
import { type CardState, freshCard, observeCard } from './card.ts';
import { FEATURES, featureRow } from './row.ts';
import {
  freshTerminal,
  LABEL_DELAY_SECONDS,
  type Label,
  learnLabel,
  observeTerminal,
  type TerminalState,
} from './terminal.ts';

/** A payment with the row the model sees. */
export interface FeaturedPayment {
  readonly payment: SourcePayment;
  readonly values: Float32Array;
}

interface PendingLabel extends Label {
  readonly terminal: string;
}

/**
 * The features of payments in the order of their event time, as the stream's functions compute them: labels reach the
 * terminals a week after the payment, before any payment of that moment.
 */
export function createFeatures(): (payment: SourcePayment) => Float32Array {
  const cards = new Map<string, CardState>();
  const terminals = new Map<string, TerminalState>();
  const labels: PendingLabel[] = [];
  let due = 0;
  const terminalOf = (name: string): TerminalState => {
    let terminal = terminals.get(name);
    if (!terminal) terminals.set(name, (terminal = freshTerminal()));
    return terminal;
  };
  return (payment) => {
    while (due < labels.length && labels[due]!.paidAtMs + LABEL_DELAY_SECONDS * 1000 <= payment.atMs) {
      const label = labels[due++]!;
      learnLabel(terminalOf(label.terminal), label);
    }
    if (due > 65_536) labels.splice(0, due), (due = 0);
    let card = cards.get(payment.card);
    if (!card) cards.set(payment.card, (card = freshCard()));
    const ofCard = observeCard(card, payment);
    const ofTerminal = observeTerminal(terminalOf(payment.terminal), payment.atMs);
    const { atMs, amount, fraud, terminal } = payment;
    labels.push({ paidAtMs: atMs, amount, ratio: ofCard.ratio, fraud, terminal });
    const row = featureRow(payment, ofCard, ofTerminal);
    return Float32Array.from(FEATURES, (name) => row[name]);
  };
}

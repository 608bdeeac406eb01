import { fn, state } from 'millrace';
import { observeCard, packCard, unpackCard } from '../features/card.ts';
import { cardFeatures, cardValues, type FeatureRow, featureRow, modelValues } from '../features/row.ts';
import { learnFraud, observeTerminal, packTerminal, unpackTerminal } from '../features/terminal.ts';
import { payments, replies } from '../intake/streams.ts';
import { ALERT_FROM, fraud } from './model.ts';
import { reasonFor } from './reasons.ts';
import { alerts, type TerminalPayment, terminalEvents } from './streams.ts';

export { alerts, fraud, terminalEvents };

export const cards = state<string>('cards');
export const terminals = state<string>('terminals');

/** Per card: what does this payment look like beside what the card usually pays? Then on to the terminal. */
export const seeCard = fn(
  'see-card',
  { on: payments, from: 'start', batch: { size: 1000, wait: '5ms' } },
  async (records, ctx) => {
    for (const record of records) {
      const payment = record.value;
      const cell = ctx.state(cards, record);
      const card = unpackCard(await cell.get());
      const { id, amount } = payment;
      const features = observeCard(card, { id, amount, atMs: Date.parse(payment.at) });
      await cell.set(packCard(card));
      await ctx.emit(terminalEvents, { kind: 'payment', ...payment, card_features: cardValues(features) });
    }
  },
);

/** Per terminal: what is known of it by now? With both, the model says how likely the payment is fraud. */
export const score = fn(
  'score',
  { on: terminalEvents, from: 'start', batch: { size: 1000, wait: '5ms' } },
  async (records, ctx) => {
    const asked: { payment: TerminalPayment; row: FeatureRow }[] = [];
    for (const record of records) {
      const cell = ctx.state(terminals, record);
      const terminal = unpackTerminal(await cell.get());
      const event = record.value;
      if (event.kind === 'fraud') learnFraud(terminal, event.id);
      else asked.push({ payment: event, row: see(terminal, event) });
      await cell.set(packTerminal(terminal));
    }
    const judged = await ctx.model(fraud).predict(asked.map(({ row }) => modelValues(row)));
    for (const [place, { payment, row }] of asked.entries()) {
      const probability = Number(judged[place]!.probabilities[1].toFixed(4));
      const suspect = probability >= ALERT_FROM;
      const { id, at, card, terminal, amount, reply } = payment;
      const reason = suspect ? reasonFor(row) : '';
      if (suspect) {
        await ctx.emit(alerts, { payment: id, at, card, terminal, amount, score: probability, reason });
      }
      if (reply !== undefined) {
        await ctx.emit(replies, { reply, score: probability, reasons: suspect ? [reason] : [] });
      }
    }
  },
);

function see(terminal: ReturnType<typeof unpackTerminal>, value: TerminalPayment): FeatureRow {
  const payment = { id: value.id, amount: value.amount, atMs: Date.parse(value.at) };
  const card = cardFeatures(value.card_features);
  return featureRow(payment, card, observeTerminal(terminal, payment, card));
}

import { type Context, fn, type StateCell, state } from 'millrace';
import { observeCard, packCard, unpackCard } from '../features/card.ts';
import { cardFeatures, cardValues, type FeatureRow, featureRow, modelValues } from '../features/row.ts';
import { learnFraud, observeTerminal } from '../features/terminal.ts';
import { payments, replies } from '../intake/streams.ts';
import { TerminalCell, type Waiting } from './cell.ts';
import { ALERT_FROM, fraud } from './model.ts';
import { reasonFor } from './reasons.ts';
import { labelledRow, learnable } from './sample.ts';
import { alerts, labelledPayments, type TerminalPayment, terminalEvents, verdicts } from './streams.ts';

export { alerts, fraud, labelledPayments, terminalEvents, verdicts };

export const cards = state<string>('cards');
export const terminals = state<string>('terminals');

/** Per card: what does this payment look like beside what the card usually pays? Then on to the terminal. */
export const seeCard = fn(
  'see-card',
  { on: payments, from: 'start', batch: { size: 250 }, instances: { min: 1 } },
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

/** A terminal of the batch, and where its state is stored. */
interface Open {
  readonly cell: TerminalCell;
  readonly stored: StateCell<string>;
}

/**
 * Per terminal: what is known of it by now? With both, the model says how likely the payment is fraud. A week later the truth
 * is known, and goes where the model is watched and learns.
 */
export const score = fn(
  'score',
  { on: terminalEvents, from: 'start', batch: { size: 250 }, instances: { min: 1 } },
  async (records, ctx) => {
    const open = new Map<string, Open>();
    const rows: FeatureRow[] = [];
    const keys: string[] = [];
    for (const record of records) {
      const event = record.value;
      let found = open.get(event.terminal);
      if (!found) {
        const stored = ctx.state(terminals, record);
        found = { stored, cell: TerminalCell.unpack(await stored.get()) };
        open.set(event.terminal, found);
      }
      if (event.kind === 'fraud') learnFraud(found.cell.terminal, event.id);
      else {
        rows.push(see(found.cell, event));
        keys.push(String(event.id));
      }
    }
    const values = rows.map(modelValues);
    const judged = await ctx.model(fraud).predict(values, { keys });
    // Once more in the same order: what happens to those that wait depends on the scores of those before.
    let place = 0;
    for (const { value: event } of records) {
      const { cell } = open.get(event.terminal)!;
      if (event.kind === 'fraud') {
        await tell(ctx, event.terminal, cell.takeFraud(event.id) ?? event, true);
        continue;
      }
      for (const each of cell.takeGenuine(Date.parse(event.at))) await tell(ctx, event.terminal, each, false);
      const probability = Number(judged[place]!.probabilities[1].toFixed(4));
      await answer(ctx, event, rows[place]!, probability);
      const { id, at, card } = event;
      const sampled = learnable(id, probability, values[place]!);
      if (sampled || probability >= ALERT_FROM) {
        cell.wait({ id, at, card, score: probability, ...sampled });
      }
      place++;
    }
    for (const { cell, stored } of open.values()) await stored.set(cell.pack());
  },
);

function see({ terminal }: TerminalCell, value: TerminalPayment): FeatureRow {
  const payment = { id: value.id, amount: value.amount, atMs: Date.parse(value.at) };
  const card = cardFeatures(value.card_features);
  return featureRow(payment, card, observeTerminal(terminal, payment, card));
}

async function answer(
  ctx: Context,
  { id, at, card, terminal, amount, reply }: TerminalPayment,
  row: FeatureRow,
  probability: number,
): Promise<void> {
  const suspect = probability >= ALERT_FROM;
  const reason = suspect ? reasonFor(row) : '';
  if (suspect) {
    await ctx.emit(alerts, { payment: id, at, card, terminal, amount, score: probability, reason });
  }
  if (reply !== undefined) {
    await ctx.emit(replies, { reply, score: probability, reasons: suspect ? [reason] : [] });
  }
}

/** The truth of a payment: to whom it may concern where it was fraud or raised an alert, and to learn from where it is of the sample. */
async function tell(
  ctx: Context,
  terminal: string,
  payment: Pick<Waiting, 'id' | 'at' | 'card'> & Partial<Waiting>,
  isFraud: boolean,
): Promise<void> {
  const { id, at, card, score: probability, values, weight } = payment;
  const alerted = probability !== undefined && probability >= ALERT_FROM;
  if (isFraud || alerted) {
    const known = probability === undefined ? {} : { score: probability };
    await ctx.emit(verdicts, { payment: id, at, card, terminal, ...known, alerted, fraud: isFraud });
  }
  if (values && weight !== undefined) await ctx.emit(labelledPayments, labelledRow(values, weight, isFraud));
}

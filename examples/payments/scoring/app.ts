import { fn, type StreamContext, state } from 'millrace';
import { type Payment, payments, replies, terminalEvents } from '../intake/streams.ts';
import { type CardState, learnFraud, observeCard, observeTerminal, type TerminalState } from './features.ts';
import { type Finding, judgeCard, judgeTerminal } from './rules.ts';
import { alerts } from './streams.ts';

export { alerts };

export const cards = state<CardState>('cards');
export const terminals = state<TerminalState>('terminals');

/** Per card: does this payment fit what the card usually does? */
export const scoreCard = fn(
  'score-card',
  { on: payments, from: 'start', batch: { size: 1000, wait: '5ms' } },
  async (records, ctx) => {
    for (const record of records) {
      const payment = record.value;
      const card = ctx.state(cards, record);
      const { features, next } = observeCard(await card.get(), payment.amount, Date.parse(payment.at));
      await card.set(next);
      await report(ctx, 'card', payment, judgeCard(payment.amount, features));
    }
  },
);

/** Per terminal: did payments here turn out to be fraud? Payments and labels come in one stream, in one order. */
export const scoreTerminal = fn(
  'score-terminal',
  { on: terminalEvents, from: 'start', batch: { size: 1000, wait: '5ms' } },
  async (records, ctx) => {
    for (const record of records) {
      const event = record.value;
      const terminal = ctx.state(terminals, record);
      const before = await terminal.get();
      if (event.kind === 'label') {
        if (event.fraud) await terminal.set(learnFraud(before, Date.parse(event.at)));
        continue;
      }
      const { features, next } = observeTerminal(before, Date.parse(event.at));
      await terminal.set(next);
      await report(ctx, 'terminal', event, judgeTerminal(features));
    }
  },
);

async function report(
  ctx: StreamContext,
  by: 'card' | 'terminal',
  payment: Payment,
  finding: Finding | undefined,
): Promise<void> {
  if (finding) {
    const { id, at, card, terminal, amount } = payment;
    await ctx.emit(alerts, { payment: id, at, card, terminal, amount, ...finding });
  }
  if (payment.reply) {
    const reasons = finding ? [finding.reason] : [];
    await ctx.emit(replies, { reply: payment.reply, by, score: finding?.score ?? 0, reasons });
  }
}

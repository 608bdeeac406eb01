import { stream } from 'millrace';
import * as v from 'valibot';
import { Payment } from '../intake/streams.ts';

/**
 * What happens at a terminal: payments, which come by way of their cards, and frauds that become known a week after they were made;
 * what nobody calls fraud by then is genuine. One stream, so their order is one.
 */
export const TerminalEvent = v.variant('kind', [
  v.object({
    kind: v.literal('payment'),
    ...Payment.entries,
    /** What the payment looks like to its card: the values of `CARD_FEATURES`, in their order. */
    card_features: v.array(v.number()),
  }),
  v.object({
    kind: v.literal('fraud'),
    id: v.number(),
    at: v.string(),
    card: v.string(),
    terminal: v.string(),
  }),
]);
export type TerminalEvent = v.InferOutput<typeof TerminalEvent>;
export type TerminalPayment = Extract<TerminalEvent, { kind: 'payment' }>;

export const terminalEvents = stream('terminal-events', {
  schema: TerminalEvent,
  key: 'terminal',
  partitions: 4,
  retention: 'forever',
});

export const Alert = v.object({
  payment: v.number(),
  at: v.string(),
  card: v.string(),
  terminal: v.string(),
  amount: v.number(),
  /** The model's probability of fraud. */
  score: v.number(),
  reason: v.string(),
});
export type Alert = v.InferOutput<typeof Alert>;

export const alerts = stream('alerts', { schema: Alert, key: 'card', partitions: 4, retention: 'forever' });

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

/** The truth of a payment, a week after it: of every fraud, and of every payment that raised an alert. */
export const Verdict = v.object({
  payment: v.number(),
  at: v.string(),
  card: v.string(),
  terminal: v.string(),
  /** What the model had said; left out where it was so little that nobody kept it. */
  score: v.optional(v.number()),
  alerted: v.boolean(),
  fraud: v.boolean(),
});
export type Verdict = v.InferOutput<typeof Verdict>;

export const verdicts = stream('verdicts', {
  schema: Verdict,
  key: 'card',
  partitions: 4,
  retention: 'forever',
});

/** Payments as the model learns from them: its columns, `fraud` (1 or 0), `weight`. A sample: see `sample.ts`. */
export const labelledPayments = stream('labelled-payments', {
  schema: v.record(v.string(), v.number()),
  retention: '30d',
});

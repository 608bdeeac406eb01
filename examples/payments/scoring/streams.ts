import { stream } from 'millrace';
import * as v from 'valibot';
import { Payment } from '../intake/streams.ts';

/** A payment on its way from its card to its terminal. */
export const AtTerminal = v.object({
  ...Payment.entries,
  /** What the payment looks like to its card: the values of `CARD_FEATURES`, in their order. */
  card_features: v.array(v.number()),
});
export type AtTerminal = v.InferOutput<typeof AtTerminal>;

/** As many partitions as `frauds`, so that both reach the same terminal's state. */
export const atTerminals = stream('payments-at-terminals', {
  schema: AtTerminal,
  key: 'terminal',
  partitions: 4,
  retention: '7d',
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

import { stream } from 'millrace';
import * as v from 'valibot';

export const Payment = v.object({
  id: v.number(),
  /** When the card was used, ISO 8601. Event time: features follow it, not the wall clock. */
  at: v.string(),
  card: v.string(),
  terminal: v.string(),
  amount: v.number(),
  /** Somebody waits for the score of this payment; see `accept`. */
  reply: v.optional(v.string()),
});
export type Payment = v.InferOutput<typeof Payment>;

/** A payment turned out to be fraud. It becomes known a week later; what nobody calls fraud by then is genuine. */
export const Fraud = v.object({
  id: v.number(),
  at: v.string(),
  card: v.string(),
  terminal: v.string(),
});
export type Fraud = v.InferOutput<typeof Fraud>;

export const payments = stream('payments', {
  schema: Payment,
  key: 'card',
  partitions: 4,
  retention: 'forever',
});

export const frauds = stream('frauds', {
  schema: Fraud,
  key: 'terminal',
  partitions: 4,
  retention: 'forever',
});

/** The score of a payment that somebody waits for. */
export const Reply = v.object({
  reply: v.string(),
  score: v.number(),
  reasons: v.array(v.string()),
});

export const replies = stream('replies', { schema: Reply, key: 'reply', retention: '1h' });

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

export const payments = stream('payments', {
  schema: Payment,
  key: 'card',
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

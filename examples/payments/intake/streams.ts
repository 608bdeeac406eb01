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

/** A terminal sees payments, and a week later learns which of them were fraud. One stream, so their order is one. */
export const TerminalEvent = v.variant('kind', [
  v.object({ kind: v.literal('payment'), ...Payment.entries }),
  v.object({
    kind: v.literal('label'),
    terminal: v.string(),
    at: v.string(),
    id: v.number(),
    fraud: v.boolean(),
  }),
]);
export type TerminalEvent = v.InferOutput<typeof TerminalEvent>;

export const payments = stream('payments', {
  schema: Payment,
  key: 'card',
  partitions: 4,
  retention: 'forever',
});

export const terminalEvents = stream('terminal-events', {
  schema: TerminalEvent,
  key: 'terminal',
  partitions: 4,
  retention: 'forever',
});

/** What one scorer thinks of a payment that somebody waits for. */
export const Reply = v.object({
  reply: v.string(),
  by: v.picklist(['card', 'terminal']),
  score: v.number(),
  reasons: v.array(v.string()),
});

export const replies = stream('replies', { schema: Reply, key: 'reply', retention: '1h' });

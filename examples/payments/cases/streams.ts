import { stream } from 'millrace';
import * as v from 'valibot';

/** Everything that happens to a case. The events are the truth; what `GET /cases` shows is folded from them. */
export const CaseEvent = v.variant('type', [
  v.object({
    type: v.literal('alerted'),
    card: v.string(),
    at: v.string(),
    payment: v.number(),
    amount: v.number(),
    score: v.number(),
    reason: v.string(),
  }),
  v.object({
    /** A week later the truth of a payment is known. */
    type: v.literal('known'),
    card: v.string(),
    at: v.string(),
    payment: v.number(),
    alerted: v.boolean(),
    fraud: v.boolean(),
  }),
  v.object({
    type: v.literal('closed'),
    card: v.string(),
    at: v.string(),
    verdict: v.picklist(['fraud', 'genuine']),
    analyst: v.string(),
  }),
]);
export type CaseEvent = v.InferOutput<typeof CaseEvent>;

export const caseEvents = stream('case-events', {
  schema: CaseEvent,
  key: 'card',
  partitions: 1,
  retention: 'forever',
});

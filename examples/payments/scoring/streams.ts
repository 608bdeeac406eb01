import { stream } from 'millrace';
import * as v from 'valibot';

export const Alert = v.object({
  payment: v.number(),
  at: v.string(),
  card: v.string(),
  terminal: v.string(),
  amount: v.number(),
  rule: v.picklist(['large-amount', 'unlike-the-card', 'compromised-terminal']),
  reason: v.string(),
  score: v.number(),
});
export type Alert = v.InferOutput<typeof Alert>;

export const alerts = stream('alerts', { schema: Alert, key: 'card', partitions: 4, retention: 'forever' });

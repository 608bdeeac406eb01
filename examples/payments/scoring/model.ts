import { model } from 'millrace';
import * as v from 'valibot';
import { MODEL_COLUMNS } from '../features/row.ts';

/** `fraud.onnx` was trained on made-up payments by `npm run payments:ship`. */
export const fraud = model('fraud', {
  file: './fraud.onnx',
  features: MODEL_COLUMNS,
  output: v.object({
    label: v.picklist(['genuine', 'fraud']),
    /** Of being genuine, and of being fraud. */
    probabilities: v.tuple([v.number(), v.number()]),
  }),
  tags: { example: 'payments' },
  card: `Tells card payments that are fraud from genuine ones.

Boosted trees over what a payment looks like to its card and what is known of its terminal a week ago. Trained on
made-up payments with the three patterns of the Fraud Detection Handbook: large amounts, compromised terminals,
compromised cards. It cannot know of a terminal whose first frauds are less than a week old.`,
});

/** From this probability on a payment raises an alert. */
export const ALERT_FROM = 0.5;

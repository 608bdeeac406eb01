import { drift, model } from 'millrace';
import * as v from 'valibot';
import { MODEL_COLUMNS } from '../features/row.ts';
import { FRAUD_TREES } from '../model/settings.ts';
import { labelledPayments, verdicts } from './streams.ts';

/** With fewer labelled rows nothing is learnt. */
export const LEAST_ROWS = 1000;

/** `fraud.onnx` was trained on made-up payments by `npm run payments:ship`. */
export const fraud = model('fraud', {
  file: './fraud.onnx',
  features: MODEL_COLUMNS,
  output: v.object({
    /** 1: fraud. */
    label: v.picklist(['0', '1']),
    /** Of being genuine, and of being fraud. */
    probabilities: v.tuple([v.number(), v.number()]),
  }),
  tags: { example: 'payments' },
  watch: {
    window: { rows: 5000, every: '5m' },
    // Of frauds and of alerts: precision and recall are right, AUC and accuracy lack the genuine payments that nobody suspected.
    labels: { from: verdicts, key: 'payment', label: 'fraud' },
  },
  // The other columns follow what is known of cards and terminals, which at first is nothing: that they change is no drift.
  retrain: {
    on: drift('amount'),
    from: labelledPayments,
    rows: 50_000,
    least: LEAST_ROWS,
    spec: {
      algorithm: 'boosted-trees',
      label: 'fraud',
      features: MODEL_COLUMNS,
      weight: 'weight',
      settings: FRAUD_TREES,
    },
  },
  gates: { label: 'fraud', output: 'probabilities.1', metrics: { auc: { margin: 0.05 } }, rows: 200 },
  // Shorter than the defaults, which are minutes: here a day of payments takes seconds.
  release: {
    shadow: { for: '10s' },
    canary: { weight: 20, for: '20s' },
    watch: { for: '30s' },
    look: '2s',
    live: { drift: false },
  },
  card: `Tells card payments that are fraud from genuine ones.

Boosted trees over what a payment looks like to its card and what is known of its terminal a week ago. Trained on
made-up payments with the three patterns of the Fraud Detection Handbook: large amounts, compromised terminals,
compromised cards. It cannot know of a terminal whose first frauds are less than a week old.`,
});

/** From this probability on a payment raises an alert. */
export const ALERT_FROM = 0.5;

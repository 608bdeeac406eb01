import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import type { Quality } from '../../examples/payments/model/protocol.ts';

const PAYMENTS = process.env.PAYMENTS_FILE ?? '';
const skip = existsSync(PAYMENTS)
  ? false
  : 'PAYMENTS_FILE names no file with the recorded payments of the Fraud Detection Handbook';

/** Figures of the handbook, chapter 5, for its test week: of its best model by each measure. */
const PUBLISHED: Quality = { averagePrecision: 0.658, auc: 0.871, cardPrecisionAt100: 0.291 };

test('on ten recorded weeks the fraud model is better than what is published for the next', { skip }, () => {
  const main = new URL('../../examples/payments/model/main.ts', import.meta.url).pathname;
  const words = ['--train', PAYMENTS, '--from', '2018-07-18', '--weeks', '10', '--json'];
  const run = spawnSync(process.execPath, [main, ...words], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const { mean, weeks } = JSON.parse(run.stdout) as { mean: Quality; weeks: readonly Quality[] };
  for (const measure of ['averagePrecision', 'auc', 'cardPrecisionAt100'] as const) {
    assert.ok(mean[measure] > PUBLISHED[measure], `${measure} ${mean[measure]}`);
  }
  assert.ok(weeks.every(({ averagePrecision }) => averagePrecision > PUBLISHED.averagePrecision));
});

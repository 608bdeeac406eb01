import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { alerts, payments } from './app.ts';

const pay = (card: string, amount: number) => ({ card, amount, at: '2026-01-01T00:00:00Z' });

test('a card that spends over its limit raises an alert with the sum', async () => {
  await using app = await testApp(import('./app.ts'));
  await app.emit(payments, pay('c1', 500));
  await app.emit(payments, pay('c2', 899));
  await app.emit(payments, pay('c1', 450));
  await app.idle();

  const raised = await app.records(alerts);
  assert.deepEqual(
    raised.map((record) => record.value),
    [{ card: 'c1', sum: 950 }],
  );
});

test('a payment over HTTP is in the stream when it is answered', async () => {
  await using app = await testApp(import('./app.ts'));
  const answer = await app.fetch('/payments', { method: 'POST', body: JSON.stringify(pay('c1', 12)) });
  assert.equal(answer.status, 202);
  const stored = await app.records(payments);
  assert.deepEqual(stored[0]?.value, pay('c1', 12));
});

test('a body that does not fit is answered 422 with the path of every problem', async () => {
  await using app = await testApp(import('./app.ts'));
  const answer = await app.fetch('/payments', { method: 'POST', body: '{"card":7,"at":"now"}' });
  assert.equal(answer.status, 422);
  const problem = (await answer.json()) as { code: string; errors: { path: string }[] };
  assert.equal(problem.code, 'INVALID_INPUT');
  assert.deepEqual(problem.errors.map((error) => error.path).sort(), ['/amount', '/card']);
});

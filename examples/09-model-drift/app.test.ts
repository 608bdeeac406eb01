import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { calls } from './app.ts';

/** Payments as the model knows them, but for how much larger their amounts are. */
const payments = (count: number, factor: number) =>
  Array.from({ length: count }, (_, at) => ({ amount: ((at * 37) % 200) * factor, hour: (at * 7) % 24 }));

test('an input that drifts is told to a function, and only then', async () => {
  await using app = await testApp(import('./app.ts'));
  const score = async (factor: number): Promise<void> => {
    const body = JSON.stringify(payments(500, factor));
    const answer = await app.fetch('/score', { method: 'POST', body });
    assert.equal(answer.status, 200);
    assert.equal(((await answer.json()) as unknown[]).length, 500);
    await app.idle();
  };
  await score(1);
  assert.deepEqual(await app.records(calls), []);
  await score(3);
  const [call] = await app.records(calls);
  assert.deepEqual(call?.value, { text: 'amount and risk of risk are not what they were in training.' });
});

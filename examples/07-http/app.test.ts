import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';

test('parameters and query reach the handler', async () => {
  await using app = await testApp(import('./app.ts'));
  const answer = await app.fetch('/rates/EUR?days=2');
  assert.equal(answer.status, 200);
  const body = (await answer.json()) as { currency: string; series: unknown[] };
  assert.equal(body.currency, 'EUR');
  assert.equal(body.series.length, 2);
});

test('a query that does not fit is answered 422', async () => {
  await using app = await testApp(import('./app.ts'));
  assert.equal((await app.fetch('/rates/EUR?days=many')).status, 422);
});

test('after 100 requests in a minute a client waits', async () => {
  await using app = await testApp(import('./app.ts'));
  // Each counts, also the two at the end that the cache answers: their query came before.
  const statuses: number[] = [];
  for (let request = 0; request < 101; request++) {
    statuses.push((await app.fetch(`/rates/USD?days=${request % 99}`)).status);
  }
  assert.equal(statuses.filter((status) => status === 200).length, 100);
  assert.equal(statuses.at(-1), 429);
  await app.clock.advance('1m');
  assert.equal((await app.fetch('/rates/USD?days=1')).status, 200);
});

test('a body is answered while it is read', async () => {
  await using app = await testApp(import('./app.ts'));
  const answer = await app.fetch('/shout', { method: 'POST', body: 'quietly' });
  assert.equal(await answer.text(), 'QUIETLY');
});

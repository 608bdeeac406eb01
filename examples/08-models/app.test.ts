import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { estimates, rides } from './app.ts';

test('a route answers what the model says', async () => {
  await using app = await testApp(import('./app.ts'));
  const answer = await app.fetch('/eta', { method: 'POST', body: JSON.stringify({ distance: 4, hour: 10 }) });
  assert.deepEqual(await answer.json(), { minutes: 15 });
  const refused = await app.fetch('/eta', {
    method: 'POST',
    body: JSON.stringify({ distance: 'far', hour: 10 }),
  });
  assert.equal(refused.status, 422);
});

test('a stream function scores its batch in one call', async () => {
  await using app = await testApp(import('./app.ts'));
  for (const distance of [0, 2, 4]) await app.emit(rides, { distance, hour: 0 });
  await app.idle();
  const minutes = (await app.records(estimates)).map(({ value }) => value.minutes);
  assert.deepEqual(
    minutes.toSorted((a, b) => a - b),
    [4, 9, 14],
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';

test('it greets by name', async () => {
  await using app = await testApp(import('./app.ts'));

  const named = await app.fetch('/hello?name=world');
  assert.equal(named.status, 200);
  assert.deepEqual(await named.json(), { hello: 'world' });

  const unnamed = await app.fetch('/hello');
  assert.deepEqual(await unnamed.json(), { hello: 'stranger' });
});

test('what it does not serve is not found, and the answer says what is served', async () => {
  await using app = await testApp(import('./app.ts'));
  const answer = await app.fetch('/hallo');
  assert.equal(answer.status, 404);
  assert.equal(answer.headers.get('content-type'), 'application/problem+json');
});

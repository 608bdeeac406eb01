import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { quote } from './app.ts';

test('one function calls another and gets a typed result', async () => {
  await using app = await testApp(import('./app.ts'));
  assert.deepEqual(await app.invoke(quote, { items: 4 }), { net: 50, gross: 59.5 });
});

test('an input that does not fit never reaches the function', async () => {
  await using app = await testApp(import('./app.ts'));
  const wrong = { items: 'four' } as unknown as { items: number };
  await assert.rejects(app.invoke(quote, wrong), { code: 'INVALID_INPUT' });
});

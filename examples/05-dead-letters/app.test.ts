import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { orders, shipments } from './app.ts';

test('an order that always fails becomes a dead letter with its story; the others are shipped', async () => {
  await using app = await testApp(import('./app.ts'));
  await app.emit(orders, { id: 'good', quantity: 1 });
  await app.emit(orders, { id: 'bad', quantity: 0 });
  await app.emit(orders, { id: 'fine', quantity: 2 });
  await app.idle();

  const shipped = (await app.records(shipments)).map((record) => record.value.id);
  assert.deepEqual(shipped.sort(), ['fine', 'good']);

  const letters = await app.records('fulfil.dlq');
  assert.equal(letters.length, 1);
  assert.deepEqual(letters[0]!.value, { id: 'bad', quantity: 0 });
  const headers = letters[0]!.headers;
  assert.match(JSON.stringify(headers), /Order bad is for nothing/);
});

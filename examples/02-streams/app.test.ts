import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { celsius, fahrenheit } from './app.ts';

test('each reading is converted once, and the readings of one sensor stay in order', async () => {
  await using app = await testApp(import('./app.ts'));
  for (const degrees of [0, 37, 100]) await app.emit(celsius, { sensor: 'attic', degrees });
  await app.idle();

  const converted = await app.records(fahrenheit);
  assert.deepEqual(
    converted.map((record) => Math.round(record.value.degrees)),
    [32, 99, 212],
  );
});

test('a reading that does not fit is refused with the path of the problem', async () => {
  await using app = await testApp(import('./app.ts'));
  const wrong = { sensor: 'attic', degrees: 'warm' } as unknown as { sensor: string; degrees: number };
  await assert.rejects(app.emit(celsius, wrong), { code: 'RECORD_INVALID' });
  assert.deepEqual(await app.records(celsius), []);
});

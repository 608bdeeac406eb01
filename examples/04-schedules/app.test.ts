import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { reports } from './app.ts';

test('a test moves the clock instead of waiting', async () => {
  await using app = await testApp(import('./app.ts'));
  await app.clock.advance('11m');
  await app.idle();
  const kinds = (await app.records(reports)).map((record) => (record.value as { kind: string }).kind);
  assert.deepEqual(kinds, ['heartbeat', 'heartbeat']);
});

test('a calendar follows its time zone', async () => {
  await using app = await testApp(import('./app.ts'));
  await app.clock.advance('24h');
  await app.idle();
  const nightly = (await app.records(reports))
    .map((record) => record.value as { kind: string; due: number })
    .filter((report) => report.kind === 'nightly');
  assert.equal(nightly.length, 1);
  // The test's clock begins on 1 January, when Berlin is an hour ahead of UTC.
  assert.equal(new Date(nightly[0]!.due).getUTCHours(), 2);
});

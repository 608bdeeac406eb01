import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMillraceError } from '../kernel/index.ts';
import { createFacts, FACT_STREAMS } from './facts.ts';
import { recordsOf, startStreams, textOf } from './streams.support.ts';

test('facts are records of system streams, with their time, type and key', async () => {
  const { streams, clock } = await startStreams();
  const facts = createFacts(streams, { clock });
  await facts.start?.();
  await createFacts(streams, { clock }).start?.();
  assert.deepEqual(streams.list(), []);
  assert.deepEqual(
    streams.list({ internal: true }).map(({ name }) => name),
    FACT_STREAMS.toSorted(),
  );
  await facts.record('millrace.deployments', 'shop', { type: 'deployed', version: 'abc' });
  const [record] = await recordsOf(streams, 'millrace.deployments');
  assert.equal(textOf(record!.key), 'shop');
  assert.deepEqual(JSON.parse(textOf(record!.value)!), {
    time: '2026-01-01T00:00:00.000Z',
    version: 'abc',
    type: 'deployed',
  });
  await assert.rejects(facts.record('payments' as never, 'k', { type: 'x' }), (error) =>
    isMillraceError(error, 'STREAM_NOT_FOUND'),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryLogStore, memoryStateStore } from '../../adapters/memory/index.ts';
import { createStreamConsumers, type Dispatcher } from '../../functions/index.ts';
import { type FunctionManifest, manualClock, seededRandom } from '../../kernel/index.ts';
import { createStreams } from '../../streams/index.ts';
import { testApi } from './api.fixture.ts';
import { redriveRoutes } from './redrive.ts';

const SCORE: FunctionManifest = {
  name: 'score',
  version: '1',
  entry: 'score.mjs',
  exportName: 'score',
  runtime: 'worker',
  triggers: [{ kind: 'stream', stream: 'payments' }],
  from: 'start',
  batch: null,
  instances: { min: 0, max: 1 },
  perInstance: 1,
  timeoutMs: 1000,
  memoryBytes: 134_217_728,
  cpu: 1,
  tmpBytes: 0,
  retry: { attempts: 1, backoffMs: 1 },
  env: {},
  secrets: [],
};

/** A function that fails until it is mended, with two dead letters. */
async function start() {
  const clock = manualClock();
  const random = seededRandom(1);
  const log = memoryLogStore({ clock, random });
  const state = memoryStateStore({ clock });
  const streams = createStreams({ log, state, clock });
  for (const service of [state, log, streams]) await service.start?.();
  await streams.define({ name: 'payments', partitions: 1 });
  let broken = true;
  let handled = 0;
  const dispatcher: Dispatcher = {
    dispatch: async (_fn, event) => {
      const took = { durationMs: 1, cold: false };
      const error = { code: 'FUNCTION_FAILED', name: 'Error', message: 'broken' } as const;
      if (broken) return { status: 'error', error, ...took };
      if (event.kind === 'records') handled += event.records;
      const result = { failed: [], skipped: [], emits: [], state: [] };
      return { status: 'ok', value: { kind: 'records', result }, ...took };
    },
  };
  const consumers = createStreamConsumers({ streams, dispatcher, clock, random });
  await consumers.apply('shop', [SCORE], []);
  await streams.publish('payments', [{ value: { json: 1 } }, { value: { json: 2 } }]);
  await consumers.idle();
  const api = await testApi({ groups: [redriveRoutes({ consumers })] });
  return {
    api,
    log,
    consumers,
    handled: () => handled,
    mend: () => {
      broken = false;
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await consumers.stop!(AbortSignal.timeout(1000));
    },
  };
}

test('one dead letter is given again, then the rest, each once', async () => {
  await using here = await start();
  const { api, consumers } = here;
  here.mend();
  const one = await api.post('/functions/score/redrive', '{"record":1}');
  assert.deepEqual([one.status, one.body], [202, { redriven: 1, left: 0 }]);
  const rest = await api.post('/functions/score/redrive', '');
  assert.deepEqual([rest.status, rest.body], [202, { redriven: 1, left: 0 }]);
  const none = await api.post('/functions/score/redrive', '{}');
  assert.deepEqual(none.body, { redriven: 0, left: 0 });
  await consumers.idle();
  assert.equal(here.handled(), 2);

  await api.post('/functions/score/redrive', '{}');
  const copies = { topic: 'millrace.redrive.score.payments', partition: 0 };
  assert.deepEqual(
    [here.log.bounds(copies).logStartOffset, here.log.bounds(copies).highWatermark],
    [2, 2],
    'what was handled is not kept',
  );
});

test('what cannot be given again is said', async () => {
  await using here = await start();
  const codes = [];
  for (const [fn, body] of [
    ['score', '{"record":9}'],
    ['score', '{"record":-1}'],
    ['score', '[]'],
    ['nobody', ''],
  ]) {
    const { status, body: problem } = await here.api.post(`/functions/${fn}/redrive`, body!);
    codes.push([status, problem.code]);
  }
  assert.deepEqual(codes, [
    [404, 'NOT_FOUND'],
    [422, 'INVALID_INPUT'],
    [422, 'INVALID_INPUT'],
    [404, 'FUNCTION_NOT_FOUND'],
  ]);
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryStateStore } from '../../src/adapters/memory/index.ts';
import { startFunctions } from '../../src/functions/functions.fixture.ts';
import { createInvocations, invocationsSection } from '../../src/functions/index.ts';
import { type TestApi, testApi } from '../../src/gateway/api/api.fixture.ts';
import { functionRoutes } from '../../src/gateway/index.ts';
import { createIds, resolveConfig, seededRandom, systemClock } from '../../src/kernel/index.ts';

async function start() {
  const app = await startFunctions();
  const clock = systemClock();
  const random = seededRandom(3);
  const ids = createIds(clock, random);
  const config = resolveConfig([invocationsSection]).invocations;
  const state = memoryStateStore({ clock });
  const invocations = createInvocations({ dispatcher: app.functions, state, clock, ids, random, config });
  const api = await testApi({ groups: [functionRoutes({ functions: app.functions, invocations, ids })] });
  await app.deploy('1', {
    echo: { code: 'handler: async (event) => event' },
    quiet: { code: 'handler: () => { console.log("quietly") }' },
    thrower: { code: 'handler() { throw new TypeError("inside") }', retry: { attempts: 1, backoffMs: 1 } },
    typed: {
      code: 'handler: (event) => event.n',
      input: { type: 'object', required: ['n'], properties: { n: { type: 'number' } } },
    },
  });
  return {
    app,
    api,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await app[Symbol.asyncDispose]();
    },
  };
}

async function ended(api: TestApi, location: string) {
  for (;;) {
    const { body } = await api.get(location);
    if (body.finished) return body;
    await new Promise(setImmediate);
  }
}

describe('functions over HTTP', () => {
  it('answer with what the handler returns', async () => {
    await using world = await start();
    const { api } = world;
    const answer = await api.post('/functions/echo', '{"a":[1]}');
    assert.deepEqual([answer.status, answer.body], [200, { a: [1] }]);
    assert.match(answer.headers.get('millrace-invocation-id') ?? '', /^[0-9A-Z]{26}$/);
    assert.equal((await api.post('/functions/quiet', '')).status, 204);
    const large = JSON.stringify('x'.repeat(100_000));
    assert.equal((await api.post('/functions/echo', large)).body.length, 100_000);
  });

  it('answer with problems that say what went wrong', async () => {
    await using world = await start();
    const { api } = world;
    const codeOf = async (path: string, body: string | Uint8Array): Promise<unknown[]> => {
      const answer = await api.post(path, body);
      return [answer.status, answer.body.code];
    };
    assert.deepEqual(await codeOf('/functions/ecko', '1'), [404, 'FUNCTION_NOT_FOUND']);
    assert.deepEqual(await codeOf('/functions/thrower', '1'), [500, 'FUNCTION_FAILED']);
    assert.deepEqual(await codeOf('/functions/echo', '{"a'), [422, 'INVALID_INPUT']);
    assert.deepEqual(await codeOf('/functions/echo', new Uint8Array([0xff])), [400, 'BAD_ENCODING']);
    assert.deepEqual(await codeOf('/functions/echo', '['.repeat(5000)), [400, 'BAD_JSON']);
    assert.deepEqual(await codeOf('/functions/typed', '{"n":"x"}'), [422, 'INVALID_INPUT']);
    assert.deepEqual((await api.post('/functions/typed', '{"n":"x"}')).body.errors[0].path, '/n');
    assert.deepEqual(await codeOf('/functions/echo', `"${'x'.repeat(7_000_000)}"`), [
      413,
      'PAYLOAD_TOO_LARGE',
    ]);
  });

  it('run without their caller: an id at once, then state, result and logs', async () => {
    await using world = await start();
    const { api } = world;
    const accepted = await api.post('/functions/echo', '{"n":1}', { prefer: 'respond-async' });
    assert.equal(accepted.status, 202);
    const record = await ended(api, accepted.headers.get('location')!);
    assert.deepEqual([record.state, record.result, record.attempts.length], ['succeeded', { n: 1 }, 1]);
    const quiet = await api.post('/functions/quiet', '', { prefer: 'respond-async' });
    assert.equal((await ended(api, quiet.body.location)).logs[0].message, 'quietly');
    const failed = await api.post('/functions/thrower', '', { prefer: 'respond-async' });
    assert.equal((await ended(api, failed.body.location)).error.message, 'inside');
    assert.equal((await api.get('/invocations/none')).body.code, 'INVOCATION_NOT_FOUND');
  });

  it('with one Idempotency-Key run once, and answer the same again', async () => {
    await using world = await start();
    const { api } = world;
    const key = { 'idempotency-key': 'order-1' };
    const answers = await Promise.all([1, 2].map(() => api.post('/functions/echo', '{"n":2}', key)));
    assert.deepEqual(
      answers.map(({ body }) => body),
      [{ n: 2 }, { n: 2 }],
    );
    assert.equal(new Set(answers.map(({ headers }) => headers.get('millrace-invocation-id'))).size, 1);
    assert.equal((await api.post('/functions/echo', '3', key)).body.code, 'IDEMPOTENCY_KEY_REUSED');
  });

  it('tell how they are', async () => {
    await using world = await start();
    const { api } = world;
    await api.post('/functions/echo', '1');
    const { body } = await api.get('/functions/echo');
    assert.deepEqual([body.instances, body.stats.invocations, body.configuration.perInstance], [1, 1, 80]);
    const list = await api.get('/functions');
    assert.deepEqual(
      list.body.functions.map(({ name }: { name: string }) => name),
      ['echo', 'quiet', 'thrower', 'typed'],
    );
  });
});

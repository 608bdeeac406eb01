import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpTrigger } from '../kernel/index.ts';
import { encodeBatch } from '../streams/record-batch/index.ts';
import { startFunctions, type TestFunctions } from './functions.fixture.ts';
import type { HttpEvent, HttpReply, InvocationOutcome, RecordsEvent, RecordsResult } from './invocation.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const text = (value: Uint8Array): string => Buffer.from(value).toString();

const context = (id: string) =>
  ({ invocationId: id, idempotencyKey: id, attempt: 1, depth: 0, trigger: 'stream' }) as const;

const ON_STREAM = { triggers: [{ kind: 'stream', stream: 'payments' }] } as const;

function packed(values: readonly (string | null | 'same')[]): Uint8Array {
  const parts = values.map((value) => {
    const length = Buffer.alloc(4);
    length.writeInt32LE(value === null ? -1 : value === 'same' ? -2 : value.length);
    return value === null || value === 'same' ? length : Buffer.concat([length, Buffer.from(value)]);
  });
  return new Uint8Array(Buffer.concat(parts));
}

function recordsEvent(
  keys: readonly string[],
  asBatch: boolean,
  given: Partial<RecordsEvent> = {},
): RecordsEvent {
  const records = keys.map((key, index) => ({ key: bytes(key), value: bytes(JSON.stringify({ n: index })) }));
  return {
    kind: 'records',
    stream: 'payments',
    partition: 2,
    batches: encodeBatch(records, { timeMs: 1000, baseOffset: 100 }),
    records: keys.length,
    asBatch,
    state: new Map(),
    readState: async () => assert.fail('nothing should be asked for'),
    ...given,
  };
}

async function run(app: TestFunctions, event: RecordsEvent): Promise<RecordsResult> {
  const outcome = await app.functions.dispatch('score', event, context('i1'));
  assert.equal(outcome.status, 'ok', JSON.stringify(outcome));
  const { value } = outcome as InvocationOutcome & { status: 'ok' };
  assert.equal(value.kind, 'records');
  return (value as { result: RecordsResult }).result;
}

describe('records', () => {
  it('come one by one, with their keys, times and idempotency keys; what is emitted is held', async () => {
    await using app = await startFunctions();
    const code = `async handler(record, ctx) {
      const { kind, stream, partition, offset, key, value, time } = record;
      await ctx.emit('out', { kind, stream, partition, offset, key, value, time, once: ctx.idempotencyKey }, { headers: { a: 'b' } });
    }`;
    await app.deploy('1', { score: { code, ...ON_STREAM } });
    const result = await run(app, recordsEvent(['a', 'b'], false));
    assert.deepEqual(app.emitted, [], 'nothing leaves before the commit');
    const emits = result.emits.toSorted((a, b) => a.causeOffset! - b.causeOffset!);
    assert.deepEqual(JSON.parse(text(emits[1]!.value)), {
      kind: 'record',
      stream: 'payments',
      partition: 2,
      offset: 101,
      key: 'b',
      value: { n: 1 },
      time: 1000,
      once: 'i1/101',
    });
    assert.deepEqual([emits[1]!.stream, emits[1]!.headers[0]!.key], ['out', 'a']);
  });

  it('that fail hold back later ones of their key, and nothing of them is kept', async () => {
    await using app = await startFunctions();
    const code = `async handler(record, ctx) {
      await ctx.emit('out', record.offset);
      const cell = ctx.state('sum', record);
      await cell.set(((await cell.get()) ?? 0) + 1);
      if (record.offset === 101) throw new RangeError('not this one');
    }`;
    await app.deploy('1', { score: { code, ...ON_STREAM } });
    const state = new Map([['sum', packed(['5', null, 'same', 'same'])]]);
    const result = await run(app, recordsEvent(['a', 'b', 'a', 'b'], false, { state }));
    assert.deepEqual(
      result.failed.map(({ offset, error }) => [offset, error.name]),
      [[101, 'RangeError']],
    );
    assert.deepEqual(result.skipped, [103]);
    assert.deepEqual(result.emits.map(({ causeOffset }) => causeOffset).sort(), [100, 102]);
    assert.deepEqual(
      result.state.map(({ state: name, offset, value }) => [name, offset, text(value!)]),
      [
        ['sum', 100, '6'],
        ['sum', 102, '7'],
      ],
    );
  });

  it('come as a batch; some may be named as failed; state not at hand is asked for once', async () => {
    await using app = await startFunctions();
    const code = `async handler(records, ctx) {
      for (const record of records) {
        const cell = ctx.state({ name: 'sum' }, record);
        if ((await cell.get()) === 'old') await cell.delete(); else { await cell.set(1); await cell.set(2); }
      }
      await ctx.emit('out', records.length);
      return { failed: [1] };
    }`;
    await app.deploy('1', { score: { code, batch: { size: 10, waitMs: 0 }, ...ON_STREAM } });
    let asked = 0;
    const readState = async (): Promise<Uint8Array> => {
      asked++;
      return packed(['"old"', null]);
    };
    const result = await run(app, recordsEvent(['a', 'b'], true, { readState }));
    assert.equal(asked, 1);
    assert.deepEqual(
      result.failed.map(({ offset }) => offset),
      [101],
    );
    assert.deepEqual(
      result.state.map(({ offset, value }) => [offset, value && text(value)]),
      [
        [100, null],
        [101, '2'],
      ],
    );
    assert.equal(text(result.emits[0]!.value), '2');
  });

  it('of a batch that throws give nothing but the error', async () => {
    await using app = await startFunctions();
    const code = `async handler(records, ctx) { await ctx.emit('out', 1); throw new Error('all of it'); }`;
    await app.deploy('1', { score: { code, batch: { size: 10, waitMs: 0 }, ...ON_STREAM } });
    const outcome = await app.functions.dispatch('score', recordsEvent(['a'], true), context('i1'));
    assert.equal(outcome.status === 'error' && outcome.error.message, 'all of it');
  });
});

const ROUTE: HttpTrigger = {
  kind: 'http',
  method: 'POST',
  path: '/pay/:id',
  streamBody: false,
  maxBodyBytes: 1e6,
};

function request(given: Partial<HttpEvent> = {}): HttpEvent {
  return {
    kind: 'http',
    method: 'POST',
    url: '/pay/7?x=1',
    route: '/pay/:id',
    params: { id: '7' },
    query: { x: '1' },
    headers: { 'content-type': 'application/json' },
    clientIp: '127.0.0.1',
    body: bytes('{"amount":3}'),
    ...given,
  };
}

async function fetched(app: TestFunctions, event: HttpEvent): Promise<HttpReply> {
  const outcome = await app.functions.dispatch('web', event, { ...context('i1'), trigger: 'http' });
  assert.equal(outcome.status, 'ok', JSON.stringify(outcome));
  const { value } = outcome as InvocationOutcome & { status: 'ok' };
  assert.equal(value.kind, 'http');
  return (value as { response: HttpReply }).response;
}

async function whole(reply: HttpReply): Promise<string> {
  if (reply.body === undefined || reply.body instanceof Uint8Array)
    return text(reply.body ?? new Uint8Array());
  const chunks: Uint8Array[] = [];
  for await (const chunk of reply.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('requests', () => {
  it('bring a value, and take back JSON, text, bytes, nothing or a Response', async () => {
    await using app = await startFunctions();
    const code = `async handler(req) {
      if (req.query.x === '1') return { status: 201, headers: { 'x-a': ['1', '2'] }, body: { id: req.params.id, ...req.body, text: await req.text() } };
      return { text: { body: 'plain' }, bytes: { body: new Uint8Array([65, 66]) }, nothing: undefined, web: new Response('web', { status: 418 }) }[req.query.x];
    }`;
    await app.deploy('1', { web: { code, triggers: [ROUTE] } });
    const first = await fetched(app, request());
    assert.equal(first.statusCode, 201);
    assert.deepEqual(first.headers, [
      ['content-type', 'application/json'],
      ['x-a', '1'],
      ['x-a', '2'],
    ]);
    assert.deepEqual(JSON.parse(await whole(first)), { id: '7', amount: 3, text: '{"amount":3}' });
    const seen = [];
    for (const x of ['text', 'bytes', 'nothing', 'web']) {
      const reply = await fetched(app, request({ query: { x } }));
      seen.push([reply.statusCode, await whole(reply)]);
    }
    assert.deepEqual(seen, [
      [200, 'plain'],
      [200, 'AB'],
      [204, ''],
      [418, 'web'],
    ]);
  });

  it('bring every byte, in a buffer of its own, and text of every alphabet', async () => {
    await using app = await startFunctions();
    const code = `async handler(req) {
      const all = await req.bytes();
      return { body: { value: typeof req.body === 'string' ? req.body : [...req.body], bytes: [...all], own: all.buffer.byteLength === all.length } };
    }`;
    await app.deploy('1', { web: { code, triggers: [ROUTE] } });
    const answer = async (type: string, body: Uint8Array): Promise<unknown> =>
      JSON.parse(await whole(await fetched(app, request({ headers: { 'content-type': type }, body }))));
    const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const all = { value: [...every], bytes: [...every], own: true };
    assert.deepEqual(await answer('application/octet-stream', every), all);
    const greeting = bytes('Grüße, 世界 👋');
    const text = { value: 'Grüße, 世界 👋', bytes: [...greeting], own: true };
    assert.deepEqual(await answer('text/plain', greeting), text);
  });

  it("do not wait for Node's web API to load where no handler asks for it", async () => {
    await using app = await startFunctions();
    const code = `handler: () => ({ body: process.moduleLoadList.filter((name) => name.includes('undici')) })`;
    await app.deploy('1', { web: { code, triggers: [ROUTE] } });
    await fetched(app, request());
    assert.equal(await whole(await fetched(app, request())), '[]');
  });

  it('stream both ways, bounded by what the reader takes', async () => {
    await using app = await startFunctions();
    const code = `async handler(req) {
      return { body: (async function* () { for await (const chunk of req.body) yield Buffer.from(chunk).toString().toUpperCase(); })() };
    }`;
    await app.deploy('1', { web: { code, triggers: [{ ...ROUTE, streamBody: true }] } });
    let given = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      for (; given < 100; given++) yield bytes('x'.repeat(64 * 1024));
    }
    const reply = await fetched(app, request({ body: source() }));
    let received = 0;
    for await (const chunk of reply.body as AsyncIterable<Uint8Array>) {
      const ahead = given - received / (64 * 1024);
      assert.ok(ahead < 20, `${ahead} chunks were taken ahead of the reader`);
      received += chunk.byteLength;
      assert.ok(!Buffer.from(chunk).includes('x'));
    }
    assert.equal(received, 100 * 64 * 1024);
    while (app.functions.describe('web').inFlight > 0) await new Promise(setImmediate);
  });

  it('whose answer cannot be sent, or whose body cannot be read, are told so', async () => {
    await using app = await startFunctions();
    const code = `handler: (req) => ({ status: 99, list: [], header: { headers: { 'a b': 'c' } } }[req.body.kind] ?? { status: 42 })`;
    await app.deploy('1', { web: { code, triggers: [ROUTE] } });
    const codeOf = async (body: string): Promise<string> => {
      const outcome = await app.functions.dispatch('web', request({ body: bytes(body) }), context('i1'));
      return outcome.status === 'error' ? outcome.error.code : 'ok';
    };
    assert.equal(await codeOf('{"kind":"list"}'), 'RESULT_INVALID');
    assert.equal(await codeOf('{"kind":"header"}'), 'RESULT_INVALID');
    assert.equal(await codeOf('{"kind":"other"}'), 'RESULT_INVALID');
    assert.equal(await codeOf('{"broken'), 'INVALID_INPUT');
  });
});

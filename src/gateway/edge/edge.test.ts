import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { manualClock, onSignal } from '../../kernel/index.ts';
import { appVersion, startEdge } from './edge.fixture.ts';

const text = (body: string) => ({ body: Buffer.from(body) });
const problem = async (answer: Response) =>
  (await answer.json()) as { code: string; errors?: { path: string }[]; detail: string };

describe('the edge port', () => {
  it('serves what apps declare, and answers the rest as a problem', async () => {
    await using door = await startEdge({
      handlers: { show: ({ params }) => text(`card ${params.id}`), make: () => ({ statusCode: 201 }) },
    });
    await door.deploy('shop', '1', [
      { fn: 'show', path: '/cards/:id' },
      { fn: 'make', path: '/cards/:id', method: 'POST' },
    ]);
    assert.equal(await (await door.fetch('/cards/c%201')).text(), 'card c 1');
    assert.equal((await door.fetch('/cards/c1', { method: 'POST' })).status, 201);

    const missing = await door.fetch('/card');
    assert.equal(missing.status, 404);
    assert.equal(missing.headers.get('content-type'), 'application/problem+json');
    const wrong = await door.fetch('/cards/c1', { method: 'DELETE' });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'GET, HEAD, OPTIONS, POST');
    const options = await door.fetch('/cards/c1', { method: 'OPTIONS' });
    assert.equal(options.status, 204);
    assert.equal(options.headers.get('allow'), 'GET, HEAD, OPTIONS, POST');
  });

  it('answers HEAD with the headers of GET alone', async () => {
    await using door = await startEdge({ handlers: { show: () => text('four') } });
    await door.deploy('shop', '1', [{ fn: 'show' }]);
    const answer = await door.fetch('/', { method: 'HEAD' });
    assert.equal(answer.headers.get('content-length'), '4');
    assert.equal(await answer.text(), '');
  });

  it('checks bodies: size while they come, JSON, and every problem by its path', async () => {
    const body = { type: 'object', properties: { card: { type: 'string' } }, required: ['card', 'amount'] };
    await using door = await startEdge({
      handlers: { take: ({ body: bytes }) => text(`${(bytes as Buffer).length}`) },
    });
    await door.deploy('shop', '1', [{ fn: 'take', path: '/take', method: 'POST', body }]);
    const post = (content: string) => door.fetch('/take', { method: 'POST', body: content });
    assert.equal(await (await post('{"card":"c","amount":1}')).text(), '23');
    assert.equal((await post('{"card"')).status, 400);
    assert.equal((await post('')).status, 400);
    const invalid = await post('{"card":7}');
    assert.equal(invalid.status, 422);
    const { code, errors } = await problem(invalid);
    assert.equal(code, 'INVALID_INPUT');
    assert.deepEqual(errors?.map(({ path }) => path).sort(), ['/amount', '/card']);
    assert.equal((await post(`"${'x'.repeat(2000)}"`)).status, 413);
    const chunked = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(600)),
    });
    const init = { method: 'POST', body: chunked, duplex: 'half' } as RequestInit;
    assert.equal((await door.fetch('/take', init)).status, 413);
    assert.equal(door.calls.length, 1);
  });

  it('turns the query into what its schema asks for, and checks it', async () => {
    const query = {
      type: 'object',
      properties: {
        days: { type: 'integer', maximum: 30 },
        tag: { type: 'array', items: { type: 'string' } },
        live: { type: 'boolean' },
        code: { anyOf: [{ type: 'string' }, { type: 'number' }] },
      },
    };
    await using door = await startEdge({ handlers: { list: () => ({}) } });
    await door.deploy('shop', '1', [
      { fn: 'list', path: '/list', query },
      { fn: 'list', path: '/free' },
    ]);
    await door.fetch('/list?days=3&tag=a&live=true&code=007');
    assert.deepEqual({ ...door.calls[0]!.query }, { days: 3, tag: ['a'], live: true, code: '007' });
    assert.equal((await door.fetch('/list?days=three')).status, 422);
    assert.equal((await door.fetch('/list?days=31')).status, 422);
    await door.fetch('/free?a=1&a=2&__proto__=x&b=+%26');
    const free = door.calls[1]!.query;
    assert.deepEqual(Object.entries(free), [
      ['a', ['1', '2']],
      ['__proto__', 'x'],
      ['b', ' &'],
    ]);
  });

  it('sends lists of cookies, statuses and bytes as they are, and keeps the framing its own', async () => {
    const headers = [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['content-length', '9999'],
      ['x-note', 'yes'],
    ] as const;
    await using door = await startEdge({
      handlers: { show: () => ({ statusCode: 418, headers, body: Uint8Array.of(0, 255, 10) }) },
    });
    await door.deploy('shop', '1', [{ fn: 'show' }]);
    const answer = await door.fetch('/');
    assert.equal(answer.status, 418);
    assert.deepEqual(answer.headers.getSetCookie(), ['a=1', 'b=2']);
    assert.equal(answer.headers.get('x-note'), 'yes');
    assert.deepEqual([...(await answer.bytes())], [0, 255, 10]);
  });

  it('keeps a failed function to itself: the client gets the invocation, the log the stack', async () => {
    const lines: { invocationId: string; attributes?: Record<string, unknown> }[] = [];
    const stop = onSignal('function.log', (line) => lines.push(line));
    await using door = await startEdge({ handlers: { show: () => new Error('password is hunter2') } });
    await door.deploy('shop', '1', [{ fn: 'show' }]);
    const answer = await door.fetch('/');
    stop();
    assert.equal(answer.status, 500);
    const content = await answer.text();
    assert.doesNotMatch(content, /hunter2|at .*\.ts/);
    assert.equal(lines[0]?.invocationId, answer.headers.get('millrace-invocation-id'));
    assert.match(String(lines[0]?.attributes?.stack), /edge\.test\.ts/);
  });

  it('carries a trace on, and begins one where there is none or a broken one', async () => {
    const seen: (string | undefined)[] = [];
    await using door = await startEdge({
      handlers: { show: (_, { traceparent }) => ({ statusCode: seen.push(traceparent) && 200 }) },
    });
    await door.deploy('shop', '1', [{ fn: 'show' }]);
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const ask = async (traceparent: string) =>
      (await door.fetch('/', { headers: { traceparent } })).headers.get('traceparent');
    const answered = await ask(`00-${trace}-b7ad6b7169203331-01`);
    assert.equal(answered, seen[0]);
    assert.match(answered!, new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
    assert.doesNotMatch(answered!, /b7ad6b7169203331/);
    const broken = [
      `00-${trace}-0000000000000000-01`,
      `ff-${trace}-b7ad6b7169203331-01`,
      `00-${trace}-b7ad6b7169203331-01-x`,
      `00-${trace.toUpperCase()}-b7ad6b7169203331-01`,
    ];
    for (const each of broken) assert.doesNotMatch((await ask(each))!, new RegExp(trace, 'i'));
    assert.match(
      (await door.fetch('/nowhere')).headers.get('traceparent')!,
      /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/,
    );
  });

  it('hands the idempotency key on; without one it is the invocation', async () => {
    const seen: string[] = [];
    await using door = await startEdge({
      handlers: { show: (_, context) => ({ statusCode: seen.push(context.idempotencyKey) && 200 }) },
    });
    await door.deploy('shop', '1', [{ fn: 'show' }]);
    await door.fetch('/', { headers: { 'idempotency-key': 'order-7' } });
    const second = await door.fetch('/');
    assert.deepEqual(seen, ['order-7', second.headers.get('millrace-invocation-id')]);
    assert.equal((await door.fetch('/', { headers: { 'idempotency-key': 'x'.repeat(300) } })).status, 400);
  });

  it('opens a route with keys to those who have one', async () => {
    await using door = await startEdge({ handlers: { show: () => ({}) }, secrets: { PARTNER: 's3cret' } });
    await door.deploy('shop', '1', [{ fn: 'show', keys: ['PARTNER', 'NEVER_SET'] }]);
    const status = async (headers: Record<string, string>) => (await door.fetch('/', { headers })).status;
    assert.equal(await status({}), 401);
    assert.equal(await status({ authorization: 'Bearer wrong' }), 401);
    assert.equal(await status({ authorization: 'Bearer s3cret' }), 200);
    assert.equal(await status({ 'x-api-key': 's3cret' }), 200);
    assert.equal(await status({ 'x-api-key': '' }), 401);
  });

  it('lets pages of the named origins in, and no others', async () => {
    const cors = {
      origins: ['https://shop.example'],
      headers: ['x-note'],
      maxAgeMs: 60_000,
      credentials: true,
    };
    await using door = await startEdge({ handlers: { take: () => ({}) } });
    await door.deploy('shop', '1', [{ fn: 'take', method: 'POST', cors }]);
    const preflight = (origin: string) =>
      door.fetch('/', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
    const granted = (await preflight('https://shop.example')).headers;
    assert.equal(granted.get('access-control-allow-origin'), 'https://shop.example');
    assert.equal(granted.get('access-control-allow-headers'), 'x-note');
    assert.equal(granted.get('access-control-max-age'), '60');
    assert.equal(granted.get('access-control-allow-credentials'), 'true');
    assert.equal((await preflight('https://evil.example')).headers.get('access-control-allow-origin'), null);
    const simple = await door.fetch('/', { method: 'POST', headers: { origin: 'https://shop.example' } });
    assert.equal(simple.headers.get('access-control-allow-origin'), 'https://shop.example');
    assert.equal(simple.headers.get('vary'), 'Origin');
    // A page must be able to read why it was refused.
    const refused = await door.fetch('/', {
      method: 'POST',
      body: 'x'.repeat(2000),
      headers: { origin: 'https://shop.example' },
    });
    assert.equal(refused.status, 413);
    assert.equal(refused.headers.get('access-control-allow-origin'), 'https://shop.example');
  });

  it('lets exactly the allowed requests through, however many come at once', async () => {
    const clock = manualClock();
    await using door = await startEdge({ handlers: { show: () => ({}) }, clock });
    await door.deploy('shop', '1', [{ fn: 'show', rateLimit: { requests: 50, perMs: 60_000, by: 'ip' } }]);
    const burst = await Promise.all(Array.from({ length: 80 }, () => door.fetch('/')));
    assert.equal(burst.filter(({ status }) => status === 200).length, 50);
    const refused = burst.find(({ status }) => status === 429)!;
    assert.equal(refused.headers.get('retry-after'), '60');
    assert.equal(refused.headers.get('ratelimit-limit'), '50');
    assert.equal(refused.headers.get('ratelimit-remaining'), '0');
    // A new version with the same limit does not hand out a new allowance.
    await door.deploy('shop', '2', [{ fn: 'show', rateLimit: { requests: 50, perMs: 60_000, by: 'ip' } }]);
    assert.equal((await door.fetch('/')).status, 429);
    clock.advance(60_000);
    assert.equal((await door.fetch('/')).status, 200);
  });

  it('asks who calls, and believes only trusted proxies', async () => {
    const allow = ['10.1.0.0/16', '2001:db8::/32'];
    await using plain = await startEdge({ handlers: { show: () => ({}) } });
    await plain.deploy('shop', '1', [{ fn: 'show', allow }]);
    assert.equal((await plain.fetch('/', { headers: { 'x-forwarded-for': '10.1.2.3' } })).status, 403);

    await using behind = await startEdge({
      handlers: { show: ({ clientIp }) => text(clientIp) },
      config: { trustedProxies: ['127.0.0.1', '192.168.0.0/24'] },
    });
    await behind.deploy('shop', '1', [{ fn: 'show', allow }]);
    const ask = (forwarded: string) => behind.fetch('/', { headers: { 'x-forwarded-for': forwarded } });
    assert.equal(await (await ask('10.1.2.3')).text(), '10.1.2.3');
    assert.equal(await (await ask('2001:db8::7')).text(), '2001:db8::7');
    assert.equal(await (await ask('10.1.9.9, ::ffff:10.1.2.3, 192.168.0.7')).text(), '10.1.2.3');
    assert.equal((await ask('10.1.2.3, 8.8.8.8')).status, 403);
    assert.equal((await ask('10.1.2.3, nonsense')).status, 403);
  });

  it('says at plan whose route a new one would take', async () => {
    await using door = await startEdge({ handlers: { show: () => ({}) } });
    await door.deploy('shop', '1', [{ fn: 'show', path: '/cards/:id' }]);
    const rival = appVersion('rival', '1', [{ fn: 'mine', path: '/cards/:card' }]);
    const [change] = await door.edge.deployable.plan(undefined, rival);
    assert.equal(change?.code, 'NAME_TAKEN');
    assert.match(change?.refusal ?? '', /'show' of app 'shop'/);
    const [fine] = await door.edge.deployable.plan(
      undefined,
      appVersion('rival', '1', [{ fn: 'mine', path: '/cards/new' }]),
    );
    assert.equal(fine?.action, 'create');
  });

  it('serves a request wholly by one version, also when its body takes longer than a deployment', async () => {
    const versionOf = (version: string) => () => text(version);
    const clock = manualClock();
    const handlers = { 'take@1': versionOf('1'), 'take@2': versionOf('2') };
    await using door = await startEdge({ handlers, clock });
    const strict = { type: 'object', required: ['card'] };
    await door.deploy('shop', '1', [{ fn: 'take', method: 'POST' }]);
    let finish = (): void => undefined;
    const slow = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from('{"ca'));
        finish = () => {
          controller.enqueue(Buffer.from('rd":1}'));
          controller.close();
        };
      },
    });
    const before = clock.pending();
    const answer = door.fetch('/', { method: 'POST', body: slow, duplex: 'half' } as RequestInit);
    // The deadline of its body is armed: version 1 has begun to read it.
    while (clock.pending() === before) await new Promise(setImmediate);
    await door.deploy('shop', '2', [{ fn: 'take', method: 'POST', body: strict }]);
    finish();
    assert.equal(await (await answer).text(), '2');
  });
});

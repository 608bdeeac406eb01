import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { type Guard, MillraceError, onSignal, type Signals } from '../../kernel/index.ts';
import { exchangeRaw, testApi } from './api.fixture.ts';
import { createApiDoor } from './door.ts';

const portOf = (url: string): number => Number(new URL(url).port);

describe('the API port', () => {
  it('answers everything unknown with problem details that name the remedy', async () => {
    await using api = await testApi();
    const answer = await api.get('/strems');
    assert.equal(answer.status, 404);
    assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    assert.equal(answer.body.code, 'NOT_FOUND');
    assert.match(answer.body.detail, /openapi\.json/);
  });

  it('tells which methods apply, for hot routes and for the others', async () => {
    await using api = await testApi();
    const cases = [
      ['/streams/a/records', 'DELETE', 'POST, GET, HEAD, OPTIONS'],
      ['/streams/a', 'POST', 'GET, PUT, DELETE, HEAD, OPTIONS'],
      ['/healthz', 'PATCH', 'GET, HEAD, OPTIONS'],
    ] as const;
    for (const [path, method, allow] of cases) {
      const refused = await api.fetch(path, { method });
      assert.equal(refused.status, 405, path);
      assert.equal(refused.headers.get('allow')?.split(', ').sort().join(), allow.split(', ').sort().join());
      const options = await api.fetch(path, { method: 'OPTIONS' });
      assert.equal(options.status, 204);
      assert.equal(options.headers.get('allow'), refused.headers.get('allow'));
    }
  });

  it('answers HEAD as GET without a body', async () => {
    await using api = await testApi();
    await api.streams.define({ name: 'a' });
    for (const path of [
      '/healthz',
      '/streams',
      '/streams/a',
      '/streams/a/records',
      '/metrics',
      '/openapi.json',
    ]) {
      const response = await api.fetch(path, { method: 'HEAD' });
      assert.equal(response.status, 200, path);
      assert.equal(await response.text(), '');
    }
  });

  it('refuses a body over the limit while it comes, and the client can read why', async () => {
    await using api = await testApi();
    await api.streams.define({ name: 'a' });
    const declared = await api.post('/streams/a/records', Buffer.alloc(64 * 1024 * 1024, 0x20));
    assert.deepEqual([declared.status, declared.body.code], [413, 'PAYLOAD_TOO_LARGE']);
    for (const path of ['/streams/a/records', '/streams']) {
      const block = new Uint8Array(1024 * 1024).fill(0x20);
      let sent = 0;
      const body = new ReadableStream({
        pull: (controller) => (sent++ < 64 ? controller.enqueue(block) : controller.close()),
      });
      const response = await api.fetch(path, { method: 'POST', body, duplex: 'half' } as RequestInit);
      assert.equal(response.status, 413, path);
      assert.match(((await response.json()) as { detail: string }).detail, /larger than 6291456 bytes/);
    }
  });

  it('does not ask for a body that it would refuse', async () => {
    await using api = await testApi();
    const head = 'POST /streams/a/records HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n';
    const refused = await api.raw(`${head}Content-Length: 999999999\r\n\r\n`, /\}$/);
    assert.match(refused, /^HTTP\/1\.1 413 /);
    const welcome = await api.raw(`${head}Content-Length: 2\r\n\r\n`, /100 Continue/);
    assert.match(welcome, /^HTTP\/1\.1 100 Continue/);
  });

  it('answers what is not HTTP and what is too large with a problem', async () => {
    await using api = await testApi();
    assert.match(
      await api.raw('\u0016\u0003\u0001 tls?\r\n\r\n'),
      /^HTTP\/1\.1 400 [\s\S]*"code":"BAD_REQUEST"/,
    );
    const long = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`;
    assert.match(await api.raw(long), /^HTTP\/1\.1 431 [\s\S]*"code":"HEADERS_TOO_LARGE"/);
    assert.match(
      await api.raw('GET /streams/%zz/records HTTP/1.1\r\nHost: localhost\r\n\r\n', /\}$/),
      /400 Bad Request/,
    );
  });

  it('answers an address that is none as bad, not as a fault of its own', async () => {
    await using api = await testApi();
    const answer = await api.raw('GET /stre\\ams HTTP/1.1\r\nHost: localhost\r\n\r\n', /\}$/);
    assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*"code":"BAD_REQUEST"/);
  });

  it('ends connections that send their headers too slowly', async () => {
    await using api = await testApi({ limits: { headersTimeoutMs: 100, requestTimeoutMs: 200 } });
    assert.match(
      await api.raw('GET /healthz HTTP/1.1\r\nHost: loc'),
      /^HTTP\/1\.1 408 [\s\S]*REQUEST_TIMEOUT/,
    );
  });

  it('survives peers that vanish in the middle of a body', async () => {
    await using api = await testApi();
    await api.streams.define({ name: 'a' });
    const head = 'POST /streams/a/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    for (let round = 0; round < 20; round++) {
      const socket = connect(portOf(api.door.url), '127.0.0.1');
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.write(`${head}Content-Length: 100\r\n\r\n{"half":`);
      await new Promise((resolve) => setImmediate(resolve));
      socket.destroy();
    }
    assert.equal((await api.get('/healthz')).status, 200);
    assert.equal((await api.get('/streams/a/records')).body.records.length, 0);
  });

  it('takes at most so many connections', async () => {
    await using api = await testApi({ limits: { connections: 2 } });
    const sockets = [0, 1].map(() => connect(portOf(api.door.url), '127.0.0.1'));
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    assert.equal(await api.raw('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'), '');
    for (const socket of sockets) socket.destroy();
  });

  it('on loopback answers only to the names and pages of this machine', async () => {
    await using api = await testApi();
    const get = (headers: string) =>
      api.raw(`GET /healthz HTTP/1.1\r\n${headers}\r\nConnection: close\r\n\r\n`);
    for (const host of ['localhost', '127.0.0.1:7401', '[::1]:7401', 'app.localhost', 'LOCALHOST:1']) {
      assert.match(await get(`Host: ${host}`), /^HTTP\/1\.1 200 /, host);
    }
    for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1', '']) {
      assert.match(await get(`Host: ${host}`), /^HTTP\/1\.1 403 [\s\S]*"code":"FORBIDDEN"/, host);
    }
    assert.match(await get('Host: localhost\r\nOrigin: http://localhost:5173'), /^HTTP\/1\.1 200 /);
    for (const origin of ['https://evil.example', 'null', 'http://localhost@evil.example', 'file://']) {
      assert.match(await get(`Host: localhost\r\nOrigin: ${origin}`), /^HTTP\/1\.1 403 /, origin);
    }
  });

  it('asks the guard with the token, the action and the resource', async () => {
    const asked: unknown[] = [];
    const guard: Guard = {
      identify: async ({ bearer, loopback }) => {
        if (bearer !== 'good') throw new MillraceError('UNAUTHENTICATED', 'Send a token.');
        asked.push(loopback);
        return { id: 'someone', kind: 'token' };
      },
      permit: (principal, action, resource) => {
        asked.push(`${principal.id} ${action} ${resource}`);
        if (action === 'administer') throw new MillraceError('FORBIDDEN', 'Not you.');
      },
    };
    await using api = await testApi({ guard });
    const none = await api.get('/streams');
    assert.deepEqual([none.status, none.headers.get('www-authenticate')], [401, 'Bearer realm="millrace"']);
    assert.equal((await api.get('/streams', { authorization: 'Basic x' })).status, 401);
    assert.equal((await api.get('/healthz')).status, 200);
    const authorization = 'Bearer good';
    assert.equal((await api.get('/streams', { authorization })).status, 200);
    assert.equal((await api.get('/streams/a%2Fb/records', { authorization })).status, 404);
    assert.equal((await api.post('/streams', '{"name":"a"}', { authorization })).status, 403);
    const basic = (words: string) => ({ authorization: `Basic ${Buffer.from(words).toString('base64')}` });
    assert.equal((await api.get('/streams', basic('anybody:good'))).status, 200);
    assert.equal((await api.get('/streams', basic('good:other'))).status, 401);
    assert.deepEqual(asked.splice(-2), [true, 'someone read stream/*']);
    assert.deepEqual(asked, [
      true,
      'someone read stream/*',
      true,
      'someone read stream/a/b',
      true,
      'someone administer stream/*',
    ]);
  });

  it('hides faults from clients, shows them to the operator and goes on', async () => {
    const logs: Signals['platform.log'][] = [];
    const stop = onSignal('platform.log', (entry) => logs.push(entry));
    await using api = await testApi();
    api.streams.list = () => {
      throw new TypeError('secret detail');
    };
    const answer = await api.get('/streams');
    stop();
    assert.deepEqual([answer.status, answer.body.code], [500, 'INTERNAL']);
    assert.doesNotMatch(JSON.stringify(answer.body), /secret detail/);
    assert.match(String(logs[0]?.error), /secret detail/);
    assert.equal((await api.get('/healthz')).status, 200);
  });

  it('tells by a signal what it served, with the route and not the path', async () => {
    const served: Signals['http.served'][] = [];
    const stop = onSignal('http.served', (entry) => served.push(entry));
    await using api = await testApi();
    await api.get('/streams/nope/records');
    await api.get('/streams/nope');
    await api.get('/nope');
    await new Promise((resolve) => setImmediate(resolve));
    stop();
    assert.deepEqual(
      served.map((entry) => [entry.route, entry.status]),
      [
        ['/streams/{name}/records', 404],
        ['/streams/{name}', 404],
        ['none', 404],
      ],
    );
  });

  it('says so when its port is taken, or takes another one when it may', async () => {
    await using api = await testApi();
    const { port } = new URL(api.door.url);
    const options = { port: Number(port) };
    await assert.rejects(testApi(options), (error: MillraceError) => {
      assert.equal(error.code, 'PORT_IN_USE');
      assert.match(error.message, /--api-port/);
      return true;
    });
    await using other = await testApi({ ...options, fallback: true });
    assert.notEqual(new URL(other.door.url).port, port);
  });

  it('refuses new work while it drains, finishes what is in flight, and ends what does not end', async () => {
    const api = await testApi();
    await api.streams.define({ name: 'a' });
    const port = portOf(api.door.url);
    const half = exchangeRaw(
      port,
      'POST /streams/a/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"never":',
    );
    const kept = connect(port, '127.0.0.1');
    await new Promise((resolve) => kept.once('connect', resolve));
    await api.get('/healthz');
    let answer = '';
    kept.on('data', (chunk) => {
      answer += chunk;
    });
    api.door.refuse?.();
    kept.write('GET /streams HTTP/1.1\r\nHost: localhost\r\n\r\n');
    while (!answer.includes('}')) await new Promise((resolve) => setImmediate(resolve));
    assert.match(answer, /^HTTP\/1\.1 503 [\s\S]*Retry-After: 1\r\n/);
    await api.door.stop?.(AbortSignal.timeout(100));
    assert.equal(await half, '');
    await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`));
  });

  it('needs no start to be stopped', async () => {
    await using api = await testApi();
    const door = createApiDoor({
      host: '127.0.0.1',
      port: 0,
      guard: { identify: async () => ({ id: 'x', kind: 'local' }), permit: () => undefined },
      clock: api.clock,
      version: '1',
      groups: [],
    });
    await door.stop(AbortSignal.timeout(10));
  });
});

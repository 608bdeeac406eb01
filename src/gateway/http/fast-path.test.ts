import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../kernel/index.ts';
import { createDoor, type DoorLimits } from './door.ts';
import { type HttpAnswer, type HttpRequest, isWhole } from './message.ts';
import { findWholeRequest } from './whole-request.ts';

type Handler = (request: HttpRequest, answer: HttpAnswer) => void;

/** A door whose answers say which way their request took. */
async function open(handler: Handler, limits: Partial<DoorLimits> = {}) {
  const taken: string[] = [];
  const door = createDoor(
    { host: '127.0.0.1', port: 0, clock: systemClock(), limits },
    {
      name: 'api',
      serve: (request, response) => {
        taken.push('node');
        handler(request, response);
      },
      serveExpecting: (_request, response) => void response.writeHead(417).end(),
      serveWhole: (request, answer) => {
        if (request.url.startsWith('/node')) return false;
        taken.push('fast');
        handler(request, answer);
        return true;
      },
      refuse: () => undefined,
    },
  );
  await door.start();
  return {
    taken,
    port: Number(new URL(door.url).port),
    stop: () => door.stop(AbortSignal.timeout(2000)),
    [Symbol.asyncDispose]: () => door.stop(AbortSignal.abort()),
  };
}

const echo: Handler = (request, answer) => {
  if (isWhole(request)) {
    answer.writeHead(200, ['X-Url', request.url]);
    answer.end(request.body);
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    answer.writeHead(200, ['X-Url', request.url ?? '', 'Content-Length', String(body.length)]);
    answer.end(body);
  });
};

async function dial(port: number) {
  const socket: Socket = connect(port, '127.0.0.1').setNoDelay(true);
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => socket.once('close', () => resolve(text)));
  await new Promise((resolve) => socket.once('connect', resolve));
  const has = async (expected: RegExp): Promise<string> => {
    while (!expected.test(text)) await new Promise((resolve) => setTimeout(resolve, 2));
    return text;
  };
  return { socket, has, ended, bytes: () => text.length };
}

const post = (url: string, body: string, more = ''): string =>
  `POST ${url} HTTP/1.1\r\nHost: localhost\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

describe('the fast path', () => {
  it('answers small requests that come whole, one after the other, as node:http would', async () => {
    await using door = await open(echo);
    const { socket, has } = await dial(door.port);
    socket.write(post('/a?b=1', 'one'));
    const first = await has(/one$/);
    assert.match(first, /^HTTP\/1\.1 200 OK\r\nX-Url: \/a\?b=1\r\nContent-Length: 3\r\nDate: .* GMT\r\n/);
    assert.match(first, /Connection: keep-alive\r\nKeep-Alive: timeout=30\r\n\r\none$/);
    socket.write(post('/a?b=1', 'two'));
    await has(/two$/);
    assert.deepEqual(door.taken, ['fast', 'fast']);
    socket.destroy();
  });

  it('leaves everything else to node:http, with every byte, wherever the stream is cut', async () => {
    await using door = await open(echo);
    const requests = [post('/1', 'first'), post('/node', 'second'), post('/3', 'third'), post('/4', '')];
    const stream = requests.join('');
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: stream.length - 1 }), { maxLength: 4 });
    const property = fc.asyncProperty(cuts, async (places) => {
      const { socket, has } = await dial(door.port);
      socket.write(post('/0', 'zero'));
      await has(/zero$/);
      let from = 0;
      for (const at of [...places.toSorted((a, b) => a - b), stream.length]) {
        socket.write(stream.slice(from, at));
        // So that the pieces are read one by one.
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
        from = at;
      }
      const text = await has(/X-Url: \/4[\s\S]*\r\n\r\n$/);
      assert.deepEqual(
        [...text.matchAll(/X-Url: (\S+)/g)].map(([, url]) => url),
        ['/0', '/1', '/node', '/3', '/4'],
      );
      for (const body of ['zero', 'first', 'second', 'third'])
        assert.ok(text.includes(`\r\n\r\n${body}HTTP/1.1`));
      socket.destroy();
    });
    await fc.assert(property, { numRuns: 60 });
    assert.ok(door.taken.includes('fast') && door.taken.includes('node'));
  });

  it('takes no request that node:http would read differently', async () => {
    const seen: { method: string; url: string; headers: object; body: string }[] = [];
    const server = createServer((request: IncomingMessage, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        seen.push({ method, url, headers, body: Buffer.concat(chunks).toString('latin1') });
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    let taken = 0;
    const property = fc.asyncProperty(anyRequest, async (text) => {
      const found = findWholeRequest(Buffer.from(text, 'latin1'), { text: '', head: undefined });
      if (!found) return;
      taken++;
      const { socket, has } = await dial(port);
      const before = seen.length;
      socket.write(text, 'latin1');
      assert.match(await has(/\r\n\r\n/), /^HTTP\/1\.1 200 /);
      socket.destroy();
      const { bodyBytes: _bodyBytes, ...head } = found.head;
      const own = { ...head, headers: { ...head.headers }, body: found.body.toString('latin1') };
      assert.deepEqual(seen.slice(before), [{ ...seen[before], ...own }]);
      assert.equal(seen.length, before + 1);
    });
    await fc.assert(property, { numRuns: 400 });
    assert.ok(taken > 20, `${taken} requests were taken`);
    server.close();
  });

  it('ends what stays silent: before a request with 408, between requests without a word', async () => {
    await using door = await open(echo, { headersTimeoutMs: 60, keepAliveMs: 60 });
    assert.match(await (await dial(door.port)).ended, /^HTTP\/1\.1 408 [\s\S]*REQUEST_TIMEOUT/);
    const { socket, ended } = await dial(door.port);
    socket.write(post('/', 'x'));
    assert.match(await ended, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nx$/);
  });

  it('does not end a request that takes longer than a silence may', async () => {
    const late = Promise.withResolvers<void>();
    await using door = await open((_request, answer) => void late.promise.then(() => answer.end('late')), {
      keepAliveMs: 20,
    });
    const { socket, has, ended } = await dial(door.port);
    socket.write(post('/', ''));
    await new Promise((resolve) => setTimeout(resolve, 60));
    late.resolve();
    await has(/late$/);
    assert.match(await ended, /late$/);
  });

  it('tells a handler that its client has gone', async () => {
    const gone = Promise.withResolvers<boolean>();
    const begun = Promise.withResolvers<void>();
    await using door = await open((_request, answer) => {
      answer.on('close', () => gone.resolve(answer.writableFinished));
      begun.resolve();
    });
    const { socket } = await dial(door.port);
    socket.write(post('/', ''));
    await begun.promise;
    socket.destroy();
    assert.equal(await gone.promise, false);
  });

  it('answers nobody further who does not take what was answered', async () => {
    const answer = 'x'.repeat(1024 * 1024);
    await using door = await open((_request, response) => void response.end(answer));
    const { socket, bytes } = await dial(door.port);
    socket.pause();
    // Two answers of this size are more than the buffers between the two hold.
    for (let sent = 0; sent < 20; sent++) {
      socket.write(post('/', ''));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.ok(door.taken.length < 20, `${door.taken.length} of 20 were answered`);
    socket.resume();
    while (bytes() < 20 * answer.length) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(door.taken.length, 20);
    socket.destroy();
  });

  it('streams an answer in chunks', async () => {
    await using door = await open((_request, answer) => {
      answer.writeHead(200, ['Content-Type', 'text/plain']);
      answer.flushHeaders();
      answer.write('one ');
      answer.write(Buffer.from('zwei ü '));
      answer.end('three');
    });
    const response = await fetch(`http://127.0.0.1:${door.port}/`);
    assert.equal(await response.text(), 'one zwei ü three');
    assert.deepEqual(door.taken, ['fast']);
  });

  it('sends no header that could end the head early', async () => {
    const refusals: unknown[] = [];
    await using door = await open((_request, answer) => {
      for (const [name, value] of [
        ['X-A', 'b\r\nX-C: d'],
        ['X A', 'b'],
        ['X-A', 'snow \u2603'],
      ] as const) {
        try {
          answer.writeHead(200, [name, value]);
        } catch (error) {
          refusals.push((error as NodeJS.ErrnoException).code);
        }
      }
      answer.end('ü');
    });
    const response = await fetch(`http://127.0.0.1:${door.port}/`);
    assert.equal(await response.text(), 'ü');
    assert.deepEqual(refusals, ['ERR_INVALID_CHAR', 'ERR_INVALID_HTTP_TOKEN', 'ERR_INVALID_CHAR']);
  });

  it('stops in order: silent connections at once, others after their answer, which says so', async () => {
    const late = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await using door = await open((_request, answer) => {
      begun.resolve();
      void late.promise.then(() => answer.end('late'));
    });
    const [silent, busy] = [await dial(door.port), await dial(door.port)];
    busy.socket.write(post('/', ''));
    await begun.promise;
    const stopped = door.stop();
    assert.equal(await silent.ended, '');
    late.resolve();
    assert.match(await busy.ended, /^HTTP\/1\.1 200 [\s\S]*Connection: close\r\n\r\nlate$/);
    await stopped;
  });
});

const oneOf = (...texts: string[]) => fc.constantFrom(...texts);

const PLAIN = [
  'X-A: b',
  'x-a:c',
  'X-B:  spaces \t',
  'X-C:',
  'X-D: a:b',
  'Accept: */*',
  'Connection: keep-alive',
];
const STRANGE = [
  ...[
    'X-\u00dc: a',
    'X-E: \0',
    'X-F : g',
    ' folded',
    'Connection: close',
    'Expect: 100-continue',
    'X-G: \x7f',
  ],
  ...['Transfer-Encoding: chunked', 'Content-Length: 3', 'Content-Length: +3', 'Content-Length: 3, 3', 'X-H'],
  ...[
    'Upgrade: websocket',
    'constructor: x',
    '__proto__: x',
    'Host: other',
    'Set-Cookie: a',
    'X-I: a\nX-J: b',
  ],
];

/** Mostly the first. */
const rarely = (usual: readonly string[], rare: readonly string[]) =>
  fc.oneof({ arbitrary: oneOf(...usual), weight: 9 }, { arbitrary: oneOf(...rare), weight: 1 });

/** Requests from plain to strange. */
const anyRequest = fc
  .record({
    method: rarely(['GET', 'POST', 'PUT', 'DELETE', 'PATCH'], ['HEAD', 'get', 'PURGE']),
    url: rarely(['/', '/a/b?c=d', '/%00', '//x'], ['*', '/\u00fc', 'http://h/', '/a b']),
    version: rarely(['HTTP/1.1'], ['HTTP/1.0', 'HTTP/2.0']),
    lineEnd: rarely(['\r\n'], ['\n', '\r']),
    headers: fc.array(rarely(PLAIN, STRANGE), { maxLength: 4 }),
    host: rarely(['Host: localhost'], ['X-H: none']),
    body: oneOf('', 'abc', 'abcd', '\r\n\r\n'),
    length: rarely(['right'], ['none', 'wrong']),
  })
  .map(({ method, url, version, lineEnd, headers, host, body, length }) => {
    const lines = [`${method} ${url} ${version}`, host, ...headers];
    if (length !== 'none') lines.push(`Content-Length: ${body.length + (length === 'right' ? 0 : 1)}`);
    return `${lines.join(lineEnd)}${lineEnd}${lineEnd}${body}`;
  });

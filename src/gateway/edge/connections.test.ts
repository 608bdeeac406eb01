import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { manualClock, systemClock } from '../../kernel/index.ts';
import { startEdge, type TestEdge } from './edge.fixture.ts';

/** A connection that a test writes to byte by byte. */
async function dial(
  door: TestEdge,
): Promise<{ socket: Socket; received: () => string; ended: Promise<string> }> {
  const socket = connect(door.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  socket.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => socket.once('close', () => resolve(text)));
  await new Promise((resolve) => socket.once('connect', resolve));
  return { socket, received: () => text, ended };
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('connections to the edge port', () => {
  it('answer what comes too slowly with 408 and end', async () => {
    const limits = { headersTimeoutMs: 100 };
    await using door = await startEdge({ handlers: {}, limits });
    const { socket, ended } = await dial(door);
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ');
    assert.match(await ended, /^HTTP\/1\.1 408 /);
  });

  it('answer a flood of headers with 431, and what is not HTTP with 400', async () => {
    await using door = await startEdge({ handlers: {} });
    const flood = await dial(door);
    flood.socket.write(
      `GET / HTTP/1.1\r\nHost: a\r\n${'X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(1000)}`,
    );
    assert.match(await flood.ended, /^HTTP\/1\.1 431 [\s\S]*HEADERS_TOO_LARGE/);
    const noise = await dial(door);
    noise.socket.write('\x16\x03\x01 hello\r\n\r\n');
    assert.match(await noise.ended, /^HTTP\/1\.1 400 [\s\S]*BAD_REQUEST/);
  });

  it('give up on a body that does not arrive', async () => {
    const clock = manualClock();
    await using door = await startEdge({ handlers: { take: () => ({}) }, clock });
    await door.deploy('shop', '1', [{ fn: 'take', method: 'POST' }]);
    const { socket, received } = await dial(door);
    const before = clock.pending();
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc');
    await until(() => clock.pending() > before);
    clock.advance(60_000);
    await until(() => received().includes('REQUEST_TIMEOUT'));
    assert.match(received(), /^HTTP\/1\.1 408 /);
    socket.destroy();
    assert.equal(door.calls.length, 0);
  });

  it('share a budget for bodies that are arriving', async () => {
    const clock = manualClock();
    const config = { edgeBodies: 4096 };
    await using door = await startEdge({ handlers: { take: () => ({}) }, config, clock });
    await door.deploy('shop', '1', [{ fn: 'take', method: 'POST', maxBodyBytes: 4000 }]);
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n';
    const slow = await dial(door);
    const before = clock.pending();
    slow.socket.write(head + 'x'.repeat(3000));
    await until(() => clock.pending() > before);
    const late = await dial(door);
    late.socket.write(head + 'x'.repeat(3000));
    await until(() => late.received().includes('UNAVAILABLE'));
    assert.match(late.received(), /^HTTP\/1\.1 503 [\s\S]*Retry-After: 1/);
    slow.socket.write('x'.repeat(1000));
    await until(() => slow.received().startsWith('HTTP/1.1 200 '));
    late.socket.destroy();
    slow.socket.destroy();
  });

  it('are asked for a body only when it would be taken', async () => {
    await using door = await startEdge({ handlers: { take: () => ({}) } });
    await door.deploy('shop', '1', [{ fn: 'take', method: 'POST' }]);
    const head = (bytes: number) =>
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\nExpect: 100-continue\r\n\r\n`;
    const taken = await dial(door);
    taken.socket.write(head(3));
    await until(() => taken.received().includes('100 Continue'));
    taken.socket.write('abc');
    await until(() => taken.received().includes('200 OK'));
    taken.socket.destroy();
    const refused = await dial(door);
    refused.socket.write(head(5000));
    await until(() => refused.received().includes('413'));
    assert.doesNotMatch(refused.received(), /100 Continue/);
    refused.socket.destroy();
  });

  it('get pipelined answers in order, and are cut off when they pile up', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    await using door = await startEdge({
      handlers: { show: async ({ url }) => await promise.then(() => ({ body: Buffer.from(`<${url}>`) })) },
    });
    await door.deploy('shop', '1', [{ fn: 'show', path: '/:n' }]);
    const ask = (n: number) => `GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const few = await dial(door);
    few.socket.write(Array.from({ length: 20 }, (_, n) => ask(n)).join(''));
    await until(() => door.calls.length === 20);
    const many = await dial(door);
    many.socket.write(Array.from({ length: 2000 }, (_, n) => ask(n)).join(''));
    assert.equal(await many.ended, '');
    assert.equal(door.calls.length <= 20 + 64, true);
    resolve();
    await until(() => few.received().includes('</19>'));
    const order = [...few.received().matchAll(/<\/(\d+)>/g)].map(([, n]) => Number(n));
    assert.deepEqual(
      order,
      Array.from({ length: 20 }, (_, n) => n),
    );
    few.socket.destroy();
  });

  it('tell the handler when the client has gone', async () => {
    const gone = Promise.withResolvers<void>();
    await using door = await startEdge({
      handlers: {
        wait: (_, { signal }) =>
          new Promise((resolve) => {
            signal!.addEventListener('abort', () => {
              gone.resolve();
              resolve({});
            });
          }),
      },
    });
    await door.deploy('shop', '1', [{ fn: 'wait' }]);
    const { socket } = await dial(door);
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => door.calls.length === 1);
    socket.destroy();
    await gone.promise;
  });

  it('slow a streamed answer down to their pace, and end it when they take nothing', async () => {
    let sent = 0;
    let closed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          sent++;
          yield new Uint8Array(64 * 1024);
        }
      } finally {
        closed = true;
      }
    }
    await using door = await startEdge({
      handlers: { pour: () => ({ body: endless() }) },
      clock: systemClock(),
      config: { edgeStall: '200ms' },
    });
    await door.deploy('shop', '1', [{ fn: 'pour' }]);
    const { socket } = await dial(door);
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => closed);
    // What the two sockets' buffers take, and no more: 10 MB are far beyond them.
    assert.equal(sent < 160, true, `${sent} chunks of 64 kB`);
    socket.destroy();
  });

  it('hand a streamed body over as it comes, at the pace of its reader, up to its limit', async () => {
    const chunks: number[] = [];
    const first = Promise.withResolvers<void>();
    await using door = await startEdge({
      handlers: {
        async take({ body }) {
          try {
            for await (const chunk of body as AsyncIterable<Uint8Array>) {
              chunks.push(chunk.length);
              first.resolve();
            }
          } catch (error) {
            return error as Error;
          }
          return { body: Buffer.from(String(chunks.length)) };
        },
      },
    });
    await door.deploy('shop', '1', [{ fn: 'take', method: 'POST', streamBody: true, maxBodyBytes: 100 }]);
    const { socket, received } = await dial(door);
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await first.promise;
    assert.deepEqual(chunks, [3]);
    socket.write('2\r\nde\r\n0\r\n\r\n');
    await until(() => received().includes('200 OK'));
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n${'x'.repeat(101)}`);
    await until(() => received().includes('413'));
    socket.destroy();
  });

  it('are served again after a body that the handler did not read', async () => {
    await using door = await startEdge({ handlers: { take: () => ({ body: Buffer.from('done') }) } });
    await door.deploy('shop', '1', [{ fn: 'take', method: 'POST', streamBody: true, maxBodyBytes: 100_000 }]);
    const { socket, received } = await dial(door);
    const request = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n${'x'.repeat(50_000)}`;
    socket.write(request);
    await until(() => received().includes('done'));
    socket.write(request);
    await until(() => received().split('done').length === 3);
    socket.destroy();
  });
});

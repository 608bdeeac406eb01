import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { createPlatform, loadConfig } from '../../src/main.ts';

const ROUNDS = process.env.MILLRACE_FAULTS === 'full' ? 100_000 : 2000;
const PARALLEL = 32;

const CE = '{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":[1,2]}}';
const post = (path: string, type: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const get = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n`;

const SEEDS = [
  post('/streams/a/records?key=k', 'application/json', '{"a":1,"b":[true,null,"x"]}'),
  post('/streams/a/records', 'application/x-ndjson', '{"a":1}\n{"a":2}\n'),
  post('/streams/a/records', 'application/cloudevents+json', CE),
  post('/streams/a/records', 'application/cloudevents-batch+json', `[${CE},${CE}]`),
  post('/streams', 'application/json', '{"name":"b","partitions":2,"retention":"7d"}'),
  'POST /streams/a/records HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\n\r\n',
  get('/streams/a/records?from=start&limit=5'),
  get('/streams/a'),
  get('/metrics'),
  get('/openapi.json'),
];

/** A small generator with a seed (mulberry32), so that a failing run can be told again. */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

const MUTATIONS: readonly ((bytes: Buffer, at: number, next: (bound: number) => number) => Buffer)[] = [
  (bytes, at, next) => {
    bytes[at] = next(256);
    return bytes;
  },
  (bytes, at, next) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + next(20))]),
  (bytes, at, next) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(next(at + 1))]),
  (bytes, at) => bytes.subarray(0, Math.max(1, at)),
  (bytes, at) => Buffer.concat([bytes.subarray(0, at), Buffer.from('[{"\r\n\0\xff%'), bytes.subarray(at)]),
];

function mutate(next: (bound: number) => number): Buffer {
  let bytes: Buffer = Buffer.from(SEEDS[next(SEEDS.length)]!);
  for (let count = 1 + next(4); count > 0 && bytes.length > 0; count--) {
    bytes = MUTATIONS[next(MUTATIONS.length)]!(bytes, next(bytes.length), next);
  }
  return bytes;
}

/** Sends, ends its half, waits for the first bytes of an answer or the end, and hangs up. */
function send(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes));
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1', 0, 64);
      socket.destroy();
    });
    // What waits for more than will come is cut after a moment.
    socket.setTimeout(100, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
  });
}

describe(`${ROUNDS} mutated requests`, () => {
  it('leave the platform up and its memory bounded', async () => {
    const flags = { data: 'unused', 'api-port': '0', 'edge-port': '0', 'kafka-port': 'off' };
    const config = await loadConfig({ flags, env: {}, folder: '/' });
    await using platform = createPlatform(config, { memory: true });
    await platform.start();
    await platform.streams.define({ name: 'a', retentionBytes: 1024 * 1024 });
    const api = platform.addresses.api!;
    const port = Number(new URL(api).port);
    const next = numbers(20260101);
    const faults: string[] = [];
    let before = 0;
    for (let round = 0; round < ROUNDS; round += PARALLEL) {
      const requests = Array.from({ length: PARALLEL }, () => mutate(next));
      const answers = await Promise.all(requests.map((request) => send(port, request)));
      for (const [index, answer] of answers.entries()) {
        if (/^HTTP\/1\.1 500/.test(answer)) faults.push(requests[index]!.toString('latin1'));
      }
      if (round === PARALLEL * 10) before = process.memoryUsage().rss;
    }
    assert.deepEqual(faults, [], 'requests that met a fault of the platform');
    const response = await fetch(`${api}/streams/a/records`, { method: 'POST', body: '{"after":true}' });
    assert.equal(response.status, 200);
    assert.equal((await fetch(`${api}/readyz`)).status, 200);
    const grownBytes = process.memoryUsage().rss - before;
    assert.ok(grownBytes < 256e6, `memory grew by ${grownBytes} bytes`);
  });
});

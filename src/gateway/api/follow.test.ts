import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { type TestApi, testApi } from './api.fixture.ts';

const path = '/streams/clicks/records';

interface Follower {
  /** The next event with data: its id and its data. */
  next(): Promise<{ id: string; data: { partition: number; offset: number; value: unknown } }>;
  nextBlock(): Promise<string>;
  close(): Promise<void>;
}

async function follow(api: TestApi, query = '', headers: Record<string, string> = {}): Promise<Follower> {
  const response = await api.fetch(path + query, { headers: { accept: 'text/event-stream', ...headers } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const nextBlock = async (): Promise<string> => {
    while (!text.includes('\n\n')) {
      const { value, done } = await reader.read();
      if (done) return 'END';
      text += value;
    }
    const end = text.indexOf('\n\n');
    const block = text.slice(0, end);
    text = text.slice(end + 2);
    return block;
  };
  return {
    nextBlock,
    async next() {
      for (;;) {
        const block = await nextBlock();
        assert.notEqual(block, 'END');
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data) return { id: /^id: (.*)$/m.exec(block)?.[1] ?? '', data: JSON.parse(data) };
      }
    },
    close: () => reader.cancel(),
  };
}

async function withClicks(partitions = 1): Promise<TestApi> {
  const api = await testApi();
  await api.streams.define({ name: 'clicks', partitions });
  return api;
}

const publish = (api: TestApi, body: string, query = '') => api.post(path + query, body);

describe('following a stream', () => {
  it('gives records as they come, from the end unless told otherwise', async () => {
    await using api = await withClicks();
    await publish(api, '"before"');
    const fromEnd = await follow(api);
    const fromStart = await follow(api, '?from=start');
    assert.equal((await fromStart.next()).data.value, 'before');
    await publish(api, '{"text":"two\\nlines"}');
    assert.deepEqual((await fromEnd.next()).data.value, { text: 'two\nlines' });
    assert.deepEqual((await fromStart.next()).data.offset, 1);
    await fromEnd.close();
    await fromStart.close();
  });

  it('keeps a value on one line, whatever line breaks it was published with', async () => {
    await using api = await withClicks();
    const reader = await follow(api);
    await publish(api, '{\r\n  "a":\n1}');
    assert.deepEqual((await reader.next()).data.value, { a: 1 });
    await reader.close();
  });

  it('resumes every partition where the last event id says', async () => {
    await using api = await withClicks(3);
    const reader = await follow(api, '?from=start');
    for (const partition of [0, 1, 0, 2]) await publish(api, `"p${partition}"`, `?partition=${partition}`);
    const seen = [await reader.next(), await reader.next(), await reader.next()];
    await reader.close();
    for (const partition of [0, 2]) await publish(api, '"later"', `?partition=${partition}`);
    const resumed = await follow(api, '', { 'last-event-id': seen[2]!.id });
    const rest = [await resumed.next(), await resumed.next(), await resumed.next()];
    await resumed.close();
    const places = [...seen, ...rest].map(({ data }) => `${data.partition}:${data.offset}`);
    assert.deepEqual(places.sort(), ['0:0', '0:1', '0:2', '1:0', '2:0', '2:1']);
  });

  it('resumes a reader that saw nothing from where it began', async () => {
    await using api = await withClicks(2);
    const reader = await follow(api);
    let id: string | undefined;
    while (id === undefined) id = /^id: (.*)$/m.exec(await reader.nextBlock())?.[1];
    await reader.close();
    await publish(api, '"while away"', '?partition=1');
    const resumed = await follow(api, `?lastEventId=${id}`);
    assert.equal((await resumed.next()).data.value, 'while away');
    await resumed.close();
  });

  it('refuses ids that it never gave, and what is not there', async () => {
    await using api = await withClicks();
    const accept = 'text/event-stream';
    const wrong = await api.get(path, { accept, 'last-event-id': 'x' });
    assert.equal(wrong.body.code, 'BAD_REQUEST');
    assert.equal((await api.get(`${path}?partition=4`, { accept })).body.code, 'PARTITION_NOT_FOUND');
    assert.equal((await api.get('/streams/nope/records', { accept })).body.code, 'STREAM_NOT_FOUND');
  });

  it('sends a comment when nothing else was to send', async () => {
    await using api = await withClicks();
    const reader = await follow(api);
    assert.equal(await reader.nextBlock(), 'retry: 1000');
    await reader.nextBlock();
    await publish(api, '1');
    await reader.next();
    api.clock.advance(15_000);
    await publish(api, '2');
    assert.equal((await reader.next()).data.value, 2);
    api.clock.advance(30_000);
    assert.equal(await reader.nextBlock(), ': heartbeat');
    await reader.close();
  });

  it('ends when the platform stops', async () => {
    const api = await withClicks();
    const reader = await follow(api);
    await reader.nextBlock();
    await api.door.stop(AbortSignal.timeout(5000));
    let block = '';
    while (block !== 'END') block = await reader.nextBlock();
  });

  it('holds little for a reader that takes nothing, lets go of it after a minute, and writers go on', async () => {
    await using api = await withClicks();
    const line = JSON.stringify('x'.repeat(1000));
    const body = `${line}\n`.repeat(5000);
    const socket = connect(Number(new URL(api.door.url).port), '127.0.0.1');
    socket.pause();
    socket.write(`GET ${path}?from=start HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
    let pulled = 0;
    const follow = api.streams.follow;
    const ended = Promise.withResolvers<void>();
    api.streams.follow = async function* (name, options) {
      options.signal.addEventListener('abort', () => ended.resolve());
      for await (const record of follow(name, options)) {
        pulled++;
        yield record;
      }
    };
    const before = api.clock.pending();
    for (let batch = 0; batch < 4; batch++) {
      const answer = await api.post(path, body, { 'content-type': 'application/x-ndjson' });
      assert.equal(answer.body.records, 5000);
    }
    // Beside the heartbeat, a write that has to wait arms the minute; a server that takes everything into memory never would.
    while (api.clock.pending() < before + 2) await new Promise(setImmediate);
    api.clock.advance(60_000);
    await ended.promise;
    assert.ok(pulled > 0 && pulled < 20_000, `${pulled} of 20,000 records were taken`);
    socket.destroy();
  });
});

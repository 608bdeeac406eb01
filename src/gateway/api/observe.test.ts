import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  memoryLogArchive,
  memoryLogStore,
  memorySampleStore,
  memoryStateStore,
} from '../../adapters/memory/index.ts';
import { createSecrets } from '../../govern/index.ts';
import { manualClock, seededRandom, signal, systemClock } from '../../kernel/index.ts';
import { createLogs, createSamples } from '../../observe/index.ts';
import { createStreams } from '../../streams/index.ts';
import { statusPageRoutes } from '../page/status-page.ts';
import { testApi } from './api.fixture.ts';
import { observeRoutes } from './observe.ts';
import { secretRoutes } from './secrets.ts';

const systemTime = systemClock();

async function observed() {
  const clock = manualClock();
  const state = memoryStateStore({ clock });
  const random = seededRandom(1);
  const log = memoryLogStore({ clock, random });
  const streams = createStreams({ log, state, clock });
  const samples = createSamples({ store: memorySampleStore(), clock });
  const logs = createLogs({ archive: memoryLogArchive(), clock });
  const keyPath = `/tmp/millrace-key-${process.pid}-${Math.round(systemTime.monotonic() * 1000)}`;
  const secrets = createSecrets({ state, clock, random, keyPath });
  const services = [state, log, streams, samples, logs];
  for (const service of services) await service.start?.();
  const status = () => ({ state: 'running', version: '1' });
  const groups = [
    observeRoutes({ samples, logs, streams, clock, status }),
    secretRoutes({ secrets }),
    statusPageRoutes(),
  ];
  const api = await testApi({ groups });
  return {
    api,
    clock,
    streams,
    async lines(path: string): Promise<readonly { message: string; time: string }[]> {
      const text = await (await api.fetch(path)).text();
      return text === ''
        ? []
        : text
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line));
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      for (const service of services.reverse()) await service.stop?.(AbortSignal.timeout(1000));
      await import('node:fs/promises').then(({ rm }) => rm(keyPath, { force: true }));
    },
  };
}

type Observed = Awaited<ReturnType<typeof observed>>;

const write = ({ clock }: Observed, level: 'info' | 'error', message: string): void =>
  signal('function.log', {
    ...{ app: 'cards', fn: 'score', invocationId: 'i', traceId: 't' },
    ...{ level, timeMs: clock.now(), message },
  });

describe('GET /logs', () => {
  it('finds lines by name, level, text and time', async () => {
    await using under = await observed();
    write(under, 'info', 'early');
    under.clock.advance(3_600_000);
    write(under, 'info', 'scored');
    write(under, 'error', 'broken\n"line"');
    const messages = async (query: string) =>
      (await under.lines(`/logs?${query}`)).map(({ message }) => message);
    assert.deepEqual(await messages('name=score'), ['early', 'scored', 'broken\n"line"']);
    assert.deepEqual(await messages('since=10m'), ['scored', 'broken\n"line"']);
    assert.deepEqual(await messages('level=warn&name=cards'), ['broken\n"line"']);
    assert.deepEqual(await messages('text=SCOR&limit=1'), ['scored']);
    assert.deepEqual(await messages('name=nobody'), []);
  });

  it('says what is wrong with a question', async () => {
    await using under = await observed();
    for (const query of ['level=loud', 'since=yesterday', 'limit=-1', 'limit=99999999', 'until=2026-99-99']) {
      const { status, body } = await under.api.get(`/logs?${query}`);
      assert.equal(status, 400, query);
      assert.equal(body.code, 'BAD_REQUEST');
    }
  });

  it('follows, as lines and as events, after what was there', async () => {
    await using under = await observed();
    for (const accept of ['application/x-ndjson', 'text/event-stream']) {
      write(under, 'info', 'before');
      const over = new AbortController();
      const path = '/logs?follow=true&limit=1';
      const response = await under.api.fetch(path, { headers: { accept }, signal: over.signal });
      let text = '';
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (text.includes('after')) break;
        if (text.includes('before')) {
          write(under, 'info', 'after');
          under.clock.advance(1000);
        }
      }
      over.abort();
      const found = text.split('\n').filter((line) => line.includes('"message"'));
      assert.equal(found.length, 2);
      assert.ok(found.every((line) => line.startsWith(accept === 'text/event-stream' ? 'data: {' : '{')));
    }
  });
});

describe('GET /samples and GET /overview', () => {
  it('give what was counted, over time and now', async () => {
    await using under = await observed();
    await under.streams.define({ name: 'payments', partitions: 2 });
    for (let second = 0; second < 120; second++) {
      signal('stream.appended', { stream: 'payments', partition: 0, records: 50, bytes: 5000 });
      under.clock.advance(1000);
    }
    const { body } = await under.api.get('/samples?kind=stream&name=payments&from=10m&step=1m');
    const records = body.series[0].points.map(
      (point: { counts: { records: number } }) => point.counts.records,
    );
    assert.equal(
      records.reduce((sum: number, each: number) => sum + each, 0),
      6000,
    );
    assert.ok(body.series[0].points.every((point: { seconds: number }) => point.seconds === 60));
    const overview = (await under.api.get('/overview')).body;
    const stream = overview.streams.find((each: { name: string }) => each.name === 'payments');
    assert.equal(overview.state, 'running');
    assert.ok(Math.abs(stream.perSecond - 50) < 5, `${stream.perSecond}`);
    assert.equal(stream.history.at(-1), 50);
    assert.equal((await under.api.get('/samples?kind=planet')).status, 400);
    assert.equal((await under.api.get('/samples?from=1m&to=2m')).status, 400);
    assert.equal((await under.api.get('/samples?step=soon')).status, 422);
  });
});

describe('/secrets', () => {
  it('takes values and never gives them back', async () => {
    await using under = await observed();
    const put = (body: string | Uint8Array<ArrayBuffer>) =>
      under.api.fetch('/secrets/CRM_KEY', { method: 'PUT', body });
    assert.equal((await put('s3cret ☃')).status, 204);
    const list = await under.api.get('/secrets');
    assert.deepEqual(list.body, { secrets: ['CRM_KEY'] });
    assert.equal((await under.api.get('/secrets/CRM_KEY')).status, 405);
    assert.equal((await put('')).status, 422);
    assert.equal((await put(new Uint8Array([0xff, 0xfe]))).status, 400);
    assert.equal((await put('x'.repeat(70_000))).status, 413);
    assert.equal((await under.api.fetch('/secrets/CRM_KEY', { method: 'DELETE' })).status, 204);
    assert.equal((await under.api.fetch('/secrets/CRM_KEY', { method: 'DELETE' })).status, 404);
  });
});

describe('GET /', () => {
  it('is one page under a policy that permits its own script and style alone', async () => {
    await using under = await observed();
    const response = await under.api.fetch('/');
    const policy = response.headers.get('content-security-policy')!;
    assert.match(policy, /default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'/);
    assert.doesNotMatch(policy, /unsafe/);
    const page = await response.text();
    assert.doesNotMatch(page, /<(?:script|link|img)[^>]+(?:src|href)="(?!data:)/);
    assert.doesNotMatch(page, /innerHTML|insertAdjacentHTML|document\.write|\son\w+=/);
  });
});

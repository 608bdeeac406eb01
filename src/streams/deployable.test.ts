import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryLogStore, memoryStateStore } from '../adapters/memory/index.ts';
import {
  type AppVersion,
  manualClock,
  type Reference,
  type StreamManifest,
  seededRandom,
} from '../kernel/index.ts';
import { streamsDeployable } from './deployable.ts';
import { createStreams } from './index.ts';

async function openStreams() {
  const clock = manualClock();
  const log = memoryLogStore({ clock, random: seededRandom(1) });
  const state = memoryStateStore({ clock });
  const streams = createStreams({ log, state, clock });
  for (const service of [state, log, streams]) await service.start?.();
  return { streams, engine: streamsDeployable(streams) };
}

function streamOf(name: string, more: Partial<StreamManifest> = {}): StreamManifest {
  return {
    name,
    partitions: 1,
    compatibility: 'backward',
    onInvalid: 'refuse',
    retentionMs: 3_600_000,
    retentionBytes: null,
    cleanup: 'delete',
    maxRecordBytes: 1000,
    ...more,
  };
}

function versionOf(
  app: string,
  streams: readonly StreamManifest[],
  references: readonly Reference[] = [],
): AppVersion {
  const manifest = {
    format: 1,
    app,
    version: 'v',
    streams,
    functions: [],
    states: [],
    references,
    files: [],
  } as const;
  return { app, version: 'v', manifest, folder: '' };
}

const CARD = { type: 'object', properties: { card: { type: 'string' } }, required: ['card'] } as const;
const STRICTER = {
  ...CARD,
  properties: { ...CARD.properties, at: { type: 'string' } },
  required: ['card', 'at'],
} as const;

test('a plan tells what would be created, changed, kept and detached, in words', async () => {
  const { streams, engine } = await openStreams();
  const one = versionOf('pay', [streamOf('a'), streamOf('b')]);
  const two = versionOf('pay', [streamOf('a', { partitions: 3 }), streamOf('c')]);
  const first = await engine.plan(undefined, one);
  assert.deepEqual(
    first.map(({ resource, action }) => `${action} ${resource}`),
    ['create stream/a', 'create stream/b'],
  );
  assert.equal(streams.find('a'), undefined);
  await engine.prepare(undefined, one);
  await engine.activate(undefined, one);
  assert.deepEqual(
    (await engine.plan(one, one)).map((each) => each.action),
    ['keep', 'keep'],
  );
  const changes = await engine.plan(one, two);
  assert.deepEqual(
    changes.map(({ resource, action }) => `${action} ${resource}`),
    ['update stream/a', 'create stream/c', 'detach stream/b'],
  );
  assert.match(changes[0]!.details.join(), /partitions 1 → 3/);
});

test('a stream that an app no longer exports is detached with its records, and attached again when it comes back', async () => {
  const { streams, engine } = await openStreams();
  const one = versionOf('pay', [streamOf('a')]);
  const none = versionOf('pay', []);
  await engine.prepare(undefined, one);
  await engine.activate(undefined, one);
  await streams.publish('a', [{ value: Buffer.from('{"card":"1"}') }]);
  await engine.prepare(one, none);
  assert.equal(streams.describe('a').detached, false, 'preparing leaves what serves alone');
  await engine.activate(one, none);
  assert.equal(streams.describe('a').detached, true);
  await engine.activate(none, one);
  assert.equal(streams.describe('a').detached, false);
  assert.equal((await streams.read({ topic: 'a', partition: 0 }, 0)).records.length, 1);
});

test('a schema that breaks the compatibility mode is refused with the reason', async () => {
  const { engine } = await openStreams();
  const one = versionOf('pay', [streamOf('a', { schema: CARD })]);
  await engine.prepare(undefined, one);
  await engine.activate(undefined, one);
  const [change] = await engine.plan(one, versionOf('pay', [streamOf('a', { schema: STRICTER })]));
  assert.equal(change!.code, 'SCHEMA_INCOMPATIBLE');
  assert.match(`${change!.refusal} ${change!.details.join()}`, /at/);
});

test("a stream that is referred to has to be there, and another app's is not taken", async () => {
  const { engine } = await openStreams();
  const reader = versionOf('reader', [], [{ kind: 'stream', name: 'a' }]);
  const [missing] = await engine.plan(undefined, reader);
  assert.deepEqual([missing!.resource, missing!.code], ['stream/a', 'REFERENCE_MISSING']);
  const owner = versionOf('pay', [streamOf('a')]);
  await engine.prepare(undefined, owner);
  await engine.activate(undefined, owner);
  assert.deepEqual(await engine.plan(undefined, reader), []);
  const [taken] = await engine.plan(undefined, versionOf('thief', [streamOf('a')]));
  assert.equal(taken!.code, 'NAME_TAKEN');
  assert.match(taken!.refusal!, /'pay'/);
});

test('an abandoned deployment leaves the streams it made detached, and those before as they were', async () => {
  const { streams, engine } = await openStreams();
  const one = versionOf('pay', [streamOf('a')]);
  await engine.prepare(undefined, one);
  await engine.activate(undefined, one);
  const two = versionOf('pay', [streamOf('a', { retentionMs: 7_200_000 }), streamOf('b')]);
  await engine.prepare(one, two);
  await engine.abandon(one, two);
  assert.equal(streams.describe('a').retentionMs, 3_600_000);
  assert.equal(streams.describe('b').detached, true);
  await engine.abandon(one, two);
  await engine.abandon(undefined, versionOf('never', [streamOf('never-made')]));
});

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryBlobStore, memoryStateStore } from '../../adapters/memory/index.ts';
import { createDelivery } from '../../delivery/index.ts';
import {
  ARTIFACT_TYPE,
  ARTIFACTS_TYPE,
  type Artifact,
  createIds,
  type Manifest,
  manifestVersion,
  manualClock,
  packArtifact,
  packArtifacts,
  seededRandom,
  sha256,
} from '../../kernel/index.ts';
import { testApi } from './api.fixture.ts';
import { appRoutes } from './apps.ts';

function artifactOf(app: string, text: string): Artifact {
  const bytes = Buffer.from(text);
  const content: Omit<Manifest, 'version' | 'format'> = {
    app,
    streams: [],
    functions: [],
    states: [],
    references: [],
    files: [{ path: 'assets/text', bytes: bytes.length, sha256: sha256(bytes) }],
  };
  const manifest: Manifest = { format: 1, version: manifestVersion(content), ...content };
  return { manifest, files: new Map([['assets/text', bytes]]) };
}

async function appsApi() {
  const clock = manualClock();
  const cacheFolder = await mkdtemp(join(tmpdir(), 'millrace-apps-'));
  const delivery = createDelivery({
    state: memoryStateStore({ clock }),
    blobs: memoryBlobStore({ clock }),
    facts: { record: async () => undefined },
    ids: createIds(clock, seededRandom(1)),
    engines: [],
    clock,
    cacheFolder,
  });
  const api = await testApi({ groups: [appRoutes({ delivery })] });
  const send = async (method: string, path: string, body?: Uint8Array | string, type = ARTIFACT_TYPE) => {
    const init =
      body === undefined
        ? { method }
        : { method, body: body as NonNullable<RequestInit['body']>, headers: { 'content-type': type } };
    const response = await api.fetch(path, init);
    return { status: response.status, body: (await response.json()) as ReturnType<typeof JSON.parse> };
  };
  const close = async () => {
    await api[Symbol.asyncDispose]();
    await rm(cacheFolder, { recursive: true, force: true });
  };
  return { api, send, [Symbol.asyncDispose]: close };
}

const ONE = artifactOf('pay', 'one');
const TWO = artifactOf('pay', 'two');

test('an app is planned, deployed, listed, rolled back and removed over HTTP', async () => {
  await using here = await appsApi();
  const { send } = here;
  const plan = await send('POST', '/apps/pay/plan', JSON.stringify(ONE.manifest), 'application/json');
  assert.deepEqual([plan.status, plan.body.from, plan.body.to], [200, null, ONE.manifest.version]);
  assert.equal((await send('PUT', '/apps/pay', packArtifact(ONE))).body.changed, true);
  assert.equal((await send('PUT', '/apps/pay', packArtifact(ONE))).body.changed, false);
  await send('PUT', '/apps/pay', packArtifact(TWO));
  assert.deepEqual((await send('GET', '/apps')).body.apps, [
    { app: 'pay', version: TWO.manifest.version, streams: 0, functions: 0 },
  ]);
  assert.equal((await send('POST', '/apps/pay/rollback')).body.to, ONE.manifest.version);
  const named = JSON.stringify({ version: TWO.manifest.version });
  assert.equal(
    (await send('POST', '/apps/pay/rollback', named, 'application/json')).body.to,
    TWO.manifest.version,
  );
  const { versions } = (await send('GET', '/apps/pay/versions')).body;
  assert.deepEqual(
    versions.map((each: { action: string; by: string; active: boolean }) => [
      each.action,
      each.by,
      each.active,
    ]),
    [
      ['rollback', 'local', true],
      ['rollback', 'local', false],
      ['deploy', 'local', false],
      ['deploy', 'local', false],
    ],
  );
  assert.equal((await send('GET', '/apps/pay')).body.version, TWO.manifest.version);
  assert.equal((await send('DELETE', '/apps/pay')).body.to, null);
  assert.equal((await send('GET', '/apps/pay')).body.code, 'APP_NOT_FOUND');
});

test('several apps are deployed as one, or none of them', async () => {
  await using here = await appsApi();
  const { send } = here;
  const apps = [ONE, artifactOf('other', 'one')];
  const done = await send('POST', '/apps', packArtifacts(apps), ARTIFACTS_TYPE);
  assert.deepEqual(
    done.body.deployments.map((each: { app: string; changed: boolean }) => [each.app, each.changed]),
    [
      ['pay', true],
      ['other', true],
    ],
  );
  const cut = Buffer.from(packArtifacts([TWO, artifactOf('other', 'two')])).subarray(0, -1);
  assert.equal((await send('POST', '/apps', cut, ARTIFACTS_TYPE)).body.code, 'BAD_REQUEST');
  const { apps: listed } = (await send('GET', '/apps')).body;
  assert.deepEqual(
    listed.map((each: { version: string }) => each.version),
    [apps[1]!.manifest.version, ONE.manifest.version],
  );
});

test('what is not an artifact of that app is refused with its reason', async () => {
  await using here = await appsApi();
  const { send } = here;
  const codeOf = async (...args: Parameters<typeof send>) => (await send(...args)).body.code;
  const packed = Buffer.from(packArtifact(ONE));
  assert.equal(await codeOf('PUT', '/apps/pay', '{}', 'application/json'), 'UNSUPPORTED_MEDIA_TYPE');
  assert.equal(await codeOf('PUT', '/apps/other', packed), 'BAD_REQUEST');
  assert.equal(await codeOf('PUT', '/apps/pay', packed.subarray(0, 3)), 'BAD_REQUEST');
  assert.equal(await codeOf('PUT', '/apps/pay', packed.subarray(0, 50)), 'BAD_REQUEST');
  assert.equal(await codeOf('PUT', '/apps/pay', packed.subarray(0, -1)), 'BAD_REQUEST');
  const tampered = Buffer.from(packed);
  tampered[tampered.length - 1]! ^= 1;
  assert.equal(await codeOf('PUT', '/apps/pay', tampered), 'APP_INVALID');
  assert.equal(
    await codeOf('POST', '/apps/pay/rollback', '{"version":7}', 'application/json'),
    'INVALID_INPUT',
  );
  assert.equal(await codeOf('POST', '/apps/pay/rollback'), 'APP_NOT_FOUND');
  assert.equal(await codeOf('GET', '/apps/pay/versions'), 'APP_NOT_FOUND');
  assert.deepEqual((await send('GET', '/apps')).body.apps, []);
});

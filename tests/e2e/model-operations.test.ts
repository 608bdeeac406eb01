import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { createPlatform, loadConfig } from '../../src/main.ts';
import { logisticModel, logisticReference } from '../../src/models/operations/logistic.support.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'millrace.js');
const CREDIT = { features: ['age', 'income'], weights: [4, 4], bias: -4 };

const grid = Array.from({ length: 2500 }, (_, at) => [(at % 50) / 50, Math.floor(at / 50) / 50] as const);
const csv = `age,income,default\n${grid.map(([age, income]) => `${age},${income},${age + income > 1 ? 1 : 0}`).join('\n')}\n`;

/** What stands at `releases.0.stage`. */
function pick(value: unknown, path: string): unknown {
  return path.split('.').reduce((found, name) => (found as { [name: string]: unknown })?.[name], value);
}

async function started() {
  const flags = { 'api-port': '0', 'edge-port': 'off', 'kafka-port': 'off' };
  const platform = createPlatform(await loadConfig({ flags, env: {}, folder: process.cwd() }), {
    memory: true,
  });
  await platform.start();
  const api = platform.addresses.api!;
  const call = async (
    method: string,
    path: string,
    body?: string | Uint8Array,
    type = 'application/json',
  ) => {
    const init = body === undefined ? { method } : { method, body, headers: { 'content-type': type } };
    const response = await fetch(`${api}${path}`, init as RequestInit);
    const found: unknown = await response.json();
    return { status: response.status, body: found, at: (path: string) => pick(found, path) };
  };
  const cli = async (...words: readonly string[]) => {
    const child = spawn(process.execPath, [PROGRAM, ...words, '--url', api], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { out, err };
  };
  return { platform, call, cli, [Symbol.asyncDispose]: () => platform[Symbol.asyncDispose]() };
}

test('a model is operated over HTTP and from the command line', async () => {
  await using under = await started();
  const { call, cli, platform } = under;
  const upload = async (weights: number[]): Promise<string> => {
    const reference = logisticReference({ ...CREDIT, weights }, grid);
    const bytes = logisticModel({ ...CREDIT, weights, reference });
    const { status, at } = await call('POST', '/models/credit/versions', bytes, 'application/octet-stream');
    assert.equal(status, 201);
    return String(at('version'));
  };
  const first = await upload([4, 4]);
  const held = await call('PUT', '/models/credit/held-back', csv, 'text/csv');
  assert.deepEqual([held.status, held.body], [200, { rows: 2500 }]);
  const gates = { label: 'default', metrics: { accuracy: { atLeast: 0.9 } }, latency: { slowerBy: 100 } };
  const set = await call(
    'PUT',
    '/models/credit/operations',
    JSON.stringify({ gates, watch: { window: { rows: 500 } } }),
  );
  assert.deepEqual([set.status, set.at('watch.windowRows'), set.at('release.canary.weight')], [200, 500, 10]);
  const wrong = await call(
    'PUT',
    '/models/credit/operations',
    '{"gates":{"metrics":{"accuracy":{"atMost":1}}},"wach":1}',
  );
  assert.equal(wrong.status, 422);
  const paths = (wrong.at('errors') as { path: string }[]).map(({ path }) => path);
  assert.deepEqual(paths.sort(), ['/gates/label', '/gates/metrics/accuracy/atMost', '/wach']);
  const retrain = { on: { kind: 'cron', expression: 'soon' }, from: 'rows', spec: {} };
  assert.equal((await call('PUT', '/models/credit/operations', JSON.stringify({ retrain }))).status, 422);
  assert.equal((await call('GET', '/models/nobody/watch')).at('code'), 'MODEL_NOT_FOUND');

  for (let round = 0; round < 3; round++) {
    await call('POST', '/models/credit/predict', JSON.stringify(grid.slice(0, 600)));
    await platform.models.operations.settled();
  }
  const watch = await call('GET', '/models/credit/watch');
  // The first 600 rows of the grid are those of low incomes.
  assert.deepEqual(watch.at('versions.0.drifting'), ['income', 'risk']);
  const shown = await cli('show', 'model/credit');
  assert.match(shown.out, /DRIFTS BECAUSE OF\nincome/);

  const worse = await upload([1, 4]);
  const begun = await call('POST', '/models/credit/releases', JSON.stringify({ version: worse }));
  assert.deepEqual([begun.status, begun.at('stage'), begun.at('to')], [201, 'gates', worse]);
  await platform.models.operations.settled();
  const stopped = await call('GET', `/models/credit/releases/${begun.at('id')}`);
  assert.equal(stopped.at('outcome'), 'stopped');
  assert.match(String(stopped.at('decisions.1.reason')), /accuracy/);

  const next = await upload([4.1, 4]);
  const release = JSON.parse((await cli('release', 'credit', next, '--json')).out);
  await platform.models.operations.settled();
  assert.equal((await call('GET', '/models/credit/watch')).at('release.stage'), 'shadow');
  const promoted = await call('POST', `/models/credit/releases/${release.id}/promote`);
  assert.deepEqual(
    [promoted.at('stage'), platform.models.registry.require('credit').aliases.production],
    ['watch', next],
  );
  const aborted = await cli('release', 'credit', '--abort', release.id);
  assert.match(aborted.out, /aborted[\s\S]*serves again/);
  assert.equal(platform.models.registry.require('credit').aliases.production, first);
  assert.equal((await call('DELETE', `/models/credit/releases/${release.id}`)).status, 404);
  assert.equal((await call('POST', '/models/credit/retraining')).status, 422);
  assert.deepEqual((await call('GET', '/models/credit/retraining')).body, { runs: [] });
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { servedModels, weighted } from '../inference/models.fixture.ts';

const OCTETS = { 'content-type': 'application/octet-stream' };

it('takes a file, predicts with it, and shows what it is', async () => {
  await using under = await servedModels();
  const { api } = under;
  const { status, body } = await api.post('/models/risk/versions', weighted(1, 10), OCTETS);
  assert.equal(status, 201);
  assert.deepEqual([body.number, body.serving.features], [1, ['c0', 'c1']]);
  const answer = await api.post('/models/risk/predict', '[{"c0":1,"c1":2},[3,4]]');
  assert.deepEqual(answer.body, {
    model: 'risk',
    version: body.version,
    predictions: [
      { y: 21, z: [1, 2] },
      { y: 43, z: [3, 4] },
    ],
  });
  const { body: shown } = await api.get('/models/risk');
  assert.deepEqual([shown.aliases, shown.versions.length], [{ production: body.version }, 1]);
  const { tier } = shown.versions[0].status;
  assert.deepEqual([tier.engine, tier.place], ['typescript', 'caller']);
  assert.equal(typeof tier.rowMicros, 'number');
  assert.match(tier.reason, /small/);
  const file = await api.fetch(`/models/risk/versions/${body.version}/file`);
  assert.deepEqual(new Uint8Array(await file.arrayBuffer()), weighted(1, 10));
});

it('takes a form with what there is to say about a version, and finds it by that', async () => {
  await using under = await servedModels();
  const { api } = under;
  const form = new FormData();
  form.set('onnx', new Blob([new Uint8Array(weighted(2))]));
  const facts = {
    metrics: { auc: 0.9 },
    tags: { team: 'fraud' },
    card: 'Sees holidays.',
    alias: 'staging',
    data: { source: 'payments' },
  };
  form.set('facts', JSON.stringify({ ...facts, serving: { missing: true } }));
  const uploaded = await api.fetch('/models/risk/versions', { method: 'POST', body: form });
  assert.equal(uploaded.status, 201);
  const { body } = await api.get('/models/risk/versions/staging');
  assert.deepEqual(
    [body.metrics, body.data, body.serving.missing],
    [{ auc: 0.9 }, { source: 'payments' }, true],
  );
  for (const query of ['q=holiday', 'tag=team%3Dfraud&metric=auc%3E0.8', 'model=risk&limit=1']) {
    assert.equal((await api.get(`/model-versions?${query}`)).body.versions.length, 1, query);
  }
  assert.equal((await api.get('/model-versions?metric=auc%3E0.95')).body.versions.length, 0);
  const wrong = new FormData();
  wrong.set('onnx', new Blob([new Uint8Array(weighted(2))]));
  wrong.set('facts', JSON.stringify({ metric: {}, serving: { batch: { size: 0, waitMs: 0 }, featurs: [] } }));
  const refused = await (await api.fetch('/models/risk/versions', { method: 'POST', body: wrong })).json();
  assert.deepEqual(
    (refused as { errors: { path: string }[] }).errors.map(({ path }) => path),
    ['/metric', '/serving/batch/size', '/serving/featurs'],
  );
});

it('moves aliases, refuses what would break their users, and removes what nobody names', async () => {
  await using under = await servedModels();
  const { api } = under;
  await api.post('/models/risk/versions', weighted(1), OCTETS);
  await api.post('/models/risk/versions', weighted(2), OCTETS);
  await api.post('/models/risk/versions', weighted(1, 1), OCTETS);
  const put = async (alias: string, body: object) => {
    const response = await api.fetch(`/models/risk/aliases/${alias}`, {
      method: 'PUT',
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as { code: string; aliases: object } };
  };
  const remove = async (path: string) =>
    (await api.fetch(`/models/risk/${path}`, { method: 'DELETE' })).status;
  assert.equal((await put('production', { version: '2' })).status, 200);
  assert.deepEqual((await api.post('/models/risk/predict', '[[1]]')).body.predictions, [{ y: 2, z: 1 }]);
  assert.deepEqual((await api.post('/models/risk/predict?version=1', '[[1]]')).body.predictions, [
    { y: 1, z: 1 },
  ]);
  const breaking = await put('production', { version: '3' });
  assert.deepEqual([breaking.status, breaking.body.code], [409, 'MODEL_INCOMPATIBLE']);
  assert.equal((await put('production', { version: '3', breaking: true })).status, 200);
  assert.equal((await put('production', { version: 7 })).status, 422);
  assert.equal((await put('Not Good', { version: '1' })).status, 422);
  assert.equal(await remove('versions/3'), 409);
  assert.equal(await remove('versions/1'), 204);
  assert.equal(await remove('versions/1'), 404);
  await put('staging', { version: '2' });
  assert.equal(await remove('aliases/staging'), 200);
  assert.deepEqual(
    (await api.get('/models/risk/versions')).body.versions.map(({ number }: { number: number }) => number),
    [3, 2],
  );
});

it('answers bad requests with what is wrong and where', async () => {
  await using under = await servedModels();
  const { api } = under;
  await api.post('/models/risk/versions', weighted(1, 10), OCTETS);
  const cases: [path: string, body: string | Uint8Array, code: string, paths: string[]][] = [
    ['/models/risk/predict', '{"rows":[[1,2],{"c0":1},[1]]}', 'INVALID_INPUT', ['/rows/1/c1', '/rows/2']],
    ['/models/risk/predict', '{"row":[1]}', 'INVALID_INPUT', ['/rows']],
    ['/models/risk/predict', '[]', 'INVALID_INPUT', ['']],
    ['/models/risk/predict', '{"rows":[[1,2]],"keys":["a","b"]}', 'INVALID_INPUT', ['/keys']],
    ['/models/risk/predict', '[[1,', 'BAD_JSON', []],
    ['/models/risk/predict?version=9', '[[1,2]]', 'VERSION_NOT_FOUND', []],
    ['/models/nobody/predict', '[[1,2]]', 'MODEL_NOT_FOUND', []],
    ['/models/risk/versions', weighted(1, 10).slice(0, 50), 'MODEL_INVALID', []],
    ['/models/risk/versions', new Uint8Array(2 * 1024 * 1024), 'PAYLOAD_TOO_LARGE', []],
  ];
  for (const [path, body, code, paths] of cases) {
    const answer = await api.post(path, body, typeof body === 'string' ? {} : OCTETS);
    assert.equal(answer.body.code, code, `${path} ${JSON.stringify(answer.body)}`);
    assert.deepEqual(
      (answer.body.errors ?? []).map((each: { path: string }) => each.path),
      paths,
    );
    assert.match(answer.headers.get('content-type') ?? '', /problem\+json/);
  }
  assert.equal(
    (await api.post('/models/risk/predict', '[[1,2]]')).status,
    200,
    'the old version keeps serving',
  );
});

it('predicts large bodies in parts, with one answer', async () => {
  await using under = await servedModels();
  const { api, models } = under;
  await api.post('/models/risk/versions', weighted(1, 10), OCTETS);
  const runs: { readonly rows: number; readonly keys: readonly string[] | undefined }[] = [];
  models.observe(({ rows, keys }) => void runs.push({ rows, keys }));
  const rows = Array.from({ length: 5000 }, (_, index) => ({ c0: index, c1: index % 7 }));
  const expected = rows.map(({ c0, c1 }) => ({ y: c0 + 10 * c1, z: [c0, c1] }));
  const plain = await api.post('/models/risk/predict?version=1', JSON.stringify(rows));
  assert.equal(plain.status, 200);
  assert.deepEqual([plain.body.model, plain.body.predictions], ['risk', expected]);
  assert.equal(plain.body.version, (await api.get('/models/risk')).body.aliases.production);
  assert.ok(Math.max(...runs.map((run) => run.rows)) < 2500, 'no part is large');

  runs.length = 0;
  const keys = rows.map(({ c0 }) => `card-${c0}`);
  const wrapped = await api.post('/models/risk/predict', JSON.stringify({ rows, keys }));
  assert.deepEqual(wrapped.body.predictions, expected);
  assert.deepEqual(
    runs.flatMap((run) => run.keys),
    keys,
  );

  const wrong = rows.map((row, index) => (index === 4321 ? { c0: 1 } : row));
  const refused = await api.post('/models/risk/predict', JSON.stringify({ rows: wrong }));
  assert.equal(refused.status, 422);
  assert.deepEqual(
    refused.body.errors.map(({ path }: { path: string }) => path),
    ['/rows/4321/c1'],
  );
  assert.match(refused.body.detail, /\/rows\/4321\/c1 is missing/);
  const broken = await api.post('/models/risk/predict', `${JSON.stringify(rows).slice(0, -1)}`);
  assert.equal(broken.body.code, 'BAD_JSON');
});

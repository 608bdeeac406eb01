import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import type { Tensor } from '../../models/index.ts';
import { servedModels, weighted } from './models.fixture.ts';
import { datatypeOf, tensorFromBytes, tensorToBytes } from './tensors.ts';

const by = 'test';
const serving = { missing: false, batch: { size: 16, waitMs: 0 }, cache: null };

it('tells about the server and its models', async () => {
  await using under = await servedModels();
  const { api, models } = under;
  await models.register('risk', { bytes: weighted(1, 2), serving, by });
  assert.deepEqual((await api.get('/v2')).body, {
    name: 'millrace',
    version: '0.0.0-test',
    extensions: ['binary_tensor_data'],
  });
  assert.equal((await api.get('/v2/health/live')).body.live, true);
  assert.equal((await api.get('/v2/health/ready')).status, 200);
  for (const path of ['/v2/models/risk', '/v2/models/risk/versions/1']) {
    assert.deepEqual((await api.get(path)).body, {
      name: 'risk',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [
        { name: 'y', datatype: 'FP32', shape: [-1, 1] },
        { name: 'z', datatype: 'FP32', shape: [-1, 2] },
      ],
    });
  }
  assert.deepEqual((await api.get('/v2/models/risk/versions/1/ready')).body, { name: 'risk', ready: true });
  const absent = await api.get('/v2/models/nobody/ready');
  assert.equal(absent.status, 404);
  assert.equal(absent.body.error, absent.body.detail, 'clients of the protocol look for `error`');
});

it('infers from JSON, flat or nested, all outputs or some', async () => {
  await using under = await servedModels();
  const { api, models } = under;
  await models.register('risk', { bytes: weighted(1, 2), serving, by });
  const input = { name: 'x', shape: [2, 2], datatype: 'FP32' };
  const ask = (body: object, path = '/v2/models/risk/infer') => api.post(path, JSON.stringify(body));
  const flat = await ask({ id: '42', inputs: [{ ...input, data: [1, 2, 3, 4] }] });
  assert.deepEqual(flat.body, {
    model_name: 'risk',
    model_version: '1',
    id: '42',
    outputs: [
      { name: 'y', datatype: 'FP32', shape: [2, 1], data: [5, 11] },
      { name: 'z', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] },
    ],
  });
  const some = await ask(
    {
      inputs: [
        {
          ...input,
          data: [
            [1, 2],
            [3, 4],
          ],
        },
      ],
      outputs: [{ name: 'y' }],
    },
    '/v2/models/risk/versions/1/infer',
  );
  assert.deepEqual(
    some.body.outputs.map(({ name, data }: { name: string; data: number[] }) => [name, data]),
    [['y', [5, 11]]],
  );
});

it('takes and gives tensors as bytes', async () => {
  await using under = await servedModels();
  const { api, models } = under;
  await models.register('risk', { bytes: weighted(1, 2), serving, by });
  const values = Float32Array.of(1, 2, 3, 4);
  const head = Buffer.from(
    JSON.stringify({
      inputs: [{ name: 'x', shape: [2, 2], datatype: 'FP32', parameters: { binary_data_size: 16 } }],
      outputs: [{ name: 'y', parameters: { binary_data: true } }, { name: 'z' }],
    }),
  );
  const response = await api.fetch('/v2/models/risk/infer', {
    method: 'POST',
    headers: {
      'Inference-Header-Content-Length': String(head.length),
      'content-type': 'application/octet-stream',
    },
    body: Buffer.concat([head, new Uint8Array(values.buffer)]),
  });
  const body = Buffer.from(await response.arrayBuffer());
  const length = Number(response.headers.get('inference-header-content-length'));
  const answer = JSON.parse(body.toString('utf8', 0, length));
  assert.deepEqual(answer.outputs[0], {
    name: 'y',
    datatype: 'FP32',
    shape: [2, 1],
    parameters: { binary_data_size: 8 },
  });
  assert.deepEqual(
    [body.readFloatLE(length), body.readFloatLE(length + 4), body.length - length],
    [5, 11, 8],
  );
  assert.deepEqual(answer.outputs[1].data, [1, 2, 3, 4]);
});

it('takes large requests and gives large answers, the same as small ones', async () => {
  await using under = await servedModels();
  const { api, models } = under;
  await models.register('risk', { bytes: weighted(1, 2), serving, by });
  const numbers = Array.from({ length: 30_000 }, (_, index) => index % 100);
  const input = { name: 'x', shape: [15_000, 2], datatype: 'FP32', data: numbers };
  const infer = (data: readonly unknown[], more: object = {}) =>
    api.post('/v2/models/risk/infer', JSON.stringify({ id: 'large', inputs: [{ ...input, data }], ...more }));
  const { status, body } = await infer(numbers);
  assert.equal(status, 200);
  assert.deepEqual([body.id, body.model_version], ['large', '1']);
  const [y, z] = body.outputs;
  assert.deepEqual(
    [y.shape, z.shape],
    [
      [15_000, 1],
      [15_000, 2],
    ],
  );
  assert.deepEqual(z.data, numbers);
  assert.deepEqual(
    y.data,
    Array.from({ length: 15_000 }, (_, row) => numbers[row * 2]! + 2 * numbers[row * 2 + 1]!),
  );
  const refused = await infer(numbers.with(21_234, 'a' as never));
  assert.deepEqual([refused.status, refused.body.errors[0].path], [422, '/inputs/0/data/21234']);
  const binary = { parameters: { binary_data_output: true } };
  const response = await api.fetch('/v2/models/risk/infer', {
    method: 'POST',
    body: JSON.stringify({ inputs: [input], ...binary }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const at = Number(response.headers.get('inference-header-content-length'));
  assert.deepEqual([bytes.length - at, bytes.readFloatLE(at + 4)], [15_000 * 3 * 4, y.data[1]]);
});

it('refuses what does not fit, with the place', async () => {
  await using under = await servedModels();
  const { api, models } = under;
  await models.register('risk', { bytes: weighted(1, 2), serving, by });
  const x = { name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] };
  const cases: [body: object, paths: string[]][] = [
    [{}, ['/inputs']],
    [{ inputs: [{ ...x, shape: [1, 3] }] }, ['/inputs/0/data']],
    [{ inputs: [{ ...x, shape: [1, -2] }] }, ['/inputs/0/shape']],
    [{ inputs: [{ ...x, datatype: 'FP31' }] }, ['/inputs/0/datatype']],
    [{ inputs: [{ ...x, datatype: 'INT64' }] }, ['/inputs/x']],
    [{ inputs: [{ ...x, data: [1, 'a'] }] }, ['/inputs/0/data/1']],
    [{ inputs: [{ ...x, data: [1, null] }] }, ['/inputs/x']],
    [{ inputs: [{ ...x, name: 'w' }] }, ['/inputs/w', '/inputs/x']],
    [{ inputs: [{ ...x, parameters: { binary_data_size: 8 } }] }, ['/inputs/0/parameters/binary_data_size']],
    [{ inputs: [x], outputs: [{ name: 'nothing' }] }, ['/outputs']],
  ];
  for (const [body, paths] of cases) {
    const answer = await api.post('/v2/models/risk/infer', JSON.stringify(body));
    assert.equal(answer.status, 422, JSON.stringify(answer.body));
    assert.deepEqual(
      answer.body.errors.map(({ path }: { path: string }) => path),
      paths,
    );
    assert.equal(typeof answer.body.error, 'string');
  }
  const long = await api.post('/v2/models/risk/infer', `{"inputs":[],"id":"${'x'.repeat(200_000)}"}`);
  assert.equal(long.status, 413);
  const cut = await api.post('/v2/models/risk/infer', '{}', { 'Inference-Header-Content-Length': '99' });
  assert.equal(cut.body.code, 'BAD_REQUEST');
});

const types = [
  'bool',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'uint64',
  'int64',
  'float16',
  'float32',
  'float64',
  'string',
] as const;

it('keeps the values of every type through bytes', () => {
  const dataOf = (type: (typeof types)[number], seeds: readonly number[]): Tensor['data'] => {
    if (type === 'string') return seeds.map((seed) => `é${seed}`);
    if (type === 'int64') return BigInt64Array.from(seeds, (seed) => BigInt(seed) * -(2n ** 33n));
    if (type === 'uint64') return BigUint64Array.from(seeds, (seed) => BigInt(seed) * 2n ** 33n);
    const Kind = {
      bool: Uint8Array,
      uint8: Uint8Array,
      int8: Int8Array,
      uint16: Uint16Array,
      int16: Int16Array,
      uint32: Uint32Array,
      int32: Int32Array,
      float16: Float32Array,
      float32: Float32Array,
      float64: Float64Array,
    }[type];
    return (Kind as Float32ArrayConstructor).from(seeds, (seed) =>
      type === 'bool' ? seed % 2 : type === 'int8' ? -seed : seed,
    );
  };
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 9 }),
      (type, seeds) => {
        const tensor: Tensor = { type, dims: [seeds.length], data: dataOf(type, seeds) };
        const bytes = tensorToBytes(tensor);
        // Behind other bytes, where numbers are not aligned.
        const shifted = Buffer.concat([Buffer.of(1), bytes]).subarray(1);
        assert.deepEqual(tensorFromBytes(type, tensor.dims, shifted, '/x'), tensor, datatypeOf(type));
      },
    ),
  );
});

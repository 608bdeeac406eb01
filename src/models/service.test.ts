import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MillraceError } from '../kernel/index.ts';
import type { InferenceEngine } from './inference.port.ts';
import { castModel, identityModel, linearModel, serving, testModels } from './models.support.ts';
import type { Observation } from './service.ts';
import { evaluatorEngine } from './serving/evaluator-engine.ts';

const by = 'test';
const refusal =
  (code: string, ...paths: string[]) =>
  (error: { code: string; errors: { path: string }[] }) => {
    assert.deepEqual([error.code, error.errors.map(({ path }) => path)], [code, paths]);
    return true;
  };

describe('rows', () => {
  const features = ['amount', 'hour'];

  it('are objects by feature or lists in their order', async () => {
    await using under = await testModels();
    const { models } = under;
    await models.register('risk', { bytes: linearModel([1, 10]), serving: { ...serving, features }, by });
    const { predictions } = await models.predict('risk', [
      { amount: 1, hour: 2 },
      [3, 4],
      { hour: true, amount: 0, more: 'x' },
    ]);
    assert.deepEqual(predictions, [{ y: 21 }, { y: 43 }, { y: 10 }]);
  });

  it('take the names of features from the file, or from the schema of a row', async () => {
    await using under = await testModels();
    const { models } = under;
    await models.register('a', { bytes: linearModel([1, 10], { features }), serving, by });
    const input = {
      type: 'object',
      properties: { amount: { type: 'number', minimum: 0 }, hour: { type: 'number' } },
      required: features,
    };
    await models.register('b', { bytes: linearModel([1, 10]), serving: { ...serving, input }, by });
    for (const name of ['a', 'b']) {
      assert.deepEqual((await models.predict(name, [{ hour: 2, amount: 1 }])).predictions, [{ y: 21 }]);
    }
    await assert.rejects(
      models.predict('b', [
        { hour: 2, amount: 1 },
        { hour: 1, amount: -1 },
      ]),
      refusal('INVALID_INPUT', '/1/amount'),
    );
    const wrong = models.register('c', {
      bytes: linearModel([1, 10]),
      serving: { ...serving, features: ['one'] },
      by,
    });
    await assert.rejects(wrong, refusal('INVALID_INPUT', '/features'));
  });

  it('are refused with the path of every problem', async () => {
    await using under = await testModels();
    const { models } = under;
    await models.register('risk', { bytes: linearModel([1, 10]), serving: { ...serving, features }, by });
    const rows = [{ amount: 1 }, { amount: 'x', hour: null }, [1], 'no', [Number.NaN, 1e300]];
    await assert.rejects(
      models.predict('risk', rows, { path: '/rows' }),
      refusal(
        'INVALID_INPUT',
        '/rows/0/hour',
        '/rows/1/amount',
        '/rows/1/hour',
        '/rows/2',
        '/rows/3',
        '/rows/4/0',
        '/rows/4/1',
      ),
    );
    await assert.rejects(models.predict('risk', []), { code: 'INVALID_INPUT' });
  });

  it('may hold what is missing, where the model is declared to know it', async () => {
    await using under = await testModels();
    const { models } = under;
    await models.register('risk', {
      bytes: linearModel([1, 10]),
      serving: { ...serving, features, missing: true },
      by,
    });
    assert.deepEqual((await models.predict('risk', [{ amount: null, hour: 1 }])).predictions, [{ y: null }]);
  });

  it('of models with other inputs hold what the input holds: texts, integers, matrices', async () => {
    await using under = await testModels();
    const { models } = under;
    await models.register('text', { bytes: identityModel('string', ['n', 1]), serving, by });
    assert.deepEqual((await models.predict('text', [{ x: 'a' }, ['b'], 'c'])).predictions, [
      { y: 'a' },
      { y: 'b' },
      { y: 'c' },
    ]);
    await models.register('big', { bytes: identityModel('int64', ['n', 2]), serving, by });
    assert.deepEqual((await models.predict('big', [[1, 2 ** 40]])).predictions, [{ y: [1, 2 ** 40] }]);
    await assert.rejects(models.predict('big', [[1, 0.5]]), refusal('INVALID_INPUT', '/0/1'));
    await models.register('matrix', { bytes: identityModel('float32', ['n', 2, 2]), serving, by });
    const { predictions } = await models.predict('matrix', [
      [
        [1, 2],
        [3, 4],
      ],
      { x: [5, 6, 7, 8] },
    ]);
    assert.deepEqual(predictions, [
      {
        y: [
          [1, 2],
          [3, 4],
        ],
      },
      {
        y: [
          [5, 6],
          [7, 8],
        ],
      },
    ]);
    await models.register('single', { bytes: identityModel('float32', [1, 2]), serving, by });
    const each = await models.predict('single', [
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    assert.deepEqual(each.predictions, [{ y: [1, 2] }, { y: [3, 4] }, { y: [5, 6] }]);
  });

  it('give the same answers one by one, together, and split over many runs', async () => {
    await using under = await testModels();
    const { models } = under;
    const small = { ...serving, batch: { size: 3, waitMs: 0 } };
    await models.register('small', { bytes: linearModel([1, -2, 0.5]), serving: small, by });
    await models.register('large', { bytes: linearModel([1, -2, 0.5]), serving, by });
    const row = fc.tuple(
      fc.float({ noNaN: true, min: -1e3, max: 1e3 }),
      fc.float({ noNaN: true, min: -1e3, max: 1e3 }),
      fc.integer({ min: -9, max: 9 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 10 }), async (rows) => {
        const together = await models.predict('large', rows);
        const split = await models.predict('small', rows);
        const alone = await Promise.all(
          rows.map(async (each) => (await models.predict('large', [each])).predictions[0]),
        );
        assert.deepEqual(split.predictions, together.predictions);
        assert.deepEqual(alone, together.predictions);
      }),
      { numRuns: 25 },
    );
  });
});

describe('versions', () => {
  it('that are broken are refused, and the old one keeps serving', async () => {
    await using under = await testModels();
    const { models } = under;
    const good = linearModel([1]);
    const { version } = await models.register('risk', { bytes: good, serving, by });
    await assert.rejects(models.register('risk', { bytes: good.slice(0, -10), serving, by }), {
      code: 'MODEL_INVALID',
    });
    await assert.rejects(models.register('risk', { bytes: Buffer.from('not onnx'), serving, by }), {
      code: 'MODEL_INVALID',
    });
    const other = await models.register('risk', { bytes: castModel(1), serving, by });
    const change = models.registry.setAlias('risk', 'production', { version: other.version, by });
    await assert.rejects(change, { code: 'MODEL_INCOMPATIBLE' });
    assert.deepEqual(await models.predict('risk', [[7]]), {
      model: 'risk',
      version,
      predictions: [{ y: 7 }],
    });
  });

  it('that need what no engine here has say so, with the remedy', async () => {
    const missing = 'ONNX Runtime could run it and is not installed.';
    const native: InferenceEngine = {
      name: 'onnxruntime',
      place: 'worker',
      load: () => Promise.reject(new MillraceError('MODEL_UNSUPPORTED', missing)),
    };
    await using under = await testModels({ engines: { native } });
    const { plainModel } = await import('./models.support.ts');
    const { node } = await import('./onnx/index.ts');
    const bytes = plainModel(
      [node('NoSuchOperator', ['x'], ['y'])],
      [['x', 'float32', ['n']]],
      [['y', 'float32', ['n']]],
    );
    await assert.rejects(
      under.models.register('odd', { bytes, serving, by }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'MODEL_UNSUPPORTED');
        assert.match(error.message, /NoSuchOperator/);
        assert.ok(error.message.includes(missing));
        return true;
      },
    );
  });

  it('are chosen by routers, watched by observers, and shadowed without a trace in the answer', async () => {
    await using under = await testModels();
    const { models } = under;
    const one = await models.register('risk', { bytes: linearModel([1]), serving, by });
    const two = await models.register('risk', { bytes: linearModel([2]), serving, by });
    const seen: Observation[] = [];
    const stop = models.observe((observation) => void seen.push(observation));
    const unroute = models.route((model, key) =>
      key === 'b' ? { version: two.version, shadows: [one.version] } : undefined,
    );
    assert.deepEqual((await models.predict('risk', [[1]], { key: 'a' })).predictions, [{ y: 1 }]);
    const answer = await models.predict('risk', [[1]], { key: 'b', keys: ['order-1'] });
    assert.deepEqual([answer.version, answer.predictions], [two.version, [{ y: 2 }]]);
    while (seen.length < 3) await new Promise((resolve) => setImmediate(resolve));
    const told = seen.map(({ version, shadow, rows, keys }) => [version, shadow, rows, keys]);
    assert.deepEqual(
      told.sort(([, a], [, b]) => Number(a) - Number(b)),
      [
        [one.version, false, 1, undefined],
        [two.version, false, 1, ['order-1']],
        [one.version, true, 1, ['order-1']],
      ],
    );
    stop();
    unroute();
    assert.equal((await models.predict('risk', [[1]], { key: 'b' })).version, one.version);
    assert.equal(seen.length, 3);
    assert.deepEqual((await models.predict('risk', [[1]], { version: '2' })).predictions, [{ y: 2 }]);
  });
});

describe('loading', () => {
  it('keeps to the budget, and a first request to an unloaded model waits', async () => {
    const kilobytes = 200;
    await using under = await testModels({ memoryBytes: 3 * kilobytes * 1024 });
    const { models } = under;
    const names = Array.from({ length: 12 }, (_, index) => `m${index}`);
    for (const [index, name] of names.entries()) {
      await models.register(name, { bytes: linearModel([index + 1]), serving, by });
    }
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(names.map((name) => models.predict(name, [[1]])));
      assert.deepEqual(
        answers.map(({ predictions }) => predictions[0]!.y),
        names.map((_, index) => index + 1),
      );
      assert.ok(
        models.loaded.models < names.length && models.loaded.models > 0,
        String(models.loaded.models),
      );
      assert.ok(models.loaded.bytes <= 3 * kilobytes * 1024);
    }
    const { version } = await models.load('m3');
    assert.equal(models.status(version).tier?.engine, 'typescript');
    await models.unload('m3');
    assert.equal(models.status(version).loaded, false);
  });

  it('reads a model once, however many ask for it at the same time', async () => {
    let loads = 0;
    const caller = evaluatorEngine();
    const counting: InferenceEngine = { ...caller, load: (bytes) => (loads++, caller.load(bytes)) };
    await using under = await testModels({ engines: { caller: counting } });
    await under.models.register('risk', { bytes: linearModel([1]), serving, by });
    loads = 0;
    await Promise.all(Array.from({ length: 20 }, () => under.models.predict('risk', [[1]])));
    assert.equal(loads, 1);
  });

  it('runs off the main thread what is large, with the same answers', async () => {
    await using under = await testModels();
    const { models } = under;
    const width = 150_000;
    const version = await models.register('wide', {
      bytes: linearModel(new Array(width).fill(1)),
      serving,
      by,
    });
    const { predictions } = await models.predict('wide', [new Array(width).fill(0.5)]);
    assert.deepEqual(predictions, [{ y: width / 2 }]);
    assert.equal(models.status(version).tier?.place, 'worker');
  });
});

describe('the cache', () => {
  it('answers by key for a while, and a new version anew', async () => {
    await using under = await testModels();
    const { models, clock } = under;
    const cached = { ...serving, features: ['id', 'v'], cache: { ttlMs: 1000, entries: 2, key: 'id' } };
    await models.register('risk', { bytes: linearModel([0, 1]), serving: cached, by });
    const ask = async (id: number, v: number) =>
      (await models.predict('risk', [{ id, v }])).predictions[0]!.y;
    assert.equal(await ask(1, 10), 10);
    assert.equal(await ask(1, 20), 10, 'remembered by its key');
    clock.advance(1000);
    assert.equal(await ask(1, 20), 20);
    const mixed = await models.predict('risk', [
      { id: 2, v: 2 },
      { id: 1, v: 99 },
      { id: 3, v: 3 },
    ]);
    assert.deepEqual(
      mixed.predictions.map(({ y }) => y),
      [2, 20, 3],
    );
    assert.equal(await ask(1, 5), 5, 'two entries are kept, and this was used longest ago');
    await assert.rejects(
      models.predict('risk', [{ id: 5, v: 1 }, { id: 3, v: 0 }, { id: 6 }]),
      refusal('INVALID_INPUT', '/2/v'),
    );
    const two = await models.register('risk', { bytes: linearModel([0, 100]), serving: cached, by });
    await models.registry.setAlias('risk', 'production', { version: two.version, by });
    assert.equal(await ask(3, 3), 300);
  });
});

describe('tensors', () => {
  it('are checked against the model', async () => {
    await using under = await testModels();
    const { models } = under;
    await models.register('risk', { bytes: linearModel([1, 2]), serving, by });
    const x =
      (dims: number[], data: number[], type: 'float32' | 'float64' = 'float32') =>
      () => ({
        x: { type, dims, data: type === 'float32' ? Float32Array.from(data) : Float64Array.from(data) },
      });
    const { outputs } = await models.infer('risk', x([2, 2], [1, 2, 3, 4]));
    assert.deepEqual(outputs.y, { type: 'float32', dims: [2, 1], data: Float32Array.of(5, 11) });
    for (const wrong of [
      x([1, 3], [1, 2, 3]),
      x([2], [1, 2]),
      x([0, 2], []),
      x([1, 2], [1, Number.NaN]),
      x([1, 2], [1, 2], 'float64'),
    ]) {
      await assert.rejects(models.infer('risk', wrong), refusal('INVALID_INPUT', '/inputs/x'));
    }
    await assert.rejects(
      models.infer('risk', () => ({})),
      refusal('INVALID_INPUT', '/inputs/x'),
    );
    await assert.rejects(
      models.infer('risk', () => ({ ...x([1, 2], [1, 2])(), z: x([1], [1])().x })),
      refusal('INVALID_INPUT', '/inputs/z'),
    );
  });
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { InferenceEngine, LoadedModel, Values } from './inference.port.ts';
import { identityModel, linearModel, plainModel } from './models.support.ts';
import { node } from './onnx/index.ts';
import type { Tensor } from './tensor.ts';

const x = (values: readonly number[], width: number): Values => ({
  x: { type: 'float32', dims: [values.length / width, width], data: Float32Array.from(values) },
});
const valuesOf = (outputs: Values): number[] => [...((outputs.y as Tensor).data as Float32Array)];

/** What every inference engine keeps: I1 to I3 of the port. */
export function inferenceContract(open: () => Promise<InferenceEngine & AsyncDisposable>): void {
  const withModel = async (
    bytes: Uint8Array,
    check: (model: LoadedModel) => Promise<void>,
  ): Promise<void> => {
    await using engine = await open();
    const model = await engine.load(bytes);
    try {
      await check(model);
    } finally {
      await model.close();
    }
  };

  it('tells inputs and outputs, and runs rows together as it runs them alone', () =>
    withModel(linearModel([1, 10], { bias: 0.5 }), async (model) => {
      assert.deepEqual(
        model.inputs.map((spec) => ({ ...spec })),
        [{ name: 'x', type: 'float32', dims: ['n', 2] }],
      );
      assert.deepEqual(
        model.outputs.map(({ name }) => name),
        ['y'],
      );
      assert.ok(model.memoryBytes > 0);
      const together = await model.run(x([1, 2, 3, 4], 2));
      assert.deepEqual((together.y as Tensor).dims, [2, 1]);
      assert.deepEqual(valuesOf(together), [21.5, 43.5]);
      assert.deepEqual(valuesOf(await model.run(x([3, 4], 2))), [43.5]);
    }));

  it('I1 answers the same while several runs are under way', () =>
    withModel(linearModel([2]), async (model) => {
      const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => model.run(x([index], 1))));
      assert.deepEqual(
        answers.map(valuesOf),
        Array.from({ length: 20 }, (_, index) => [index * 2]),
      );
    }));

  it('carries texts and 64-bit integers', async () => {
    const texts: Values = { x: { type: 'string', dims: [2, 1], data: ['a', 'ü'] } };
    await withModel(identityModel('string', ['n', 1]), async (model) => {
      assert.deepEqual([...((await model.run(texts)).y as Tensor).data], ['a', 'ü']);
    });
    const big: Values = { x: { type: 'int64', dims: [1, 2], data: BigInt64Array.of(-1n, 2n ** 60n) } };
    await withModel(identityModel('int64', ['n', 2]), async (model) => {
      assert.deepEqual([...((await model.run(big)).y as Tensor).data], [-1n, 2n ** 60n]);
    });
  });

  it('I2 refuses what is no model, and names what it has not got', async () => {
    await using engine = await open();
    const good = linearModel([1, 2]);
    for (const broken of [good.slice(0, good.length - 9), Buffer.from('not a model'), new Uint8Array(0)]) {
      await assert.rejects(engine.load(broken), { code: /MODEL_(INVALID|UNSUPPORTED)/ });
    }
    const odd = plainModel(
      [node('NoSuchOperator', ['x'], ['y'])],
      [['x', 'float32', ['n']]],
      [['y', 'float32', ['n']]],
    );
    await assert.rejects(engine.load(odd), {
      code: /MODEL_(INVALID|UNSUPPORTED)/,
      message: /NoSuchOperator/,
    });
  });

  it('answers inputs that do not fit with what is wrong, and goes on', () =>
    withModel(linearModel([1, 2]), async (model) => {
      await assert.rejects(async () => model.run(x([1, 2, 3], 3)), { code: 'INVALID_INPUT' });
      assert.deepEqual(valuesOf(await model.run(x([1, 1], 2))), [3]);
    }));

  it('I3 holds several models apart, and lets go of one without the others', async () => {
    await using engine = await open();
    const [one, two] = await Promise.all([engine.load(linearModel([1])), engine.load(linearModel([2]))]);
    const under = one.run(x([5], 1));
    await one.close();
    assert.deepEqual(valuesOf(await under), [5]);
    assert.deepEqual(valuesOf(await two.run(x([5], 1))), [10]);
    await two.close();
  });
}

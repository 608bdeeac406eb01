import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MillraceError, manualClock } from '../../kernel/index.ts';
import type { Values } from '../inference.port.ts';
import type { Tensor } from '../tensor.ts';
import { createBatcher } from './batcher.ts';

const rows = (...values: number[]): Values => ({
  x: { type: 'float32', dims: [values.length, 1], data: Float32Array.from(values) },
});
const valuesOf = (outputs: Values): number[] => [...((outputs.y as Tensor).data as Float32Array)];
const double = (inputs: Values): Values => {
  const { type, dims, data } = inputs.x as Tensor;
  return { y: { type, dims, data: (data as Float32Array).map((value) => value * 2) } };
};

const base = { clock: manualClock(), size: 8, waitMs: 0, concurrency: 1, queue: 100 };

/** A model in another thread, whose runs end when the test says so. */
function slowModel() {
  const runs: { readonly inputs: Values; end(): void }[] = [];
  return {
    runs,
    run: (inputs: Values): Promise<Values> =>
      new Promise((resolve) => void runs.push({ inputs, end: () => resolve(double(inputs)) })),
  };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const sizeOf = (inputs: Values): number => (inputs.x as Tensor).dims[0]!;

it('answers each with its own rows, whoever they were run with', async () => {
  const sizes: number[] = [];
  const run = (inputs: Values): Values => {
    sizes.push(sizeOf(inputs));
    return double(inputs);
  };
  const batcher = createBatcher({ ...base, model: { run } });
  const answers = await Promise.all([
    batcher.run(rows(1), 1),
    batcher.run(rows(2, 3), 2),
    batcher.run(rows(4), 1),
  ]);
  assert.deepEqual(answers.map(valuesOf), [[2], [4, 6], [8]]);
  assert.deepEqual(sizes, [4], 'what arrives in one turn goes together');
});

it('runs at once when idle, and gathers what comes while it runs, up to a size', async () => {
  const model = slowModel();
  const batcher = createBatcher({ ...base, model, size: 3 });
  const first = batcher.run(rows(1), 1);
  await turn();
  assert.equal(model.runs.length, 1, 'an idle model waits for nobody');
  const rest = [2, 3, 4, 5].map((value) => batcher.run(rows(value), 1));
  await turn();
  assert.equal(model.runs.length, 1);
  model.runs[0]!.end();
  assert.deepEqual(valuesOf(await first), [2]);
  await turn();
  assert.deepEqual(
    model.runs.map(({ inputs }) => sizeOf(inputs)),
    [1, 3],
  );
  model.runs[1]!.end();
  await turn();
  await turn();
  model.runs[2]!.end();
  assert.deepEqual((await Promise.all(rest)).map(valuesOf), [[4], [6], [8], [10]]);
});

it('lets a batch wait for more while another runs, for as long as it was told', async () => {
  const clock = manualClock();
  const model = slowModel();
  const batcher = createBatcher({ ...base, clock, model, concurrency: 2, waitMs: 5 });
  void batcher.run(rows(1), 1);
  await turn();
  const second = batcher.run(rows(2), 1);
  await turn();
  assert.equal(model.runs.length, 1);
  clock.advance(4);
  assert.equal(model.runs.length, 1);
  clock.advance(1);
  assert.equal(model.runs.length, 2);
  model.runs[1]!.end();
  assert.deepEqual(valuesOf(await second), [4]);
});

it('gives others their answers when one request spoils the batch', async () => {
  const run = (inputs: Values): Values => {
    if ([...((inputs.x as Tensor).data as Float32Array)].includes(13)) {
      throw new MillraceError('INVALID_INPUT', 'No thirteen.');
    }
    return double(inputs);
  };
  const batcher = createBatcher({ ...base, model: { run } });
  const [good, bad, other] = await Promise.allSettled([1, 13, 2].map((value) => batcher.run(rows(value), 1)));
  assert.deepEqual(good?.status === 'fulfilled' && valuesOf(good.value), [2]);
  assert.deepEqual(other?.status === 'fulfilled' && valuesOf(other.value), [4]);
  assert.equal(bad?.status === 'rejected' && bad.reason.code, 'INVALID_INPUT');
});

it('runs apart what does not fit into one tensor', async () => {
  const run = (inputs: Values): Values => ({ y: inputs.x! });
  const batcher = createBatcher({ ...base, model: { run } });
  const wide: Values = { x: { type: 'float32', dims: [1, 2], data: Float32Array.of(1, 2) } };
  const answers = await Promise.all([batcher.run(rows(1), 1), batcher.run(wide, 1)]);
  assert.deepEqual(
    answers.map((answer) => (answer.y as Tensor).dims),
    [
      [1, 1],
      [1, 2],
    ],
  );
});

it('refuses what is too much, and takes a lone request however large', async () => {
  const model = slowModel();
  const batcher = createBatcher({ ...base, model, queue: 2 });
  const large = batcher.run(rows(1, 2, 3, 4), 4);
  await turn();
  const waiting = batcher.run(rows(5, 6), 2);
  await assert.rejects(batcher.run(rows(7), 1), { code: 'TOO_MANY_REQUESTS' });
  model.runs[0]!.end();
  await large;
  await turn();
  model.runs[1]!.end();
  await waiting;
});

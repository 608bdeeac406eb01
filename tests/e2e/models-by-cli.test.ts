import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDesk } from '../../src/cli/program.fixture.ts';
import { encodeModel, named, node } from '../../src/models/index.ts';

/** `y = weight · x`, of one column `x0`. */
function scaled(weight: number): Uint8Array {
  const matrix = (name: string) => ({
    name,
    type: { kind: 'tensor' as const, type: 'float32' as const, dims: ['n', 1] },
  });
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }],
    metadata: [{ key: 'millrace.features', value: '["x0"]' }],
    graph: {
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [named('w', { type: 'float32', dims: [1, 1], data: Float32Array.of(weight) })],
      inputs: [matrix('x')],
      outputs: [matrix('y')],
    },
  });
}

const APP = `import { fn, model } from 'millrace';
import * as v from 'valibot';
export const risk = model('risk', { file: 'risk.onnx', input: v.object({ x0: v.number() }), output: v.object({ y: v.number() }) });
export const ask = fn('ask', {}, async (x0: number, ctx) => (await ctx.model(risk).predict([{ x0 }]))[0]!.y);
`;

test('a model is planned, deployed, refused when broken, pushed, staged and found', async () => {
  await using desk = await createDesk();
  const put = (name: string, bytes: Uint8Array) => writeFile(join(desk.folder, name), bytes);
  await desk.write({ 'package.json': '{"name":"shop","type":"module"}', 'app.ts': APP });
  const platform = desk.start('start', '--data', 'data');
  const { api } = await platform.ready;
  const run = async (...words: string[]) => desk.run(...words, '--url', api);
  const ask = async (): Promise<unknown> => JSON.parse((await run('invoke', 'ask', '--data', '3')).out);

  const without = await run('plan');
  assert.equal(without.code, 1);
  assert.match(without.err, /model 'risk': file 'risk\.onnx' cannot be read/);
  await put('risk.onnx', scaled(2));
  const plan = await run('plan');
  assert.match(plan.out, /model\/risk/, plan.err);
  const deployed = await run('deploy');
  assert.equal(deployed.code, 0, deployed.err);
  assert.equal(await ask(), 6);

  await put('risk.onnx', scaled(5).slice(0, 40));
  const broken = await run('deploy');
  assert.equal(broken.code, 1);
  assert.match(broken.err, /MODEL_INVALID|ONNX/);
  assert.equal(await ask(), 6, 'what served goes on serving');

  await put('other.onnx', scaled(7));
  const pushed = await run(
    'model',
    'push',
    'risk',
    'other.onnx',
    '--alias',
    'staging',
    '--facts',
    '{"metrics":{"auc":0.9},"tags":{"team":"fraud"}}',
  );
  assert.equal(pushed.code, 0, pushed.err);
  assert.equal((await run('model', 'alias', 'risk', 'production', 'staging')).code, 0);
  assert.equal(await ask(), 21);
  const found = JSON.parse((await run('model', 'find', 'fraud', '--metric', 'auc>=0.9', '--json')).out);
  assert.deepEqual(
    found.versions.map(({ number }: { number: number }) => number),
    [2],
  );
  assert.match((await run('show', 'model/risk')).out, /run by +typescript in the main thread/);
  assert.match((await run('ls')).out, /risk .* 2 .*staging.*shop/);
  assert.match((await run('model', 'versions', 'risk')).out, /auc 0\.9/);

  await put('risk.onnx', scaled(2));
  const again = await run('deploy');
  assert.equal(again.code, 0, again.err);
  assert.equal(await ask(), 21, 'a deployment that changes nothing of the model leaves production alone');
  assert.equal((await run('model', 'rm', 'risk', '2')).code, 1, 'an alias names it');
  assert.equal((await run('model', 'shove', 'risk')).code, 2);
});

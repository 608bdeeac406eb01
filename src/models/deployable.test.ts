import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { AppVersion, ModelManifest } from '../kernel/index.ts';
import { modelsDeployable } from './deployable.ts';
import { logisticModel } from './operations/logistic.support.ts';
import { operated } from './operations/operations.support.ts';
import { DEFAULT_SERVING } from './service.ts';

async function deploying() {
  const under = await operated();
  const folder = await mkdtemp(join(tmpdir(), 'millrace-models-'));
  await writeFile(
    join(folder, 'credit.onnx'),
    logisticModel({ features: ['amount'], weights: [1], bias: 0 }),
  );
  const deployable = modelsDeployable(under.models, under.operations);
  const version = (name: string): AppVersion => {
    const model: ModelManifest = { name: 'credit', file: 'credit.onnx', serving: DEFAULT_SERVING, tags: {} };
    const files = [{ path: 'credit.onnx', sha256: 'a'.repeat(64), bytes: 1 }];
    return { app: 'shop', version: name, folder, manifest: { models: [model], files } as never };
  };
  return {
    ...under,
    deployable,
    version,
    async [Symbol.asyncDispose]() {
      await under[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

describe('the deployment of models', () => {
  it('has a new one loaded before it serves, and leaves one that it did not change as it is', async () => {
    await using under = await deploying();
    const { models, deployable, version } = under;
    await deployable.prepare(undefined, version('1'));
    assert.equal(models.loaded.models, 1, 'before anything is asked of it');
    await deployable.activate(undefined, version('1'));
    await models.unload('credit');
    await deployable.prepare(version('1'), version('2'));
    await deployable.activate(version('1'), version('2'));
    assert.equal(models.loaded.models, 0);
  });
});

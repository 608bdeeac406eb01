import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runtimeContract } from '../../functions/port.contract.ts';
import { siblingModule } from '../../kernel/index.ts';
import { createWorkerThreadsRuntime } from './runtime.ts';

runtimeContract('worker threads, from spares', (modules) =>
  createWorkerThreadsRuntime({ ...modules, spareMemoryBytes: 64 * 1024 ** 2 }),
);
runtimeContract('worker threads, without spares', (modules) =>
  createWorkerThreadsRuntime({ ...modules, spares: 0 }),
);

test('spare workers are there once functions are, and not before', async () => {
  const sdk = siblingModule(import.meta.url, '../../sdk/index');
  const runtime = createWorkerThreadsRuntime({ harness: sdk, sdk });
  await runtime.start?.();
  assert.equal(runtime.counts().spares, 0);
  await runtime.reserve?.();
  await runtime.reserve?.();
  assert.equal(runtime.counts().spares, 2);
  await runtime.stop?.(AbortSignal.timeout(1000));
  assert.equal(runtime.counts().spares, 0);
});

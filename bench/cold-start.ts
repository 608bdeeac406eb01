import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { createWorkerThreadsRuntime } from '../src/adapters/worker-threads/index.ts';
import { harnessModule, type InstanceSpec, type Runtime } from '../src/functions/index.ts';
import { bench, median } from './lib/harness.ts';

const MEGABYTE = 1024 ** 2;
const ENTRY = 'app.mjs';

await bench({
  name: 'cold-start',
  question: 'How long does the first answer of a function that is scaled to zero take?',
  leavesOut: 'HTTP, queues, large bundles; the artifact is in the page cache',
  async run({ short, say }) {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
    writeFileSync(join(folder, ENTRY), 'export const noop = { handler: async () => 1 };\n');
    const rounds = short ? 10 : 50;
    try {
      say('bare worker');
      const bare = await collect(rounds, () => bareWorker(join(folder, ENTRY)));
      say('own worker');
      const own = await fromRuntime(folder, rounds, 0);
      say('from the pool');
      const pooled = await fromRuntime(folder, rounds, 2);
      return [
        { what: 'calibration: bare worker, import, one answer, p50', value: bare, unit: 'ms' },
        { what: 'own worker, p50', value: own, unit: 'ms', reach: { atMost: bare + 5 } },
        { what: 'from the pool, p50', value: pooled, unit: 'ms', reach: { atMost: 5 } },
      ];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
});

async function collect(rounds: number, once: () => Promise<number>): Promise<number> {
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) samples.push(await once());
  return median(samples);
}

async function bareWorker(path: string): Promise<number> {
  const begin = performance.now();
  const code = `import('${pathToFileURL(path).href}').then(async ({ noop }) => require('node:worker_threads').parentPort.postMessage(await noop.handler()))`;
  const worker = new Worker(code, { eval: true, env: {} });
  await new Promise((resolve) => worker.once('message', resolve));
  const elapsedMs = performance.now() - begin;
  await worker.terminate();
  return elapsedMs;
}

async function fromRuntime(folder: string, rounds: number, spares: number): Promise<number> {
  const sdk = new URL('../src/sdk/index.ts', import.meta.url);
  const runtime = createWorkerThreadsRuntime({ harness: harnessModule(), sdk, spares });
  await runtime.start?.();
  // As a platform does when the first app with functions is deployed.
  if (spares > 0) await runtime.reserve?.();
  const value = await collect(rounds, async () => {
    // The pool is refilled in the background; a burst beyond it is the case of the own worker.
    if (spares > 0) await new Promise((resolve) => setTimeout(resolve, 300));
    return firstAnswer(runtime, folder);
  });
  await runtime.stop?.(AbortSignal.timeout(1000));
  return value;
}

function firstAnswer(runtime: Runtime, folder: string): Promise<number> {
  const spec: InstanceSpec = {
    app: 'bench',
    fn: 'noop',
    version: '1',
    folder,
    entry: ENTRY,
    exportName: 'noop',
    triggers: [],
    batched: false,
    perInstance: 80,
    timeoutMs: 10_000,
    memoryBytes: 128 * MEGABYTE,
    env: {},
    secrets: [],
    providers: [],
  };
  return new Promise((resolve) => {
    const begin = performance.now();
    let elapsedMs = 0;
    const instance = runtime.open(spec, {
      received(messages) {
        for (const message of messages) {
          if (message[0] === 'ready') {
            instance.send(['run', 1, ['direct', undefined], 'i', 't', 'k', 1, Date.now() + 10_000]);
          } else if (message[0] === 'ok') {
            elapsedMs = performance.now() - begin;
            instance.end();
          }
        }
      },
      ended: () => resolve(elapsedMs),
    });
  });
}

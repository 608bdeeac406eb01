import { memoryBlobStore, memoryLogStore, memoryStateStore } from '../../adapters/memory/index.ts';
import { createWorkers, manualClock, seededRandom } from '../../kernel/index.ts';
import {
  createModels,
  encodeModel,
  evaluatorEngine,
  evaluatorWorkersEngine,
  type Models,
  named,
  node,
} from '../../models/index.ts';
import { createFacts, createStreams } from '../../streams/index.ts';
import { type TestApi, testApi } from '../api/api.fixture.ts';
import { modelRoutes } from '../api/models.ts';
import { inferenceRoutes } from './rest.ts';
import { createInferenceService, type InferenceService } from './service.ts';

export interface ServedModels extends AsyncDisposable {
  readonly models: Models;
  readonly service: InferenceService;
  readonly api: TestApi;
}

/** The real service behind a real door: models in memory, the evaluator, every route of models. */
export async function servedModels(): Promise<ServedModels> {
  const clock = manualClock();
  const state = memoryStateStore({ clock });
  const log = memoryLogStore({ clock, random: seededRandom(1) });
  const streams = createStreams({ log, state, clock });
  const facts = createFacts(streams, { clock });
  const workers = createWorkers({ size: 1, queue: 16, idleMs: 1000, clock });
  for (const started of [state, log, streams, facts]) await started.start?.();
  const models = createModels({
    state,
    blobs: memoryBlobStore({ clock }),
    facts,
    clock,
    workers,
    engines: { caller: evaluatorEngine(), workers: evaluatorWorkersEngine(workers), native: undefined },
    memoryBytes: 64 * 1024 * 1024,
    queue: 1000,
  });
  await models.start();
  const service = createInferenceService({ models, version: '0.0.0-test', ready: () => true });
  const groups = [
    modelRoutes({ models, workers, fileBytes: 1024 * 1024 }),
    inferenceRoutes({ service, workers, requestBytes: 100_000 }),
  ];
  const api = await testApi({ groups });
  return {
    models,
    service,
    api,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await workers.stop!(AbortSignal.timeout(1000));
    },
  };
}

/** `y = x · weights`, of the columns `c0`, `c1`, …; `z` is `x` as it was. */
export function weighted(...weights: number[]): Uint8Array {
  const width = weights.length;
  const tensor = (name: string, columns: number) => ({
    name,
    type: { kind: 'tensor' as const, type: 'float32' as const, dims: ['n', columns] },
  });
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }],
    metadata: [{ key: 'millrace.features', value: JSON.stringify(weights.map((_, index) => `c${index}`)) }],
    graph: {
      nodes: [node('MatMul', ['x', 'w'], ['y']), node('Identity', ['x'], ['z'])],
      initializers: [named('w', { type: 'float32', dims: [width, 1], data: Float32Array.from(weights) })],
      inputs: [tensor('x', width)],
      outputs: [tensor('y', 1), tensor('z', width)],
    },
  });
}

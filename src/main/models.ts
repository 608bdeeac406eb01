import { onnxRuntimeEngine } from '../adapters/onnxruntime/index.ts';
import type { BlobStore, Clock, Facts, Ids, Random, Service, StateStore, Workers } from '../kernel/index.ts';
import { createWorkers, systemClock } from '../kernel/index.ts';
import {
  createModels,
  createOperations,
  createTrainer,
  evaluatorEngine,
  evaluatorWorkersEngine,
  explainInWorkers,
  type Models,
  type ModelsConfig,
  type Operations,
  type Trainer,
} from '../models/index.ts';
import type { Streams } from '../streams/index.ts';

/** Models with the engines that run them and threads of their own: a long run holds up nothing else. */
export function openModels(
  settings: ModelsConfig,
  around: {
    readonly store: StateStore;
    readonly blobs: BlobStore;
    readonly facts: Facts;
    readonly clock: Clock;
    readonly streams: Streams;
    readonly ids: Ids;
    readonly random: Random;
    /** Count and judge: the platform's own. */
    readonly workers: Workers;
  },
): Models & { readonly operations: Operations; readonly services: readonly Service[] } {
  const { store: state, clock } = around;
  const workers = createWorkers({ size: settings.modelThreads, queue: 1024, idleMs: 60_000, clock });
  const native = onnxRuntimeEngine({
    folders: [settings.modelRuntime ?? process.cwd()],
    threads: settings.modelThreads,
  });
  const models = createModels({
    ...around,
    state,
    workers,
    engines: { caller: evaluatorEngine(), workers: evaluatorWorkersEngine(workers), native },
    memoryBytes: settings.modelMemory,
    queue: settings.modelQueue,
  });
  models.explainBy(explainInWorkers(workers));
  const operations = createOperations({ ...around, state, models });
  return Object.assign(models, { operations, services: [workers, native, models, operations] });
}

/** Learns in a thread of its own, without a platform: for the command line. */
export const trainApart: Trainer['train'] = async (...training) => {
  const workers = createWorkers({ size: 1, queue: 1, idleMs: 1000, clock: systemClock() });
  try {
    return await createTrainer(workers).train(...training);
  } finally {
    await workers.stop?.(AbortSignal.abort());
  }
};

import type { BlobStore, Clock, Facts, Service, StateStore } from '../kernel/index.ts';
import { createWorkers } from '../kernel/index.ts';
import { createModels, type Models, type ModelsConfig } from '../models/index.ts';

/** Models with the engines that run them and threads of their own: a long run holds up nothing else. */
export function openModels(
  settings: ModelsConfig,
  around: {
    readonly store: StateStore;
    readonly blobs: BlobStore;
    readonly facts: Facts;
    readonly clock: Clock;
  },
): Models & { readonly services: readonly Service[] } {
  const { store: state, clock } = around;
  const workers = createWorkers({ size: settings.modelThreads, queue: 1024, idleMs: 60_000, clock });
  const models = createModels({
    ...around,
    state,
    workers,
    engines: { caller: undefined, workers: undefined, native: undefined },
    memoryBytes: settings.modelMemory,
    queue: settings.modelQueue,
  });
  return Object.assign(models, { services: [workers, models] });
}

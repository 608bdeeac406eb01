import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { siblingModule, type Workers } from '../../kernel/index.ts';
import type { Dataset } from './dataset.ts';
import type { OnProgress, Progress } from './fitted.ts';
import type { TrainingSpec } from './spec.ts';
import type { Training } from './train.ts';

/** Where the rows come from. */
export type TrainingSource =
  | { readonly kind: 'dataset'; readonly dataset: Dataset }
  /** A CSV or NDJSON file of this machine; read in the worker. */
  | { readonly kind: 'file'; readonly path: string }
  /** Objects, such as the values of a stream's records. */
  | { readonly kind: 'rows'; readonly rows: readonly unknown[] };

/** What travels to the worker. */
export interface TrainInput {
  readonly spec: TrainingSpec;
  readonly source: TrainingSource;
  readonly progress: MessagePort;
}

export interface TrainOptions {
  readonly onProgress?: OnProgress;
  /** Ends the training, and the worker that is at it. */
  readonly signal?: AbortSignal;
}

export interface Trainer {
  /**
   * Learns in a platform worker. Throws INVALID_INPUT for rows or a spec that do not fit, UNAVAILABLE when no worker can
   * be had, the reason of `signal`.
   */
  train(spec: TrainingSpec, source: TrainingSource, options?: TrainOptions): Promise<Training>;
}

export function createTrainer(workers: Workers): Trainer {
  const task = { module: siblingModule(import.meta.url, './train-task'), task: 'train' };
  return {
    async train(spec, source, { onProgress, signal } = {}) {
      const { port1, port2 } = new MessageChannel();
      port1.on('message', (progress: Progress) => onProgress?.(progress));
      // Progress alone must not keep a program running.
      port1.unref();
      const input: TrainInput = { spec, source, progress: port2 };
      try {
        return await workers.run<Training>(task, input, { transfer: [port2], ...(signal ? { signal } : {}) });
      } finally {
        port1.close();
      }
    },
  };
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import { sha256, siblingModule, type Workers } from '../../kernel/index.ts';
import { type InferenceEngine, type LoadedModel, portable, type Values } from '../inference.port.ts';
import { decodeModel } from '../onnx/index.ts';
import { compileDecoded } from './compile-file.ts';
import type { EvaluatorModel, RunInput } from './evaluate.worker.ts';

/** Trees as they are evaluated, which is the worst there is, take so many times the file. */
const MEMORY_FACTOR = 6;
const MEMORY_BASE_BYTES = 64 * 1024;
/** Smaller files take less than a millisecond. */
const MOST_BYTES_AT_ONCE = 64 * 1024;

/** The evaluator in the caller's thread: a run is a call, for models whose run takes microseconds. */
export function evaluatorEngine(): InferenceEngine {
  return {
    name: 'typescript',
    place: 'caller',
    async load(bytes) {
      const decoded = decodeModel(bytes);
      // Reading and compiling take a few milliseconds each; what waits for the thread need not wait for both.
      if (bytes.length > MOST_BYTES_AT_ONCE) await nextTurn();
      const { inputs, outputs, metadata, run } = compileDecoded(decoded);
      return {
        inputs,
        outputs,
        metadata,
        memoryBytes: MEMORY_BASE_BYTES + bytes.length * MEMORY_FACTOR,
        run: (feeds) => run(feeds),
        close: async () => {},
      };
    },
  };
}

/**
 * The same evaluator in platform workers, for models that would hold the caller's thread: while they are read, or while
 * they run. The file lies in memory that all threads share; each thread compiles it when it first runs it.
 */
export function evaluatorWorkersEngine(workers: Workers): InferenceEngine {
  const module = siblingModule(import.meta.url, './evaluate.worker');
  return {
    name: 'typescript',
    place: 'worker',
    async load(bytes): Promise<LoadedModel> {
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
      shared.set(bytes);
      const model: EvaluatorModel = { key: sha256(bytes), bytes: shared };
      const found = await workers.run<Omit<LoadedModel, 'run' | 'close' | 'memoryBytes'>>(
        { module, task: 'inspect' },
        model,
      );
      return {
        ...found,
        // The file alone: what the threads make of it has a bound of its own.
        memoryBytes: MEMORY_BASE_BYTES + bytes.length,
        run: (feeds) =>
          workers.run<Values>({ module, task: 'run' }, { model, feeds: portable(feeds) } satisfies RunInput),
        close: async () => {},
      };
    },
  };
}

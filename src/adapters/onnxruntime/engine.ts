import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { MillraceError, siblingModule } from '../../kernel/index.ts';
import {
  type InferenceEngine,
  type LoadedModel,
  portable,
  type Values,
} from '../../models/inference.port.ts';
import type { FromThread, LoadedSession, ToThread } from './messages.ts';

export interface OnnxRuntimeOptions {
  /** Folders whose `node_modules` are looked through for onnxruntime-node; the package's own come last. */
  readonly folders: readonly string[];
  /** Each has its own models; a run occupies its thread. */
  readonly threads: number;
}

/** Weights are unpacked, and graph optimisation keeps copies. */
const MEMORY_FACTOR = 3;

interface Thread {
  readonly worker: Worker;
  readonly calls: Map<number, { resolve(result: unknown): void; reject(error: unknown): void }>;
  sessions: number;
}

/**
 * ONNX Runtime in worker threads: its `run` blocks the thread it is called on. The package is looked for when a model first
 * needs it, and threads start then; without it, loading says how to install it.
 */
export function onnxRuntimeEngine({ folders, threads: most }: OnnxRuntimeOptions): InferenceEngine {
  const threads = new Set<Thread>();
  let module: string | undefined;
  let count = 0;

  const startThread = (): Thread => {
    const worker = new Worker(siblingModule(import.meta.url, './session.worker'), { workerData: { module } });
    const thread: Thread = { worker, calls: new Map(), sessions: 0 };
    threads.add(thread);
    worker.on('message', (reply: FromThread) => {
      const call = thread.calls.get(reply.call);
      thread.calls.delete(reply.call);
      if (thread.calls.size === 0) worker.unref();
      if (reply.ok) call?.resolve(reply.result);
      else call?.reject(new MillraceError(reply.failure.code, reply.failure.message));
    });
    const gone = (cause: unknown): void => {
      threads.delete(thread);
      const message = 'The thread of ONNX Runtime ended. Try again; the model is loaded anew.';
      for (const call of thread.calls.values()) {
        call.reject(new MillraceError('UNAVAILABLE', message, { cause, retryAfterMs: 1000 }));
      }
      thread.calls.clear();
    };
    worker.on('error', gone);
    worker.on('exit', (code) => gone(new Error(`exit code ${code}`)));
    worker.unref();
    return thread;
  };

  const pick = (): Thread => {
    const [free] = [...threads].sort((a, b) => a.sessions - b.sessions);
    return free && (free.sessions === 0 || threads.size >= most) ? free : startThread();
  };

  const ask = <Result>(thread: Thread, message: ToThread, transfer: ArrayBuffer[] = []): Promise<Result> => {
    if (!threads.has(thread)) {
      const text = 'The thread of ONNX Runtime ended. Try again; the model is loaded anew.';
      return Promise.reject(new MillraceError('UNAVAILABLE', text, { retryAfterMs: 1000 }));
    }
    return new Promise<Result>((resolve, reject) => {
      thread.calls.set(message.call, { resolve: (result) => resolve(result as Result), reject });
      thread.worker.ref();
      thread.worker.postMessage(message, transfer);
    });
  };

  return {
    name: 'onnxruntime',
    place: 'worker',
    async load(bytes): Promise<LoadedModel> {
      module ??= find(folders);
      const thread = pick();
      const session = ++count;
      const copy = new Uint8Array(bytes);
      thread.sessions++;
      const close = async (): Promise<void> => {
        thread.sessions--;
        if (threads.has(thread)) await ask(thread, { kind: 'close', call: ++count, session });
      };
      let found: LoadedSession;
      try {
        found = await ask(thread, { kind: 'load', call: ++count, session, bytes: copy }, [copy.buffer]);
      } catch (error) {
        thread.sessions--;
        throw error;
      }
      return {
        ...found,
        metadata: {},
        memoryBytes: bytes.length * MEMORY_FACTOR,
        run: (inputs) =>
          ask<Values>(thread, { kind: 'run', call: ++count, session, inputs: portable(inputs) }),
        close,
      };
    },
    async stop() {
      await Promise.all([...threads].map(({ worker }) => worker.terminate()));
    },
  };
}

/** Throws MODEL_UNSUPPORTED with the command that installs it. */
function find(folders: readonly string[]): string {
  for (const place of [...folders.map((folder) => join(folder, 'package.json')), import.meta.url]) {
    try {
      return createRequire(place).resolve('onnxruntime-node');
    } catch {
      // Not there: the next place may have it.
    }
  }
  const message =
    'ONNX Runtime could run it and is not installed: npm install onnxruntime-node --ignore-scripts, then start again.';
  throw new MillraceError('MODEL_UNSUPPORTED', message);
}

import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Clock, MillraceError, siblingModule } from '../kernel/index.ts';
import type { Rolldown } from './bundle.ts';
import type { Description } from './description.ts';

/**
 * Imports bundles to read the resources they declare, each in a worker of its own: without the platform's environment,
 * with a bounded heap, for a bounded time. With `reserve` one worker waits ready, so that a rebuild does not wait for its start.
 */
export interface Inspector {
  /** Throws APP_INVALID when importing takes too long, or ends its worker. */
  inspect(app: string, bundleUrl: string): Promise<Description>;
  close(): Promise<void>;
}

/** Most time an app's module may take to be imported. */
const IMPORT_TIMEOUT_MS = 10_000;
const HEAP_MB = 512;

/** The modules that an inspection runs. */
export interface InspectorCode {
  readonly workerUrl: URL;
  /** What the bundle imports in place of `millrace`. */
  readonly sdkUrl: string;
}

/**
 * In a checkout the worker's modules are TypeScript, which every new worker would have to load the compiler for, at 80 ms
 * of processor time: they are bundled into `folder` once. In the published package they are JavaScript already.
 */
export async function inspectorCode(rolldown: Rolldown, folder: string): Promise<InspectorCode> {
  const worker = siblingModule(import.meta.url, './inspect.worker');
  const sdk = siblingModule(import.meta.url, './tracing-sdk');
  if (worker.pathname.endsWith('.js')) return { workerUrl: worker, sdkUrl: sdk.href };
  await rolldown.build({
    input: { worker: fileURLToPath(worker), sdk: fileURLToPath(sdk) },
    platform: 'node',
    logLevel: 'silent',
    output: { dir: folder, entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' },
  });
  const at = (name: string): URL => pathToFileURL(join(folder, name));
  return { workerUrl: at('worker.mjs'), sdkUrl: at('sdk.mjs').href };
}

function startWorker(url: URL): Worker {
  const worker = new Worker(url, {
    env: {},
    argv: [],
    stdin: false,
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  // What an app prints while it is looked at is nobody's output; unread it would wait in memory.
  worker.stdout.resume();
  worker.stderr.resume();
  worker.unref();
  return worker;
}

export function createInspector({ workerUrl }: InspectorCode, clock: Clock, reserve: boolean): Inspector {
  let spare: Worker | undefined;
  const take = (): Worker => {
    const worker = spare ?? startWorker(workerUrl);
    spare = undefined;
    worker.ref();
    return worker;
  };

  const run = (worker: Worker, app: string, url: string): Promise<Description> => {
    const { promise, resolve, reject } = Promise.withResolvers<Description>();
    const refuse = (what: string): void =>
      reject(new MillraceError('APP_INVALID', `The app '${app}' ${what} while its module was imported.`));
    const timer = clock.after(IMPORT_TIMEOUT_MS, () =>
      refuse(`did not come to an end within ${IMPORT_TIMEOUT_MS / 1000} s`),
    );
    worker.once('message', resolve);
    worker.once('error', (error) => refuse(`failed (${(error as Error).message})`));
    worker.once('exit', (code) => refuse(`ended its process with code ${code}`));
    worker.postMessage(url);
    return promise.finally(() => timer.cancel());
  };

  return {
    async inspect(app, bundleUrl) {
      const worker = take();
      try {
        return await run(worker, app, bundleUrl);
      } finally {
        void worker.terminate();
        if (reserve) spare ??= startWorker(workerUrl);
      }
    },
    async close() {
      await spare?.terminate();
      spare = undefined;
    },
  };
}

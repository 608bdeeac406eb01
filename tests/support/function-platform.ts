import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fsDisk } from '../../src/adapters/fs/index.ts';
import { sqliteStateStore } from '../../src/adapters/sqlite/index.ts';
import { createWorkerThreadsRuntime } from '../../src/adapters/worker-threads/index.ts';
import {
  createFunctions,
  createStreamConsumers,
  type Functions,
  functionsSection,
  harnessModule,
  type StreamConsumers,
} from '../../src/functions/index.ts';
import { streamFunction } from '../../src/functions/streams/test-dispatcher.support.ts';
import {
  createIds,
  createLifecycle,
  type FunctionManifest,
  resolveConfig,
  type StateManifest,
  systemClock,
  systemRandom,
} from '../../src/kernel/index.ts';
import { createEmbeddedLog, createStreams, type LogStore, type Streams } from '../../src/streams/index.ts';

/** A function of one stream: its handler's source, and what differs from the defaults. */
export interface StreamFunction extends Partial<FunctionManifest> {
  readonly stream: string;
  /** An expression: `async (event, ctx) => …`. */
  readonly handler: string;
}

/** The log on a real disk, functions in real workers, and the consumers between them: what the platform composes, without its doors. */
export interface FunctionPlatform extends AsyncDisposable {
  readonly log: LogStore;
  readonly streams: Streams;
  readonly functions: Functions;
  readonly consumers: StreamConsumers;
  deploy(
    functions: { readonly [name: string]: StreamFunction },
    states?: readonly StateManifest[],
  ): Promise<void>;
}

export async function startFunctionPlatform(folder: string): Promise<FunctionPlatform> {
  mkdirSync(join(folder, 'log'), { recursive: true });
  mkdirSync(join(folder, 'app'), { recursive: true });
  const clock = systemClock();
  const random = systemRandom();
  const state = sqliteStateStore({ path: join(folder, 'state.sqlite'), clock });
  const log = createEmbeddedLog({ disk: fsDisk(join(folder, 'log')), clock, random });
  const streams = createStreams({ log, state: state, clock });
  const runtime = createWorkerThreadsRuntime({
    harness: harnessModule(),
    sdk: new URL('../../src/sdk/index.ts', import.meta.url),
  });
  const functions = createFunctions({
    runtime,
    clock,
    random,
    ids: createIds(clock, random),
    config: resolveConfig([functionsSection]).functions,
    streams,
    secrets: { read: async (name) => name },
    providers: [],
  });
  const consumers = createStreamConsumers({ streams, dispatcher: functions, clock, random });
  const lifecycle = createLifecycle([state, log, streams, functions, consumers]);
  await lifecycle.start();
  return {
    log,
    streams,
    functions,
    consumers,
    async deploy(given, states = []) {
      const manifests = Object.entries(given).map(([name, { stream, handler, ...rest }]) => {
        const entry = `${name}.mjs`;
        writeFileSync(join(folder, 'app', entry), `export const ${name} = { handler: ${handler} };\n`);
        return streamFunction(name, [stream], { entry, ...rest });
      });
      const manifest = {
        format: 1,
        app: 'shop',
        version: '1',
        streams: [],
        references: [],
        files: [],
      } as const;
      const next = {
        app: 'shop',
        version: '1',
        folder: join(folder, 'app'),
        manifest: { ...manifest, states, functions: manifests },
      };
      await functions.deployable.prepare(undefined, next);
      await functions.deployable.activate(undefined, next);
      await consumers.apply('shop', manifests, states);
    },
    [Symbol.asyncDispose]: () => lifecycle.stop(),
  };
}

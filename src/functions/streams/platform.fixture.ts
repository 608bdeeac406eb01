import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fsDisk } from '../../adapters/fs/index.ts';
import { sqliteStateStore } from '../../adapters/sqlite/index.ts';
import { createWorkerThreadsRuntime } from '../../adapters/worker-threads/index.ts';
import {
  createIds,
  createLifecycle,
  resolveConfig,
  type StateManifest,
  systemClock,
  systemRandom,
} from '../../kernel/index.ts';
import { createEmbeddedLog, createStreams, type LogStore, type Streams } from '../../streams/index.ts';
import { functionsSection } from '../dispatch/config.ts';
import { createFunctions, type Functions } from '../dispatch/service.ts';
import { manifestOf, type TestFunction } from '../functions.fixture.ts';
import { harnessModule } from '../harness.ts';
import { createStreamConsumers, type StreamConsumers } from './consumers.ts';

/** The log on a real disk, functions in real workers, and the consumers between them: what the platform composes, without its doors. */
export interface FunctionPlatform extends AsyncDisposable {
  readonly log: LogStore;
  readonly streams: Streams;
  readonly functions: Functions;
  readonly consumers: StreamConsumers;
  /** `code` is the property `fn` or more of an object literal, as in `functions.fixture.ts`. */
  deploy(
    functions: { readonly [name: string]: TestFunction },
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
    sdk: new URL('../../sdk/index.ts', import.meta.url),
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
      const manifests = Object.entries(given).map(([name, each]) => {
        const manifest = manifestOf(name, each);
        writeFileSync(join(folder, 'app', manifest.entry), `export const handler = { ${each.code} };\n`);
        return manifest;
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

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWorkerThreadsRuntime } from '../adapters/worker-threads/index.ts';
import {
  type AppVersion,
  type Clock,
  type ContextProvider,
  createIds,
  type FunctionManifest,
  MillraceError,
  resolveConfig,
  seededRandom,
  systemClock,
} from '../kernel/index.ts';
import { type FunctionsConfig, functionsSection } from './dispatch/config.ts';
import { createFunctions, type Functions } from './dispatch/service.ts';
import { harnessModule } from './harness.ts';
import type { InvocationContext, InvocationOutcome } from './invocation.ts';
import type { Runtime } from './port.ts';

const MEGABYTE = 1024 ** 2;

/** A function as a test writes it: the body of its handler, which sees `event` and `ctx`. */
export type TestFunction = Partial<Omit<FunctionManifest, 'name' | 'entry' | 'exportName'>> & {
  readonly code: string;
};

export function manifestOf(name: string, { code: _code, ...given }: TestFunction): FunctionManifest {
  return {
    name,
    version: '1',
    entry: `${name}-${given.version ?? '1'}.mjs`,
    exportName: 'handler',
    runtime: 'worker',
    triggers: [],
    from: 'end',
    batch: null,
    instances: { min: 0, max: 10 },
    perInstance: 80,
    timeoutMs: 30_000,
    memoryBytes: 128 * MEGABYTE,
    cpu: 1,
    tmpBytes: 512 * MEGABYTE,
    retry: { attempts: 5, backoffMs: 200 },
    env: {},
    secrets: [],
    ...given,
  };
}

export interface Emitted {
  readonly stream: string;
  readonly value: unknown;
  readonly key: string | undefined;
}

export interface TestFunctions extends AsyncDisposable {
  readonly functions: Functions;
  readonly runtime: Runtime;
  readonly folder: string;
  readonly emitted: Emitted[];
  version(version: string, functions: { readonly [name: string]: TestFunction }): AppVersion;
  deploy(version: string, functions: { readonly [name: string]: TestFunction }): Promise<AppVersion>;
  /** Invokes by name and gives the outcome. */
  call(fn: string, input?: unknown, context?: Partial<InvocationContext>): Promise<InvocationOutcome>;
  /** The value of a call that must succeed. */
  value(fn: string, input?: unknown, context?: Partial<InvocationContext>): Promise<unknown>;
}

export interface TestFunctionsOptions {
  readonly clock?: Clock;
  readonly config?: Partial<FunctionsConfig>;
  readonly providers?: readonly ContextProvider[];
}

/** The functions room over real workers, with code written into a temporary folder. */
export async function startFunctions(options: TestFunctionsOptions = {}): Promise<TestFunctions> {
  const clock = options.clock ?? systemClock();
  const folder = mkdtempSync(join(tmpdir(), 'millrace-functions-'));
  const emitted: Emitted[] = [];
  const random = seededRandom(7);
  const ids = createIds(clock, random);
  const runtime = createWorkerThreadsRuntime({
    harness: harnessModule(),
    sdk: new URL('../sdk/index.ts', import.meta.url),
  });
  const functions = createFunctions({
    runtime,
    clock,
    ids,
    random,
    config: { ...resolveConfig([functionsSection]).functions, ...options.config },
    providers: options.providers ?? [],
    secrets: { read: async (name) => `the value of ${name}` },
    streams: {
      describe: (name) => {
        throw new MillraceError('STREAM_NOT_FOUND', `There is no stream '${name}'.`);
      },
      read: async ({ topic }) => {
        throw new MillraceError('STREAM_NOT_FOUND', `There is no stream '${topic}'.`);
      },
      async publish(stream, records) {
        if (stream === 'missing')
          throw new MillraceError('STREAM_NOT_FOUND', "There is no stream 'missing'.");
        for (const { value, key } of records) {
          const json = value instanceof Uint8Array ? JSON.parse(Buffer.from(value).toString()) : value.json;
          emitted.push({ stream, value: json, key: key?.toString() });
        }
        return {
          records: records.length,
          diverted: [],
          placeOf: () => ({ topic: stream, partition: 0, offset: 0 }),
        };
      },
    },
  });
  await functions.start!();
  let current: AppVersion | undefined;

  const version: TestFunctions['version'] = (number, given) => {
    const manifests = Object.entries(given).map(([name, each]) => {
      const manifest = manifestOf(name, each);
      writeFileSync(
        join(folder, manifest.entry),
        `import 'millrace';\nexport const handler = { ${each.code} };\n`,
      );
      return manifest;
    });
    const manifest = {
      format: 1,
      app: 'shop',
      version: number,
      streams: [],
      states: [],
      references: [],
      files: [],
    } as const;
    return { app: 'shop', version: number, folder, manifest: { ...manifest, functions: manifests } };
  };

  const call: TestFunctions['call'] = (fn, input, context) => {
    const text = JSON.stringify(input) as string | undefined;
    const event = { kind: 'direct', input: text === undefined ? undefined : Buffer.from(text) } as const;
    const invocationId = ids.next();
    const base = {
      invocationId,
      idempotencyKey: invocationId,
      attempt: 1,
      depth: 0,
      trigger: 'invoke',
    } as const;
    return functions.dispatch(fn, event, { ...base, ...context });
  };

  return {
    functions,
    runtime,
    folder,
    emitted,
    version,
    async deploy(number, given) {
      const next = version(number, given);
      await functions.deployable.prepare(current, next);
      await functions.deployable.activate(current, next);
      current = next;
      return next;
    },
    call,
    async value(fn, input, context) {
      const outcome = await call(fn, input, context);
      if (outcome.status === 'error') throw new Error(`${outcome.error.code} ${outcome.error.message}`);
      if (outcome.value.kind !== 'json') throw new Error(`it gave ${outcome.value.kind}`);
      return outcome.value.json && JSON.parse(Buffer.from(outcome.value.json).toString());
    },
    async [Symbol.asyncDispose]() {
      functions.refuse!();
      await functions.stop!(AbortSignal.timeout(50));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

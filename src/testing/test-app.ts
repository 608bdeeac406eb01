import { artifactOfModule } from '../build/index.ts';
import {
  type ManualClock,
  MillraceError,
  manualClock,
  onSignal,
  parseDurationMs,
  resolveConfig,
  seededRandom,
} from '../kernel/index.ts';
import { createPlatform, type Platform, SECTIONS } from '../main.ts';
import { callerOf, type LoadedApp, loadApps, notedStates } from './modules.ts';
import { createQuiescence } from './quiescence.ts';
import { allRecords } from './records.ts';
import type { AppModule, TestApp, TestAppFunction, TestAppOptions } from './test-app.types.ts';

/** Starts the real platform in memory and deploys the app. Dispose it: `await using app = await testApp(import('./app.ts'))`. */
export const testApp: TestAppFunction = async (
  given: AppModule | Promise<AppModule>,
  options: TestAppOptions = {},
) => {
  const caller = callerOf(new Error().stack);
  const apps = await loadApps(given, options, caller);
  const clock = manualClock();
  const logs: LogLine[] = [];
  const ofThese = new Set(apps.map(({ app }) => app));
  const stopLogs = onSignal('function.log', ({ app, fn, level, message }) => {
    if (ofThese.has(app)) logs.push({ fn, level, message });
  });
  const platform = createPlatform(
    resolveConfig(SECTIONS, { flags: { 'edge-port': 0, 'api-port': 'off', 'kafka-port': 'off' } }),
    {
      memory: true,
      clock,
      random: seededRandom(1),
      secrets: { read: (name) => readSecret(options.secrets ?? {}, name) },
      handlerOf: handlersOf(apps),
    },
  );
  const stop = async (): Promise<void> => {
    stopLogs();
    await platform.stop();
  };
  try {
    await platform.start();
    for (const { app, exports, root } of apps) {
      const artifact = artifactOfModule(exports, app, { states: notedStates(exports), root });
      await platform.delivery.deploy(artifact, 'test');
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return surfaceOf(platform, clock, logs, stop);
};

type LogLine = ReturnType<TestApp['logs']>[number];
type Handler = (event: unknown, context: unknown) => unknown;

/** The handlers as the modules export them. */
function handlersOf(apps: readonly LoadedApp[]): (spec: { app: string; exportName: string }) => Handler {
  return (spec) => {
    const { exports } = apps.find(({ app }) => app === spec.app)!;
    return (exports[spec.exportName] as { handler: Handler }).handler;
  };
}

async function readSecret(secrets: { readonly [name: string]: string }, name: string): Promise<string> {
  if (Object.hasOwn(secrets, name)) return secrets[name]!;
  throw new MillraceError(
    'NOT_FOUND',
    `The test gave no secret '${name}'. Pass it: testApp(…, { secrets: { ${name}: '…' } }).`,
  );
}

const nameOf = (resource: string | { readonly name: string }): string =>
  typeof resource === 'string' ? resource : resource.name;

function surfaceOf(
  platform: Platform,
  clock: ManualClock,
  logs: readonly LogLine[],
  stop: () => Promise<void>,
): TestApp {
  const quiescence = createQuiescence(platform, clock);
  const surface = {
    clock: {
      now: () => clock.now(),
      advance: (by: string | number) => quiescence.advance(parseDurationMs(by)),
    },
    emit: (stream: string | { name: string }, value: unknown, options?: EmitOptions) =>
      emit(platform, nameOf(stream), value, options ?? {}),
    fetch: (path: string, init?: RequestInit) => fetch(new URL(path, platform.addresses.edge!), init),
    invoke: (fn: string | { name: string }, input?: unknown) => invoke(platform, nameOf(fn), input),
    idle: () => quiescence.idle(),
    records: (stream: string | { name: string }) => allRecords(platform.streams, nameOf(stream)),
    logs: () => [...logs],
    [Symbol.asyncDispose]: stop,
  };
  return surface as TestApp;
}

interface EmitOptions {
  readonly key?: string;
  readonly headers?: { readonly [name: string]: string };
}

async function emit(platform: Platform, stream: string, value: unknown, options: EmitOptions): Promise<void> {
  const headers = Object.entries(options.headers ?? {}).map(([key, text]) => ({
    key,
    value: Buffer.from(text),
  }));
  const record = {
    value: Buffer.from(JSON.stringify(value)),
    headers,
    ...(options.key === undefined ? {} : { key: options.key }),
  };
  await platform.streams.publish(stream, [record]);
}

/** Calls a function by name. Throws what the platform would answer with; what the function threw is the error's message. */
async function invoke(platform: Platform, fn: string, input: unknown): Promise<unknown> {
  const invocationId = platform.ids.next();
  const bytes = input === undefined ? undefined : Buffer.from(JSON.stringify(input));
  const context = {
    invocationId,
    idempotencyKey: invocationId,
    attempt: 1,
    depth: 0,
    trigger: 'invoke',
  } as const;
  const outcome = await platform.functions.dispatch(fn, { kind: 'direct', input: bytes }, context);
  if (outcome.status === 'error') {
    const { code, name, message, stack } = outcome.error;
    const cause = Object.assign(new Error(message), { name, stack });
    throw new MillraceError(code, `${name}: ${message}`, { cause });
  }
  const { value } = outcome;
  if (value.kind !== 'json' || value.json === undefined) return undefined;
  return JSON.parse(Buffer.from(value.json).toString());
}

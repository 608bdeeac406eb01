import type { HttpEvent, HttpReply, InvocationContext, InvocationOutcome } from '../../functions/index.ts';
import {
  type AppVersion,
  type Clock,
  createIds,
  type FunctionManifest,
  type HttpTrigger,
  MillraceError,
  manualClock,
  resolveConfig,
  systemRandom,
} from '../../kernel/index.ts';
import { createEdge, type Edge, edgeSection } from './edge.ts';

export type Handler = (
  event: HttpEvent,
  context: InvocationContext,
) => Partial<HttpReply> | Error | Promise<Partial<HttpReply> | Error>;

export interface RouteDeclaration extends Partial<HttpTrigger> {
  readonly fn: string;
}

export interface TestEdge extends AsyncDisposable {
  readonly edge: Edge;
  readonly port: number;
  readonly calls: readonly HttpEvent[];
  deploy(app: string, version: string, routes: readonly RouteDeclaration[]): Promise<void>;
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

export interface TestEdgeOptions {
  /** By name of the function, or by `name@version`. */
  readonly handlers: { readonly [fn: string]: Handler };
  readonly clock?: Clock;
  readonly secrets?: { readonly [name: string]: string };
  readonly config?: { readonly [name: string]: unknown };
  readonly limits?: object;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

const FUNCTION: Omit<FunctionManifest, 'name' | 'version' | 'triggers'> = {
  entry: 'app.js',
  exportName: 'app',
  runtime: 'worker',
  from: 'end',
  batch: null,
  instances: { min: 0, max: 1 },
  perInstance: 80,
  timeoutMs: 30_000,
  memoryBytes: 1,
  cpu: 1,
  tmpBytes: 0,
  retry: { attempts: 1, backoffMs: 1 },
  env: {},
  secrets: [],
};

export function appVersion(app: string, version: string, routes: readonly RouteDeclaration[]): AppVersion {
  const functions = routes.map(({ fn, ...route }): FunctionManifest => {
    const trigger = {
      kind: 'http',
      method: 'GET',
      path: '/',
      streamBody: false,
      maxBodyBytes: 1000,
      ...route,
    };
    return { ...FUNCTION, name: fn, version, triggers: [trigger as HttpTrigger] };
  });
  const empty = { streams: [], states: [], references: [], files: [] };
  return { app, version, folder: '', manifest: { format: 1, app, version, functions, ...empty } };
}

/** A real edge port before functions that run in this process. */
export async function startEdge(options: TestEdgeOptions): Promise<TestEdge> {
  const clock = options.clock ?? manualClock();
  const calls: HttpEvent[] = [];
  const versions = new Map<string, AppVersion>();
  const edge = createEdge({
    host: '127.0.0.1',
    port: 0,
    clock,
    ids: createIds(clock, systemRandom()),
    config: resolveConfig([edgeSection], { file: options.config ?? {} }).edge,
    secrets: {
      async read(name) {
        const value = options.secrets?.[name];
        if (value === undefined) throw new MillraceError('NOT_FOUND', `There is no secret ${name}.`);
        return value;
      },
    },
    dispatcher: {
      async dispatch(fn, event, context, version) {
        calls.push(event as HttpEvent);
        const handler = options.handlers[`${fn}@${version}`] ?? options.handlers[fn]!;
        return outcomeOf(await handler(event as HttpEvent, context));
      },
    },
    ...(options.limits ? { limits: options.limits } : {}),
    ...(options.tls ? { tls: options.tls } : {}),
  });
  await edge.start();
  return {
    edge,
    calls,
    port: Number(new URL(edge.url).port),
    async deploy(app, version, routes) {
      const next = appVersion(app, version, routes);
      await edge.deployable.prepare(versions.get(app), next);
      await edge.deployable.activate(versions.get(app), next);
      versions.set(app, next);
    },
    fetch: (path, init) => fetch(edge.url + path, init),
    [Symbol.asyncDispose]: () => edge.stop(AbortSignal.timeout(100)),
  };
}

function outcomeOf(result: Partial<HttpReply> | Error): InvocationOutcome {
  const timing = { durationMs: 1, cold: false };
  if (result instanceof Error) {
    const { name, message, stack } = result;
    const code = result instanceof MillraceError ? result.code : 'FUNCTION_FAILED';
    const error = { code: code as 'FUNCTION_FAILED', name, message, ...(stack ? { stack } : {}) };
    return { status: 'error', error, ...timing };
  }
  const response: HttpReply = { statusCode: 200, headers: [], body: undefined, ...result };
  return { status: 'ok', value: { kind: 'http', response }, ...timing };
}

import {
  type Clock,
  type ContextProvider,
  type Deployable,
  type FunctionManifest,
  type Ids,
  isMillraceError,
  LIMITS,
  MillraceError,
  nearest,
  type Random,
  type Secrets,
  type Service,
  signal,
  signalled,
} from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import type { Dispatcher, InvocationContext, InvocationEvent, InvocationOutcome } from '../invocation.ts';
import type { Runtime } from '../port.ts';
import { createAnswerer } from './calls.ts';
import type { FunctionsConfig } from './config.ts';
import { createRegistry, type Registry } from './deployments.ts';
import { createInputCheck } from './input.ts';
import type { Pool, PoolSurroundings, SharedBounds } from './pool.ts';
import type { AppSnapshot } from './snapshot.ts';
import { type FunctionStats, type Outcome, Stats } from './stats.ts';
import { type PoolIdentity, sizeOf, type Work } from './work.ts';

export interface FunctionsDependencies {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly config: FunctionsConfig;
  /** Where `ctx.emit` goes outside stream functions, and where `ctx.read` reads. */
  readonly streams: Pick<Streams, 'publish' | 'describe' | 'read'>;
  readonly secrets: Pick<Secrets, 'read'>;
  /** What other rooms put on `ctx`. */
  readonly providers: readonly ContextProvider[];
}

/** The functions room: runs the versions that were deployed, within bounds. */
export interface Functions extends Dispatcher, Service {
  readonly deployable: Deployable;
  /** By name; every active function. */
  list(): readonly FunctionDescription[];
  /** Throws FUNCTION_NOT_FOUND; the message names the nearest function. */
  describe(name: string): FunctionDescription;
  find(name: string): FunctionManifest | undefined;
}

export interface FunctionDescription {
  readonly name: string;
  readonly app: string;
  readonly version: string;
  readonly manifest: FunctionManifest;
  readonly instances: number;
  readonly starting: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly stats: FunctionStats;
}

export function createFunctions(dependencies: FunctionsDependencies): Functions {
  const { clock, ids } = dependencies;
  const shared: SharedBounds = {
    queued: 0,
    queuedBytes: 0,
    instances: 0,
    pools: new Set(),
    starved: new Set(),
  };
  const stats = new Map<string, Stats>();
  const checkInput = createInputCheck();
  let refusing = false;
  let inFlight = 0;
  let drained: (() => void) | undefined;

  const statsOf = (fn: string): Stats => {
    let found = stats.get(fn);
    if (!found) stats.set(fn, (found = new Stats(clock)));
    return found;
  };

  const answerer = createAnswerer({
    ...dependencies,
    invoke: (caller, fn, input) => {
      const context: InvocationContext = {
        invocationId: ids.next(),
        traceparent: `00-${caller.traceId}-${ids.spanId()}-01`,
        idempotencyKey: `${caller.context.idempotencyKey}/${fn}`,
        attempt: 1,
        depth: caller.context.depth + 1,
        trigger: 'invoke',
        ...(caller.context.signal ? { signal: caller.context.signal } : {}),
      };
      return run(fn, { kind: 'direct', input }, context, undefined, caller.snapshot as AppSnapshot);
    },
  });

  const throttled = (identity: PoolIdentity, work: Work): void => {
    statsOf(identity.manifest.name).record('throttled', 0);
    announce(identity, work, 'throttled', 0);
  };

  const around: PoolSurroundings = {
    ...dependencies,
    shared,
    providers: dependencies.providers.map(({ name }) => name),
    call: answerer,
    settled(identity, work, outcome, kind) {
      statsOf(identity.manifest.name).record(kind, outcome.durationMs);
      if (signalled('function.invoked')) announce(identity, work, kind, outcome.durationMs);
    },
    throttled,
  };
  const registry: Registry = createRegistry(around);

  const resolve = (
    fn: string,
    version: string | undefined,
    caller: AppSnapshot | undefined,
  ): { snapshot: AppSnapshot; pool: Pool } => {
    if (version !== undefined) {
      const found = registry.version(fn, version);
      if (found) return found;
      throw new MillraceError('VERSION_NOT_FOUND', `'${fn}' has no version ${version} that is deployed.`);
    }
    const snapshot = caller?.pools.has(fn) ? caller : registry.active(fn);
    if (snapshot) return { snapshot, pool: snapshot.pools.get(fn)! };
    throw notFound(fn, registry.names());
  };

  const run = (
    fn: string,
    event: InvocationEvent,
    context: InvocationContext,
    version?: string,
    caller?: AppSnapshot,
  ): Promise<InvocationOutcome> => {
    const { snapshot, pool } = resolve(fn, version, caller);
    checkDepth(fn, context.depth);
    const sizeBytes = sizeOf(event);
    if (event.kind === 'direct') checkInput(pool.identity.manifest, event.input);
    if (sizeBytes > LIMITS.bodyBytes && event.kind !== 'records') throw tooLarge(fn, sizeBytes);
    return new Promise((resolveOutcome, reject) => {
      const work: Work = {
        event,
        context,
        snapshot,
        traceId: traceIdOf(context.traceparent) ?? ids.traceId(),
        sizeBytes,
        acceptedMs: clock.monotonic(),
        startedMs: -1,
        cold: false,
        settled: false,
        resolve: resolveOutcome,
        reject,
        unlisten: undefined,
        release() {
          work.unlisten?.();
          snapshot.leave();
          if (--inFlight === 0) drained?.();
        },
      };
      snapshot.enter();
      inFlight++;
      try {
        pool.submit(work);
      } catch (error) {
        work.settled = true;
        work.release();
        if (isMillraceError(error, 'TOO_MANY_REQUESTS')) throttled(pool.identity, work);
        reject(error);
      }
    });
  };

  const describe = (name: string, snapshot: AppSnapshot): FunctionDescription => {
    const pool = snapshot.pools.get(name)!;
    const { manifest } = pool.identity;
    return {
      name,
      app: snapshot.app,
      version: manifest.version,
      manifest,
      ...pool.counts(),
      stats: (stats.get(name) ?? new Stats(clock)).read(),
    };
  };

  return {
    name: 'functions',
    deployable: registry,
    dispatch(fn, event, context, version) {
      try {
        if (refusing) throw stopping();
        return run(fn, event, context, version);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    list: () =>
      registry
        .names()
        .sort()
        .map((name) => describe(name, registry.active(name)!)),
    describe(name) {
      const snapshot = registry.active(name);
      if (!snapshot) throw notFound(name, registry.names());
      return describe(name, snapshot);
    },
    find: (name) => registry.active(name)?.pools.get(name)?.identity.manifest,
    start: async () => dependencies.runtime.start?.(),
    refuse() {
      refusing = true;
    },
    async stop(deadline) {
      refusing = true;
      if (inFlight > 0 && !deadline.aborted) {
        await new Promise<void>((resolveDrained) => {
          drained = resolveDrained;
          deadline.addEventListener('abort', () => resolveDrained(), { once: true });
        });
      }
      for (const snapshot of registry.snapshots()) for (const pool of snapshot.pools.values()) pool.close();
      await dependencies.runtime.stop?.(deadline);
    },
  };
}

function announce({ app, manifest }: PoolIdentity, work: Work, outcome: Outcome, durationMs: number): void {
  signal('function.invoked', {
    app,
    fn: manifest.name,
    version: manifest.version,
    trigger: work.context.trigger,
    outcome,
    durationMs,
    records: recordsOf(work.event),
    cold: work.cold,
    invocationId: work.context.invocationId,
    traceId: work.traceId,
  });
}

function recordsOf(event: InvocationEvent): number {
  return event.kind === 'records' ? event.records : 0;
}

/** The trace id of a W3C `traceparent` (version 00: `00-<32 hex>-<16 hex>-<2 hex>`); undefined when it is malformed. */
function traceIdOf(traceparent: string | undefined): string | undefined {
  if (traceparent === undefined) return undefined;
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent);
  return match && !/^0+$/.test(match[1]!) ? match[1] : undefined;
}

function stopping(): MillraceError {
  return new MillraceError('UNAVAILABLE', 'The platform is stopping. Try again.', { retryAfterMs: 1000 });
}

function checkDepth(fn: string, depth: number): void {
  if (depth <= LIMITS.invocationDepth) return;
  throw new MillraceError(
    'DEPTH_EXCEEDED',
    `'${fn}' would be the function ${depth} levels below the first; ${LIMITS.invocationDepth} are allowed. Break the loop, or go through a stream.`,
  );
}

function tooLarge(fn: string, sizeBytes: number): MillraceError {
  return new MillraceError(
    'PAYLOAD_TOO_LARGE',
    `The input of '${fn}' has ${sizeBytes} bytes; ${LIMITS.bodyBytes} are allowed. Put it into a bucket and pass its name.`,
  );
}

function notFound(fn: string, names: readonly string[]): MillraceError {
  const close = nearest(fn, names);
  const hint = close === undefined ? 'GET /functions lists what there is.' : `Did you mean '${close}'?`;
  return new MillraceError('FUNCTION_NOT_FOUND', `There is no function '${fn}'. ${hint}`);
}

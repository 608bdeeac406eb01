import { type Json, MillraceError, readModelOperations } from '../../kernel/index.ts';
import type { Models, Operations, ReleaseRecord, RetrainRun } from '../../models/index.ts';
import { bodyOf, jsonOf } from './context-body.ts';
import { MODEL_WATCH_OPERATIONS, MODEL_WATCH_SCHEMAS } from './model-operations.openapi.ts';
import type { ApiContext, Route, RouteGroup } from './route.ts';

export interface ModelOperationRoutesOptions {
  readonly models: Models;
  readonly operations: Operations;
}

/** Largest file of held-back rows. */
const HELD_BACK_BYTES = 64 * 1024 * 1024;

/** Models in operation: what is watched, and how versions are released. */
export function modelOperationRoutes({ models, operations }: ModelOperationRoutesOptions): RouteGroup {
  const named = { resource: ([name]: readonly string[]) => `model/${name}` } as const;
  /** Throws MODEL_NOT_FOUND. */
  const nameOf = (context: ApiContext): string => models.registry.require(context.req.param('name')!).name;
  return {
    name: 'model operations',
    description: 'Models in operation: drift, releases, gates.',
    schemas: MODEL_WATCH_SCHEMAS,
    hot: [],
    routes: [
      {
        ...named,
        method: 'GET',
        path: '/models/{name}/watch',
        action: 'read',
        operation: MODEL_WATCH_OPERATIONS.watch,
        handle: (context) => {
          const name = nameOf(context);
          return context.json(watchView(name, operations));
        },
      },
      {
        ...named,
        method: 'GET',
        path: '/models/{name}/operations',
        action: 'read',
        operation: MODEL_WATCH_OPERATIONS.operations,
        handle: (context) => context.json(operations.of(nameOf(context))),
      },
      {
        ...named,
        method: 'PUT',
        path: '/models/{name}/operations',
        action: 'deploy',
        operation: MODEL_WATCH_OPERATIONS.setOperations,
        handle: async (context) => {
          const name = nameOf(context);
          await operations.set(name, readModelOperations(await jsonOf(context)));
          return context.json(operations.of(name));
        },
      },
      {
        ...named,
        method: 'PUT',
        path: '/models/{name}/held-back',
        action: 'deploy',
        operation: MODEL_WATCH_OPERATIONS.setHeldBack,
        handle: async (context) => {
          const name = nameOf(context);
          return context.json(await operations.setHeldBack(name, await bodyOf(context, HELD_BACK_BYTES)));
        },
      },
      ...retrainingRoutes(operations, nameOf),
      ...releaseRoutes(operations, nameOf),
    ],
  };
}

function retrainingRoutes(
  { retraining }: Operations,
  nameOf: (context: ApiContext) => string,
): readonly Route[] {
  const route = {
    path: '/models/{name}/retraining',
    resource: ([name]: readonly string[]) => `model/${name}`,
  } as const;
  return [
    {
      ...route,
      method: 'GET',
      action: 'read',
      operation: MODEL_WATCH_OPERATIONS.retraining,
      handle: async (context) => {
        const runs = await retraining.list(nameOf(context));
        return context.json({ runs: runs.map(runView) });
      },
    },
    {
      ...route,
      method: 'POST',
      action: 'deploy',
      operation: MODEL_WATCH_OPERATIONS.retrain,
      handle: async (context) => {
        const run = await retraining.begin(nameOf(context), context.get('principal').id);
        return context.json(runView(run), 202);
      },
    },
  ];
}

function releaseRoutes(operations: Operations, nameOf: (context: ApiContext) => string): readonly Route[] {
  const { releases } = operations;
  const named = { resource: ([name]: readonly string[]) => `model/${name}`, action: 'read' } as const;
  const idOf = (context: ApiContext): string => context.req.param('release')!;
  const by = (context: ApiContext): string => context.get('principal').id;
  return [
    {
      ...named,
      method: 'GET',
      path: '/models/{name}/releases',
      operation: MODEL_WATCH_OPERATIONS.releases,
      handle: async (context) => {
        const found = await releases.list(nameOf(context));
        return context.json({ releases: found.map(releaseView) });
      },
    },
    {
      ...named,
      method: 'POST',
      path: '/models/{name}/releases',
      action: 'deploy',
      operation: MODEL_WATCH_OPERATIONS.begin,
      handle: async (context) => {
        const { version } = (await jsonOf(context)) as { readonly [field: string]: Json };
        if (typeof version !== 'string') throw wrongVersion();
        return context.json(
          releaseView(await operations.release(nameOf(context), version, by(context))),
          201,
        );
      },
    },
    {
      ...named,
      method: 'GET',
      path: '/models/{name}/releases/{release}',
      operation: MODEL_WATCH_OPERATIONS.release,
      handle: async (context) =>
        context.json(releaseView(await releases.get(nameOf(context), idOf(context)))),
    },
    {
      ...named,
      method: 'POST',
      path: '/models/{name}/releases/{release}/promote',
      action: 'deploy',
      operation: MODEL_WATCH_OPERATIONS.promote,
      handle: async (context) =>
        context.json(releaseView(await releases.promote(nameOf(context), idOf(context), by(context)))),
    },
    {
      ...named,
      method: 'DELETE',
      path: '/models/{name}/releases/{release}',
      action: 'deploy',
      operation: MODEL_WATCH_OPERATIONS.abort,
      handle: async (context) =>
        context.json(releaseView(await releases.abort(nameOf(context), idOf(context), by(context)))),
    },
  ];
}

function wrongVersion(): MillraceError {
  const message = 'must be a version, its number or an alias, as text';
  return new MillraceError('INVALID_INPUT', `version ${message}.`, {
    errors: [{ path: '/version', message }],
  });
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

function runView({ startedMs, endedMs, ...run }: RetrainRun): object {
  return { ...run, started: timeOf(startedMs), ended: endedMs === null ? null : timeOf(endedMs) };
}

function watchView(model: string, { watcher, labels, releases }: Operations): object {
  const release = releases.active(model);
  const versions = watcher.show(model).map(({ last, ...version }) => {
    if (last === null) return { ...version, window: null };
    const { fromMs, toMs, rows, inputs, outputs } = last;
    return { ...version, window: { from: timeOf(fromMs), to: timeOf(toMs), rows, inputs, outputs } };
  });
  return {
    model,
    versions,
    labels: labels.show(model) ?? null,
    release: release ? releaseView(release) : null,
  };
}

function releaseView(record: ReleaseRecord): object {
  const { createdMs, stageSinceMs, decisions, told: _told, baseline: _baseline, ...rest } = record;
  return {
    ...rest,
    created: timeOf(createdMs),
    stageSince: timeOf(stageSinceMs),
    decisions: decisions.map(({ timeMs, ...decision }) => ({ time: timeOf(timeMs), ...decision })),
  };
}

import type { AppVersion, Deployable, FunctionManifest, PlannedChange } from '../../kernel/index.ts';
import { Pool, type PoolSurroundings } from './pool.ts';
import { AppSnapshot } from './snapshot.ts';

export interface Registry extends Deployable {
  /** The snapshot that serves `fn` now. */
  active(fn: string): AppSnapshot | undefined;
  /** The pool of a version of `fn` that is loaded: active, prepared, or still finishing. */
  version(fn: string, version: string): { snapshot: AppSnapshot; pool: Pool } | undefined;
  snapshots(): Iterable<AppSnapshot>;
  names(): string[];
}

/** Which version of which function serves. Preparing and switching never touch what is in flight. */
export function createRegistry(around: PoolSurroundings): Registry {
  const byFunction = new Map<string, AppSnapshot>();
  const byApp = new Map<string, AppSnapshot>();
  const prepared = new Map<string, AppSnapshot>();

  const build = (next: AppVersion): AppSnapshot => {
    const running = byApp.get(next.app);
    const pools = new Map<string, Pool>();
    for (const manifest of next.manifest.functions) {
      const same = running?.pools.get(manifest.name);
      const kept = same?.identity.manifest.version === manifest.version ? same : undefined;
      const identity = { app: next.app, manifest, folder: next.folder };
      pools.set(manifest.name, kept ?? new Pool(identity, around));
    }
    return new AppSnapshot(next.app, next.version, next.folder, pools);
  };

  const abandon = (app: string): void => {
    prepared.get(app)?.retire();
    prepared.delete(app);
  };

  const prepare = async (next: AppVersion): Promise<void> => {
    abandon(next.app);
    if (next.manifest.functions.length > 0) await around.runtime.reserve?.();
    const snapshot = build(next);
    prepared.set(next.app, snapshot);
    const running = byApp.get(next.app);
    const warming: Promise<void>[] = [];
    for (const [name, pool] of snapshot.pools) {
      const before = running?.pools.get(name);
      if (before === pool) continue;
      // As warm as what it takes the place of, so that switching is not a cold start.
      const { instances, starting } = before?.counts() ?? { instances: 0, starting: 0 };
      const wanted = Math.max(pool.identity.manifest.instances.min, instances + starting);
      if (wanted > 0) warming.push(pool.warm(wanted));
    }
    await Promise.all(warming);
  };

  /** Synchronous from the first change to the last: no invocation finds half a version. */
  const activate = (next: AppVersion): void => {
    const ready = prepared.get(next.app);
    const snapshot = ready?.version === next.version ? ready : build(next);
    if (ready && ready !== snapshot) abandon(next.app);
    prepared.delete(next.app);
    const before = byApp.get(next.app);
    if (before) withdraw(before, snapshot);
    byApp.set(next.app, snapshot);
    for (const [name, pool] of snapshot.pools) {
      byFunction.set(name, snapshot);
      pool.identity.folder = next.folder;
      pool.activate();
    }
    before?.retire();
  };

  const withdraw = (before: AppSnapshot, next: AppSnapshot | undefined): void => {
    for (const [name, pool] of before.pools) {
      if (next?.pools.get(name) !== pool) pool.deactivate();
      if (byFunction.get(name) === before) byFunction.delete(name);
    }
  };

  const remove = (app: string): void => {
    abandon(app);
    const before = byApp.get(app);
    if (!before) return;
    withdraw(before, undefined);
    byApp.delete(app);
    before.retire();
  };

  return {
    kind: 'functions',
    plan: async (current, next) => planFunctions(current, next),
    async prepare(_current, next) {
      if (next) await prepare(next);
    },
    async activate(current, next) {
      if (next) activate(next);
      else if (current) remove(current.app);
    },
    async abandon(_current, next) {
      if (next) abandon(next.app);
    },
    active: (fn) => byFunction.get(fn),
    version(fn, version) {
      for (const snapshot of [...byApp.values(), ...prepared.values()]) {
        const pool = snapshot.pools.get(fn);
        if (pool?.identity.manifest.version === version) return { snapshot, pool };
      }
      return undefined;
    },
    *snapshots() {
      yield* byApp.values();
      yield* prepared.values();
    },
    names: () => [...byFunction.keys()],
  };
}

function planFunctions(current: AppVersion | undefined, next: AppVersion | undefined): PlannedChange[] {
  const before = new Map(current?.manifest.functions.map((each) => [each.name, each]));
  const changes: PlannedChange[] = [];
  for (const manifest of next?.manifest.functions ?? []) {
    changes.push(planFunction(before.get(manifest.name), manifest));
    before.delete(manifest.name);
  }
  for (const name of before.keys()) {
    changes.push({ resource: `function/${name}`, action: 'remove', details: [] });
  }
  return changes;
}

function planFunction(before: FunctionManifest | undefined, next: FunctionManifest): PlannedChange {
  const resource = `function/${next.name}`;
  if (!before)
    return { resource, action: 'create', details: next.triggers.map(({ kind }) => `trigger ${kind}`) };
  if (before.version === next.version) return { resource, action: 'keep', details: [] };
  const settings = Object.keys(next).filter(
    (name) => !['version', 'entry', 'exportName', 'name'].includes(name),
  );
  const details = settings.flatMap((name) => {
    const [from, to] = [before, next].map(
      (each) => JSON.stringify(each[name as keyof FunctionManifest]) ?? 'none',
    );
    return from === to ? [] : [`${name} ${from} → ${to}`];
  });
  return { resource, action: 'update', details: details.length > 0 ? details : ['code'] };
}

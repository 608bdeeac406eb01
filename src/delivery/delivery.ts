import {
  type AppVersion,
  type Artifact,
  type Clock,
  type Deployable,
  type Facts,
  type Ids,
  type Manifest,
  MillraceError,
  type Service,
  type StateStore,
  signal,
} from '../kernel/index.ts';
import { type ArtifactOptions, createArtifacts } from './artifacts.ts';
import { checkManifest } from './check-manifest.ts';
import { checkPlan, type DeploymentPlan, planDeployment } from './plan.ts';
import { createRecords, type Journal, type VersionRecord } from './records.ts';

/**
 * Apps and their versions: what should run, and how to get from one version to the next.
 *
 * D1 A deployment takes effect as a whole: its commit is one transaction. Killed before it, the deployment is undone at the
 *    next start; killed after it, it is finished then. What ran goes on running.
 * D2 Deployments are done one after the other; each is planned against what the one before left.
 * D3 A deployment never deletes records.
 * D4 The engines do their steps idempotently; delivery may repeat any of them after a crash.
 */
export interface Delivery extends Service {
  /** Looks only. `manifest` may come from outside. Throws APP_INVALID. */
  plan(manifest: unknown): Promise<DeploymentPlan>;
  /** Throws APP_INVALID, and with what runs untouched NAME_TAKEN, REFERENCE_MISSING, SCHEMA_INCOMPATIBLE, DEPLOY_REFUSED. */
  deploy(
    artifact: { readonly manifest: unknown; readonly files: Artifact['files'] },
    by: string,
  ): Promise<Deployment>;
  /** To `version`, or to the one that ran before. Throws APP_NOT_FOUND, VERSION_NOT_FOUND. */
  rollback(app: string, by: string, version?: string): Promise<Deployment>;
  /** Stops the app's functions and detaches its streams; records and history stay. Throws APP_NOT_FOUND. */
  remove(app: string, by: string): Promise<Deployment>;
  list(): readonly AppVersion[];
  /** Throws APP_NOT_FOUND. */
  find(app: string): AppVersion;
  /** Newest first. Throws APP_NOT_FOUND. */
  versions(app: string): Promise<readonly VersionSummary[]>;
}

export interface Deployment {
  readonly id: string;
  readonly app: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly changes: DeploymentPlan['changes'];
  /** False: this version ran already. */
  readonly changed: boolean;
}

export interface VersionSummary extends VersionRecord {
  readonly active: boolean;
}

export interface DeliveryOptions extends ArtifactOptions {
  readonly state: StateStore;
  readonly facts: Facts;
  readonly clock: Clock;
  readonly ids: Ids;
  /** In the order of preparing: streams before the functions on them. */
  readonly engines: readonly Deployable[];
}

/** Versions of one app that are kept to go back to. */
const KEPT_VERSIONS = 20;
const KEPT_HISTORY = 100;

interface Change {
  readonly app: string;
  readonly action: VersionRecord['action'];
  readonly by: string;
  readonly next: Manifest | undefined;
  /** Of an artifact that is not stored yet. */
  readonly files?: Artifact['files'];
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { clock, engines, facts, ids } = options;
  const artifacts = createArtifacts(options);
  const records = createRecords(options.state);
  const active = new Map<string, AppVersion>();
  /** Apps whose last deployment was neither finished nor undone. */
  const unsettled = new Set<string>();
  let last: Promise<unknown> = Promise.resolve();

  /** D2: one at a time. */
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = last.then(work, work);
    last = result.catch(() => undefined);
    return result;
  };

  const find = (app: string): AppVersion => {
    const found = active.get(app);
    if (found) return found;
    throw new MillraceError('APP_NOT_FOUND', `There is no app '${app}'. 'millrace ls' lists what there is.`);
  };

  const load = async (app: string, version: string | null): Promise<AppVersion | undefined> =>
    version === null ? undefined : artifacts.materialise(await artifacts.manifest(app, version));

  const planFor = (app: string, next: Manifest | undefined): Promise<DeploymentPlan> =>
    planDeployment({
      app,
      current: active.get(app),
      next: next && artifacts.locate(next),
      others: [...active.values()].filter((each) => each.app !== app).map((each) => each.manifest),
      engines,
    });

  /** The steps after the commit; also those that recovery repeats. */
  const finish = async (journal: Journal, current: AppVersion | undefined, next: AppVersion | undefined) => {
    for (const engine of engines) await engine.activate(current, next);
    if (next) active.set(journal.app, next);
    else active.delete(journal.app);
    const { id, app, from, to, entry } = journal;
    await facts.record('millrace.deployments', app, {
      type: DONE[entry.action],
      id,
      app,
      from,
      to,
      by: entry.by,
    });
    await records.end(app);
    unsettled.delete(app);
  };

  const undo = async (
    journal: Journal,
    current: AppVersion | undefined,
    next: AppVersion | undefined,
    why: string,
  ) => {
    for (const engine of engines.toReversed()) await engine.abandon(current, next);
    const { id, app, from, to, entry } = journal;
    const fact = { type: 'app.deploy.abandoned', id, app, from, to, by: entry.by, reason: why };
    await facts.record('millrace.deployments', app, fact);
    await records.end(app);
    unsettled.delete(app);
  };

  const recover = async (journal: Journal): Promise<void> => {
    const from = await load(journal.app, journal.from);
    if (journal.step === 'prepare') {
      // Killed before its manifest was stored, nothing of it was prepared.
      const planned = await load(journal.app, journal.to).catch(() => undefined);
      return undo(journal, from, planned, 'the platform ended during the deployment');
    }
    const to = await load(journal.app, journal.to);
    for (const engine of engines) await engine.prepare(from, to);
    await finish(journal, from, to);
  };

  /** What a deployment that failed after its commit left open comes first. */
  const settle = async (app: string): Promise<void> => {
    if (!unsettled.has(app)) return;
    const open = (await records.journals()).find((journal) => journal.app === app);
    if (open) await recover(open);
  };

  const prune = async (app: string): Promise<void> => {
    const history = await records.history(app);
    const versions = [...new Set(history.flatMap((entry) => entry.version ?? []))].slice(0, KEPT_VERSIONS);
    const running = active.get(app)?.version;
    const keep = running === undefined || versions.includes(running) ? versions : [...versions, running];
    const outdated = history.filter(
      (entry, index) => index >= KEPT_HISTORY || (entry.version !== null && !keep.includes(entry.version)),
    );
    if (outdated.length === 0) return;
    await records.forget(app, outdated);
    await artifacts.prune(app, keep);
  };

  /** Stores and lays out the version while the journal is written: none of them waits for another. */
  const bringIn = async (journal: Journal, { next, files }: Change): Promise<AppVersion | undefined> => {
    const [version] = await Promise.all([
      next && artifacts.materialise(next, files),
      next && files && artifacts.store({ manifest: next, files }),
      records.begin(journal),
    ]);
    return version;
  };

  const change = async (wanted: Change): Promise<Deployment> => {
    const { app, action, by, next } = wanted;
    const plan = await planFor(app, next);
    checkPlan(plan);
    const current = active.get(app);
    const id = ids.next();
    const result = { id, app, from: plan.from, to: plan.to, changes: plan.changes };
    if (plan.from === plan.to) return { ...result, changed: false };

    const found = await records.app(app);
    const sequence = (found?.record.sequence ?? 0) + 1;
    const entry: VersionRecord = { sequence, version: plan.to, action, timeMs: clock.now(), by };
    const journal: Journal = { id, app, step: 'prepare', from: plan.from, to: plan.to, entry };
    unsettled.add(app);
    let target: AppVersion | undefined;
    try {
      target = await bringIn(journal, wanted);
      for (const engine of engines) await engine.prepare(current, target);
      await records.commit(journal, found?.version ?? 0);
    } catch (error) {
      const planned = target ?? (next && artifacts.locate(next));
      // The journal stays when undoing fails too: the next deployment or start undoes it.
      await undo(journal, current, planned, String(error)).catch((failure: unknown) => {
        const message = `The failed deployment of '${app}' could not be undone yet.`;
        signal('platform.log', { level: 'error', room: 'delivery', message, error: failure });
      });
      throw error;
    }
    await finish({ ...journal, step: 'activate' }, current, target);
    await prune(app);
    return { ...result, changed: true };
  };

  const start = async (): Promise<void> => {
    await artifacts.clean();
    const journals = await records.journals();
    const open = new Map(journals.map((journal) => [journal.app, journal]));
    for (const { app, active: version } of await records.apps()) {
      const journal = open.get(app);
      const running = journal?.step === 'activate' ? journal.from : version;
      const next = await load(app, running).catch((error: unknown) => skip(app, error));
      if (!next) continue;
      for (const engine of engines) await engine.prepare(undefined, next);
      for (const engine of engines) await engine.activate(undefined, next);
      active.set(app, next);
    }
    for (const journal of journals) await recover(journal);
  };

  return {
    name: 'delivery',
    start,
    stop: async () => void (await last),
    plan: async (manifest) => {
      const next = checkManifest(manifest);
      return inTurn(() => planFor(next.app, next));
    },
    deploy: async ({ manifest, files }, by) => {
      const next = checkManifest(manifest);
      return inTurn(async () => {
        await settle(next.app);
        await artifacts.verify({ manifest: next, files });
        return change({ app: next.app, action: 'deploy', by, next, files });
      });
    },
    rollback: (app, by, version) =>
      inTurn(async () => {
        await settle(app);
        const target = version ?? previousOf(app, active.get(app)?.version, await records.history(app));
        return change({ app, action: 'rollback', by, next: await artifacts.manifest(app, target) });
      }),
    remove: (app, by) =>
      inTurn(async () => {
        await settle(app);
        find(app);
        return change({ app, action: 'remove', by, next: undefined });
      }),
    list: () => [...active.values()].sort((a, b) => (a.app < b.app ? -1 : 1)),
    find,
    async versions(app) {
      const history = await records.history(app);
      if (history.length === 0) find(app);
      const running = active.get(app);
      const current = history.find((entry) => entry.version === running?.version);
      return history.map((entry) => ({ ...entry, active: running !== undefined && entry === current }));
    },
  };
}

const DONE = { deploy: 'app.deployed', rollback: 'app.rolledback', remove: 'app.removed' } as const;

/** One app whose artifact is lost must not keep the platform from starting. */
function skip(app: string, error: unknown): undefined {
  const message = `The app '${app}' cannot be loaded; deploy it again.`;
  signal('platform.log', { level: 'error', room: 'delivery', message, error });
}

function previousOf(app: string, running: string | undefined, history: readonly VersionRecord[]): string {
  const found = history.find((entry) => entry.version !== null && entry.version !== running);
  if (found?.version) return found.version;
  const code = history.length === 0 ? 'APP_NOT_FOUND' : 'VERSION_NOT_FOUND';
  const what =
    history.length === 0 ? `There is no app '${app}'` : `'${app}' has no earlier version to go back to`;
  throw new MillraceError(code, `${what}. 'millrace versions ${app}' lists what was deployed.`);
}

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
import { type ArtifactOptions, type Artifacts, createArtifacts } from './artifacts.ts';
import { checkManifest } from './check-manifest.ts';
import { checkPlan, type DeploymentPlan, planDeployment } from './plan.ts';
import { createRecords, type Records, type VersionRecord } from './records.ts';
import { type Change, createTransitions } from './transitions.ts';

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
  deploy(artifact: UncheckedArtifact, by: string): Promise<Deployment>;
  /** Several apps as one, such as those that refer to each other: all of them change, or none. Throws as `deploy` does. */
  deployTogether(artifacts: readonly UncheckedArtifact[], by: string): Promise<readonly Deployment[]>;
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

/** As it comes from outside. */
export interface UncheckedArtifact {
  readonly manifest: unknown;
  readonly files: Artifact['files'];
}

export interface Deployment {
  /** Null: nothing was deployed. */
  readonly id: string | null;
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

export function createDelivery(options: DeliveryOptions): Delivery {
  const { engines } = options;
  const artifacts = createArtifacts(options);
  const records = createRecords(options.state);
  const active = new Map<string, AppVersion>();
  const activated = (app: string, version: AppVersion | undefined): void => {
    if (version) active.set(app, version);
    else active.delete(app);
  };
  const transitions = createTransitions({ ...options, artifacts, records, activated });
  const inTurn = createTurns();

  const find = (app: string): AppVersion => {
    const found = active.get(app);
    if (found) return found;
    throw new MillraceError('APP_NOT_FOUND', `There is no app '${app}'. 'millrace ls' lists what there is.`);
  };

  /** `together` is deployed at once: its apps count as they will be. */
  const planFor = (
    app: string,
    next: Manifest | undefined,
    together: readonly Manifest[] = [],
  ): Promise<DeploymentPlan> => {
    const coming = new Set([app, ...together.map((each) => each.app)]);
    const staying = active.values().filter((each) => !coming.has(each.app));
    const others = [...staying.map((each) => each.manifest), ...together.filter((each) => each.app !== app)];
    return planDeployment({
      app,
      current: active.get(app),
      next: next && artifacts.locate(next),
      others,
      engines,
    });
  };

  const run = async (changes: readonly Change[]): Promise<readonly Deployment[]> => {
    const together = changes.flatMap(({ next }) => next ?? []);
    const plans: DeploymentPlan[] = [];
    for (const { app, next } of changes) plans.push(await planFor(app, next, together));
    for (const plan of plans) checkPlan(plan);
    const moving = changes.filter((change) => change.current?.version !== change.next?.version);
    const ids = moving.length === 0 ? new Map<string, string>() : await transitions.run(moving);
    for (const { app } of moving) await prune(app, active.get(app)?.version, records, artifacts);
    return plans.map(({ app, from, to, changes }) => {
      const id = ids.get(app) ?? null;
      return { id, app, from, to, changes, changed: id !== null };
    });
  };

  /** Settles what was left open of the apps, then makes the changes that `make` says. */
  const runFor = (
    apps: readonly string[],
    make: () => Promise<readonly Change[]>,
  ): Promise<readonly Deployment[]> =>
    inTurn(async () => {
      await transitions.recover(new Set(apps));
      return run(await make());
    });

  const deployTogether: Delivery['deployTogether'] = async (unchecked, by) => {
    const checked = unchecked.map(({ manifest, files }) => ({ next: checkManifest(manifest), files }));
    const apps = checked.map(({ next }) => next.app);
    const twice = apps.find((app, index) => apps.indexOf(app) !== index);
    if (twice !== undefined)
      throw new MillraceError('BAD_REQUEST', `The app '${twice}' comes twice. Send it once.`);
    return runFor(apps, async () => {
      for (const { next, files } of checked) await artifacts.verify({ manifest: next, files });
      return checked.map(({ next, files }): Change => {
        return { app: next.app, action: 'deploy', by, current: active.get(next.app), next, files };
      });
    });
  };

  return {
    name: 'delivery',
    start: () =>
      startApps({ ...options, artifacts, records, active, activated, recover: transitions.recover }),
    stop: () => inTurn(async () => undefined),
    plan: async (manifest) => {
      const next = checkManifest(manifest);
      return inTurn(() => planFor(next.app, next));
    },
    deploy: async (artifact, by) => (await deployTogether([artifact], by))[0]!,
    deployTogether,
    async rollback(app, by, version) {
      const [done] = await runFor([app], async () => {
        const current = active.get(app);
        const target = version ?? previousOf(app, current?.version, await records.history(app));
        return [{ app, action: 'rollback', by, current, next: await artifacts.manifest(app, target) }];
      });
      return done!;
    },
    async remove(app, by) {
      const [done] = await runFor([app], async () => [
        { app, action: 'remove', by, current: find(app), next: undefined },
      ]);
      return done!;
    },
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

/** D2: one at a time, in the order in which they were asked for. */
function createTurns(): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work, work);
    last = result.catch(() => undefined);
    return result;
  };
}

interface StartOptions extends Pick<DeliveryOptions, 'engines'> {
  readonly artifacts: Artifacts;
  readonly records: Records;
  readonly active: ReadonlyMap<string, AppVersion>;
  readonly activated: (app: string, version: AppVersion) => void;
  readonly recover: () => Promise<void>;
}

/** Every app serves what it served; then deployments that were cut off are undone or finished. */
async function startApps(options: StartOptions): Promise<void> {
  const { engines, artifacts, records, activated, recover } = options;
  const open = new Map((await records.journals()).map((journal) => [journal.app, journal]));
  for (const record of await records.apps()) {
    const { app } = record;
    const journal = open.get(app);
    const version = journal?.step === 'activate' ? journal.from : record.active;
    if (version === null) continue;
    const next = await artifacts
      .manifest(app, version)
      .then((manifest) => artifacts.materialise(manifest))
      .catch((error: unknown) => skip(app, error));
    if (!next) continue;
    for (const engine of engines) await engine.prepare(undefined, next);
    for (const engine of engines) await engine.activate(undefined, next);
    activated(app, next);
  }
  await recover();
  await artifacts.clean([...options.active.values()]);
}

async function prune(
  app: string,
  running: string | undefined,
  records: Records,
  artifacts: Artifacts,
): Promise<void> {
  const history = await records.history(app);
  const versions = [...new Set(history.flatMap((entry) => entry.version ?? []))].slice(0, KEPT_VERSIONS);
  const keep = running === undefined || versions.includes(running) ? versions : [...versions, running];
  const outdated = history.filter(
    (entry, index) => index >= KEPT_HISTORY || (entry.version !== null && !keep.includes(entry.version)),
  );
  if (outdated.length === 0) return;
  await records.forget(app, outdated);
  await artifacts.prune(app, keep);
}

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

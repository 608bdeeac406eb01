import {
  type AppVersion,
  type Artifact,
  type Clock,
  type Deployable,
  type Facts,
  type Ids,
  type Manifest,
  signal,
} from '../kernel/index.ts';
import type { Artifacts } from './artifacts.ts';
import type { Journal, Records, VersionRecord } from './records.ts';

/** One app on its way from one version to another. */
export interface Change {
  readonly app: string;
  readonly action: VersionRecord['action'];
  readonly by: string;
  readonly current: AppVersion | undefined;
  readonly next: Manifest | undefined;
  /** Of an artifact that is not stored yet. */
  readonly files?: Artifact['files'];
}

/**
 * Takes apps from version to version, several as one: each engine prepares all of them before any is committed, so that
 * apps may refer to each other's streams. Every step can be repeated after a crash.
 */
export interface Transitions {
  /** Answers the id of each deployment. When it throws, nothing has changed, or the next `recover` finishes it. */
  run(changes: readonly Change[]): Promise<ReadonlyMap<string, string>>;
  /** Undoes or finishes what a crash or a failure left open, of these apps or of all. */
  recover(apps?: ReadonlySet<string>): Promise<void>;
}

export interface TransitionOptions {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly facts: Facts;
  readonly engines: readonly Deployable[];
  readonly artifacts: Artifacts;
  readonly records: Records;
  /** Told when new work goes to `version`, or to nothing. */
  readonly activated: (app: string, version: AppVersion | undefined) => void;
}

interface Transition {
  readonly journal: Journal;
  readonly current: AppVersion | undefined;
  readonly next: AppVersion | undefined;
}

const DONE = { deploy: 'app.deployed', rollback: 'app.rolledback', remove: 'app.removed' } as const;

export function createTransitions(options: TransitionOptions): Transitions {
  const { artifacts, engines, records } = options;
  /** Apps whose last deployment was neither finished nor undone. */
  const unsettled = new Set<string>();

  const tell = ({ id, app, from, to, entry }: Journal, type: string, more: { reason?: string } = {}) =>
    options.facts.record('millrace.deployments', app, { type, id, app, from, to, by: entry.by, ...more });

  const end = async ({ app }: Journal): Promise<void> => {
    await records.end(app);
    unsettled.delete(app);
  };

  /** What follows the commit. */
  const finish = async (transitions: readonly Transition[]): Promise<void> => {
    for (const engine of engines) {
      for (const { current, next } of transitions) await engine.activate(current, next);
    }
    for (const { journal, next } of transitions) options.activated(journal.app, next);
    for (const { journal } of transitions) {
      await tell(journal, DONE[journal.entry.action]);
      await end(journal);
    }
  };

  const undo = async ({ journal, current, next }: Transition, reason: string): Promise<void> => {
    for (const engine of engines.toReversed()) await engine.abandon(current, next);
    await tell(journal, 'app.deploy.abandoned', { reason });
    await end(journal);
  };

  const load = async (app: string, version: string | null): Promise<AppVersion | undefined> =>
    version === null ? undefined : artifacts.materialise(await artifacts.manifest(app, version));

  /** Killed before its manifest was stored, nothing of a deployment was prepared. */
  const reopen = async (journal: Journal): Promise<Transition> => {
    const current = await load(journal.app, journal.from);
    const next = load(journal.app, journal.to);
    return {
      journal,
      current,
      next: await (journal.step === 'prepare' ? next.catch(() => undefined) : next),
    };
  };

  const prepare = async (transitions: readonly Transition[]): Promise<void> => {
    for (const engine of engines) {
      for (const { current, next } of transitions) await engine.prepare(current, next);
    }
  };

  return {
    async run(changes) {
      const begun = await Promise.all(changes.map((change) => begin(change, options)));
      for (const { journal } of begun) unsettled.add(journal.app);
      try {
        await Promise.all([bringIn(changes, artifacts), records.begin(begun.map((each) => each.journal))]);
        await prepare(begun);
        await records.commit(begun);
      } catch (error) {
        for (const each of begun)
          await undo(each, String(error)).catch((failure) => cannotUndo(each, failure));
        throw error;
      }
      await finish(begun);
      return new Map(begun.map(({ journal }) => [journal.app, journal.id]));
    },
    async recover(apps) {
      if (apps && !unsettled.values().some((app) => apps.has(app))) return;
      const open = (await records.journals()).filter((journal) => !apps || apps.has(journal.app));
      const transitions: Transition[] = [];
      for (const journal of open) transitions.push(await reopen(journal));
      for (const each of transitions) {
        if (each.journal.step === 'prepare') await undo(each, 'the platform ended during the deployment');
      }
      const committed = transitions.filter((each) => each.journal.step === 'activate');
      await prepare(committed);
      await finish(committed);
    },
  };
}

/** The journal of a change, and the version of the app's record that it is based on. */
async function begin(
  { app, action, by, current, next }: Change,
  { artifacts, clock, ids, records }: TransitionOptions,
): Promise<Transition & { readonly expected: number }> {
  const found = await records.app(app);
  const to = next?.version ?? null;
  const sequence = (found?.record.sequence ?? 0) + 1;
  const entry: VersionRecord = { sequence, version: to, action, timeMs: clock.now(), by };
  const journal: Journal = {
    id: ids.next(),
    app,
    step: 'prepare',
    from: current?.version ?? null,
    to,
    entry,
  };
  return { journal, current, next: next && artifacts.locate(next), expected: found?.version ?? 0 };
}

/** Stores the versions and lays them out: neither waits for the other. */
async function bringIn(changes: readonly Change[], artifacts: Artifacts): Promise<void> {
  await Promise.all(
    changes.flatMap(({ current, next, files }) => [
      next && artifacts.materialise(next, files, current),
      next && files && artifacts.store({ manifest: next, files }),
    ]),
  );
}

/** The journal stays: the next deployment of the app, or the next start, undoes it. */
function cannotUndo({ journal }: Transition, error: unknown): void {
  const message = `The failed deployment of '${journal.app}' could not be undone yet.`;
  signal('platform.log', { level: 'error', room: 'delivery', message, error });
}

import {
  type Clock,
  chooseWeighted,
  type Facts,
  type Ids,
  type Json,
  MillraceError,
  type Random,
  type Service,
  type StateStore,
} from '../../kernel/index.ts';
import type { Labelled } from './live.ts';
import { createReleaseStore, type Decision, type ReleaseRecord } from './record.ts';
import { createReleaseRun, type ReleaseObservation, type ReleaseRun, type RunParts } from './run.ts';
import type { ReleaseSettings } from './settings.ts';

export interface BeginOptions {
  readonly model: string;
  /** The version to release, its number or an alias. */
  readonly version: string;
  readonly by: string;
  readonly settings: ReleaseSettings;
  /** The same id again is the same release: for callers that may repeat themselves after a crash. */
  readonly id?: string;
}

/** Brings versions of models into production, step by step, and takes them back. */
export interface Releases extends Service {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Throws CONFLICT while another one is under way for the model, or when the version serves already. */
  begin(options: BeginOptions): Promise<ReleaseRecord>;
  /** Gives the version all traffic now, whatever the gates would say; it is still watched. Throws NOT_FOUND, CONFLICT. */
  promote(model: string, id: string, by: string): Promise<ReleaseRecord>;
  /** Ends the release; a version that has taken all traffic goes back. Throws NOT_FOUND, CONFLICT. */
  abort(model: string, id: string, by: string): Promise<ReleaseRecord>;
  /** Throws NOT_FOUND. */
  get(model: string, id: string): Promise<ReleaseRecord>;
  list(model: string): Promise<readonly ReleaseRecord[]>;
  /** What is under way for a model. */
  active(model: string): ReleaseRecord | undefined;
  /** Which version a request gets, and which sees it besides; undefined when nothing is under way. */
  route(
    model: string,
    production: string | undefined,
    key: string | undefined,
  ): { readonly version: string; readonly shadows?: readonly string[] } | undefined;
  observe(observation: ReleaseObservation): void;
  /** The run that wants to hear of a version, to compare answers and to watch drift. */
  watching(model: string, version: string): Pick<ReleaseRun, 'compared' | 'monitor' | 'record'> | undefined;
  /** A truth has come for a prediction of this version. */
  labelled(model: string, labelled: Labelled): void;
  /** Resolves when nothing is being decided at the moment. */
  settled(): Promise<void>;
}

export interface ReleasesOptions extends Omit<RunParts, 'store' | 'tell' | 'ended'> {
  readonly state: StateStore;
  readonly facts: Facts;
  readonly ids: Ids;
  readonly random: Random;
  readonly clock: Clock;
}

export function createReleases(options: ReleasesOptions): Releases {
  const { clock, facts, ids, random } = options;
  const store = createReleaseStore(options.state);
  const runs = new Map<string, ReleaseRun>();

  /** Told at least once; `id` says which it is. */
  const tell = (record: ReleaseRecord, decision: Decision): Promise<void> => {
    const { id, model, from, to } = record;
    const { number, timeMs: _, ...rest } = decision;
    const fact = { ...rest, id: `${id}/${number}`, release: id, model, from, to, type: 'model.release' };
    return facts.record(
      'millrace.decisions',
      model,
      fact as unknown as { type: string; [field: string]: Json },
    );
  };

  const run = (record: ReleaseRecord, resumed: boolean): ReleaseRun => {
    const made = createReleaseRun(
      { ...options, store, tell, ended: () => runs.delete(record.model) },
      record,
    );
    runs.set(record.model, made);
    made.start(resumed);
    return made;
  };

  const require = (model: string, id: string): ReleaseRun => {
    const found = runs.get(model);
    if (found?.record.id === id) return found;
    const message = `No release ${id.slice(0, 50)} of '${model.slice(0, 100)}' is under way. GET /models/${model}/releases lists them.`;
    throw new MillraceError('NOT_FOUND', message);
  };

  return {
    name: 'models releases',
    async start() {
      for (const record of await store.underWay()) run(record, true);
    },
    async stop() {
      for (const each of runs.values()) each.stop();
      await Promise.all([...runs.values()].map((each) => each.settled()));
    },
    async begin({ model, version, by, settings, id = ids.next() }) {
      const to = await options.models.version(model, version);
      const from = options.models.production(model) ?? null;
      const there = await store.get(model, id);
      if (there) return there;
      if (from === to.version) {
        throw new MillraceError('CONFLICT', `Version ${from} of '${model}' is in production already.`);
      }
      const now = clock.now();
      const begin: Decision = {
        number: 1,
        timeMs: now,
        stage: 'gates',
        decision: 'begin',
        reason: from === null ? `${to.version} is the first version.` : `${to.version} is to follow ${from}.`,
        verdict: null,
        gates: [],
        by,
      };
      const record: ReleaseRecord = {
        id,
        model,
        from,
        to: to.version,
        by,
        createdMs: now,
        stage: 'gates',
        stageSinceMs: now,
        extended: false,
        outcome: null,
        settings,
        decisions: [begin],
        told: 0,
        baseline: null,
      };
      return run(await store.begin(record), false).record;
    },
    promote: async (model, id, by) => require(model, id).promote(by),
    abort: async (model, id, by) => require(model, id).abort(by),
    async get(model, id) {
      const found = runs.get(model);
      const record = found?.record.id === id ? found.record : await store.get(model, id);
      if (record) return record;
      const message = `There is no release ${id.slice(0, 50)} of '${model.slice(0, 100)}'. GET /models/${model}/releases lists them.`;
      throw new MillraceError('NOT_FOUND', message);
    },
    list: (model) => store.list(model),
    active: (model) => runs.get(model)?.record,
    route(model, production, key) {
      const record = runs.get(model)?.record;
      // A version that somebody else has put into production serves; the release notices at its next look.
      if (!record || record.from === null || record.from !== production) return undefined;
      const { from, to, settings, stage } = record;
      if (stage === 'shadow') {
        return random.float() < settings.shadow.share ? { version: from, shadows: [to] } : undefined;
      }
      if (stage !== 'canary') return undefined;
      const { weight } = settings.canary;
      if (key === undefined) return { version: random.float() * 100 < weight ? to : from };
      const choices = [
        { name: from, weight: 100 - weight },
        { name: to, weight },
      ];
      return { version: chooseWeighted(choices, key)?.name ?? from };
    },
    observe: (observation) => runs.get(observation.model)?.observe(observation),
    watching(model, version) {
      const found = runs.get(model);
      return found && (found.record.to === version || found.record.from === version) ? found : undefined;
    },
    labelled: (model, labelled) => runs.get(model)?.labelled(labelled),
    async settled() {
      for (const each of [...runs.values()]) await each.settled();
    },
  };
}

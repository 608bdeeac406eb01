import {
  type AppVersion,
  type Clock,
  type CronTrigger,
  type Deployable,
  type EveryTrigger,
  type FunctionManifest,
  type Ids,
  type PlannedChange,
  type Random,
  type Service,
  type StateStore,
  signal,
} from '../../kernel/index.ts';
import type { Dispatcher } from '../invocation.ts';
import { type Calendar, cronCalendar, intervalCalendar } from './cron.ts';
import { Schedule, type ScheduleOptions, type ScheduleParts } from './schedule.ts';
import type { SharedHome } from './shared.ts';
import { createScheduleStore, keyOf, type ScheduleEntry } from './store.ts';

export interface SchedulesDependencies {
  readonly state: StateStore;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  /** Where several nodes share the log and not the state: then one of them runs the schedules of all. */
  readonly shared?: SharedHome;
}

export interface ScheduleStatus {
  readonly app: string;
  readonly fn: string;
  /** `every 300000` (milliseconds) or `cron 0 3 * * * Europe/Berlin`. */
  readonly spec: string;
  /** Milliseconds since the Unix epoch; null when nothing is due ever again. */
  readonly nextMs: number | null;
  readonly running: boolean;
}

/** Runs functions by the clock: durably, once on all nodes, with retries. */
export interface Schedules extends Service {
  /** Activate it after the functions. */
  readonly deployable: Deployable;
  list(): readonly ScheduleStatus[];
  /** Resolves when no tick is running. */
  idle(): Promise<void>;
  /** Whether a failed tick waits for its next attempt. */
  readonly retryWaits: boolean;
}

type Timed = EveryTrigger | CronTrigger;

export function createSchedules(dependencies: SchedulesDependencies): Schedules {
  const { state, clock, ids, shared } = dependencies;
  const { store, leases } = shared ?? { store: createScheduleStore(state), leases: state };
  const schedules = new Map<string, Schedule>();
  const offered = new Map<string, ScheduleOptions>();
  const waiters = new Set<() => void>();
  let refusing = false;
  const parts: ScheduleParts = {
    ...dependencies,
    store,
    leases,
    owner: `schedules-${ids.next()}`,
    refusing: () => refusing,
    changed() {
      for (const check of [...waiters]) check();
    },
  };
  const isBusy = (): boolean => [...schedules.values()].some(({ busy }) => busy);
  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (isBusy()) return;
        waiters.delete(check);
        resolve();
      };
      waiters.add(check);
      check();
    });

  const begin = async (options: ScheduleOptions): Promise<void> => {
    const key = keyOf(options);
    const running = schedules.get(key);
    if (running) {
      offered.set(key, options);
      running.change(options);
      return;
    }
    schedules.set(key, new Schedule(parts, options, await entryOf(options)));
    offered.set(key, options);
  };

  /** What is stored already goes on where it was; what another node stores at this moment counts too. */
  const entryOf = async (options: ScheduleOptions): Promise<ScheduleEntry> => {
    const { app, fn, spec, calendar } = options;
    const dueMs = calendar.next(clock.now()) ?? null;
    const fresh = { app, fn, spec, dueMs, tick: null, notBeforeMs: null };
    await store.write(fresh, 0);
    return (await store.read(keyOf(options)))?.entry ?? fresh;
  };

  const resume = async (): Promise<void> => {
    for (const [key, options] of offered) schedules.get(key)?.resume(await entryOf(options));
  };
  shared?.onOwned(() => {
    resume().catch((error) => {
      const message =
        'Schedules that this node has taken over could not be read; they are looked at when they are due.';
      signal('platform.log', { level: 'error', room: 'functions', message, error });
    });
  });

  const apply = async (app: string, functions: readonly FunctionManifest[]): Promise<void> => {
    const wanted = new Map(timedTriggers(app, functions).map((options) => [keyOf(options), options]));
    const stored = (await store.ofApp(app)).map(({ entry }) => keyOf(entry));
    const here = [...offered].flatMap(([key, options]) => (options.app === app ? [key] : []));
    const gone = [...new Set([...stored, ...here])].filter((key) => !wanted.has(key));
    const stopping = gone.map((key) => schedules.get(key)?.stop());
    for (const key of gone) {
      schedules.delete(key);
      offered.delete(key);
    }
    await store.remove(gone);
    await Promise.all(stopping);
    for (const options of wanted.values()) await begin(options);
  };

  return {
    name: 'schedules',
    deployable: {
      kind: 'schedules',
      plan: async (current, next) => planSchedules(current, next),
      prepare: async () => undefined,
      activate: (current, next) => apply((next ?? current)!.app, next?.manifest.functions ?? []),
      abandon: async () => undefined,
    },
    list: () => [...schedules.values()].map(({ status }) => status),
    idle,
    get retryWaits() {
      return [...schedules.values()].some((schedule) => schedule.retryWaits);
    },
    start: async () => shared?.start(),
    refuse() {
      refusing = true;
    },
    async stop() {
      refusing = true;
      await Promise.all([...schedules.values()].map((schedule) => schedule.stop()));
      await shared?.stop();
    },
  };
}

function specOf(trigger: Timed): string {
  return trigger.kind === 'every'
    ? `every ${trigger.everyMs}`
    : `cron ${trigger.expression} ${trigger.timezone}`;
}

function calendarOf(trigger: Timed): Calendar {
  return trigger.kind === 'every'
    ? intervalCalendar(trigger.everyMs)
    : cronCalendar(trigger.expression, trigger.timezone);
}

function timed(fn: FunctionManifest): Timed[] {
  return fn.triggers.filter(({ kind }) => kind === 'every' || kind === 'cron') as Timed[];
}

function timedTriggers(app: string, functions: readonly FunctionManifest[]): ScheduleOptions[] {
  return functions.flatMap((fn) =>
    timed(fn).map((trigger) => ({
      app,
      fn: fn.name,
      spec: specOf(trigger),
      calendar: calendarOf(trigger),
      retry: fn.retry,
    })),
  );
}

function planSchedules(current: AppVersion | undefined, next: AppVersion | undefined): PlannedChange[] {
  const named = (version: AppVersion | undefined): Map<string, Timed> =>
    new Map(
      (version?.manifest.functions ?? []).flatMap((fn) =>
        timed(fn).map((trigger) => [`schedule/${fn.name} ${specOf(trigger)}`, trigger] as const),
      ),
    );
  const before = named(current);
  const after = named(next);
  const changes = [...after].map(([resource, trigger]): PlannedChange => {
    const refusal = refusalOf(trigger);
    const action = before.has(resource) ? 'keep' : 'create';
    return { resource, action, details: [], ...(refusal === undefined ? {} : { refusal }) };
  });
  const gone = [...before.keys()].filter((resource) => !after.has(resource));
  return [
    ...changes,
    ...gone.map((resource): PlannedChange => ({ resource, action: 'remove', details: [] })),
  ];
}

function refusalOf(trigger: Timed): string | undefined {
  try {
    calendarOf(trigger);
    return undefined;
  } catch (error) {
    return `${specOf(trigger)} cannot be a schedule: ${(error as Error).message}`;
  }
}

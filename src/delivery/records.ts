import type { Json, StateEntry, StateOperation, StateStore } from '../kernel/index.ts';

/** The state of an app as it should be. */
export interface AppRecord {
  readonly app: string;
  /** Null after the app was removed; its history stays. */
  readonly active: string | null;
  /** Grows with every deployment. */
  readonly sequence: number;
}

/** One deployment in an app's history. */
export interface VersionRecord {
  readonly sequence: number;
  /** Null: the app was removed. */
  readonly version: string | null;
  readonly action: 'deploy' | 'rollback' | 'remove';
  readonly timeMs: number;
  readonly by: string;
}

/**
 * A deployment under way. Until the step is `activate` it can be undone, and recovery undoes it; from then on it is what
 * the app should be, and recovery finishes it.
 */
export interface Journal {
  readonly id: string;
  readonly app: string;
  readonly step: 'prepare' | 'activate';
  readonly from: string | null;
  readonly to: string | null;
  readonly entry: VersionRecord;
}

/** What delivery keeps in the StateStore. */
export interface Records {
  apps(): Promise<readonly AppRecord[]>;
  app(name: string): Promise<{ readonly record: AppRecord; readonly version: number } | undefined>;
  /** Newest first. */
  history(app: string): Promise<readonly VersionRecord[]>;
  journals(): Promise<readonly Journal[]>;
  begin(journals: readonly Journal[]): Promise<void>;
  /** In one transaction: each app is what its journal says, its history has it, its journal is at `activate`. */
  commit(changes: readonly { readonly journal: Journal; readonly expected: number }[]): Promise<void>;
  end(app: string): Promise<void>;
  forget(app: string, entries: readonly VersionRecord[]): Promise<void>;
}

const APPS = 'delivery.apps';
const HISTORY = 'delivery.history';
const JOURNAL = 'delivery.journal';
const PAGE = 1000;

/** Names of apps have no '/', and sequences sort as text. */
const historyKey = (app: string, sequence: number): string => `${app}/${String(sequence).padStart(12, '0')}`;
const put = (table: string, key: string, value: object): StateOperation => ({
  kind: 'put',
  table,
  key,
  value: value as unknown as Json,
});

async function listAll(state: StateStore, table: string): Promise<readonly StateEntry[]> {
  const entries: StateEntry[] = [];
  for (let after: string | undefined; ; ) {
    const page = await state.list(table, { limit: PAGE, ...(after === undefined ? {} : { after }) });
    entries.push(...page);
    after = page.at(-1)?.key;
    if (page.length < PAGE) return entries;
  }
}

export function createRecords(state: StateStore): Records {
  return {
    apps: async () => (await listAll(state, APPS)).map((entry) => entry.value as unknown as AppRecord),
    async app(name) {
      const entry = await state.get(APPS, name);
      return entry && { record: entry.value as unknown as AppRecord, version: entry.version };
    },
    async history(app) {
      const entries = await state.list(HISTORY, { prefix: `${app}/`, reverse: true, limit: PAGE });
      return entries.map((entry) => entry.value as unknown as VersionRecord);
    },
    journals: async () => (await listAll(state, JOURNAL)).map((entry) => entry.value as unknown as Journal),
    begin: (journals) => state.transact(journals.map((journal) => put(JOURNAL, journal.app, journal))),
    commit: (changes) =>
      state.transact(
        changes.flatMap(({ journal, expected }): StateOperation[] => {
          const { app, to, entry } = journal;
          const record = { app, active: to, sequence: entry.sequence };
          return [
            { kind: 'put', table: APPS, key: app, value: record, expect: expected },
            put(HISTORY, historyKey(app, entry.sequence), entry),
            put(JOURNAL, app, { ...journal, step: 'activate' }),
          ];
        }),
      ),
    end: (app) => state.transact([{ kind: 'delete', table: JOURNAL, key: app }]),
    async forget(app, entries) {
      if (entries.length === 0) return;
      await state.transact(
        entries.map((entry) => ({ kind: 'delete', table: HISTORY, key: historyKey(app, entry.sequence) })),
      );
    },
  };
}

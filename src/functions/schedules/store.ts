import { isMillraceError, type Json, type StateStore } from '../../kernel/index.ts';

/** One trigger of one function: what is due next, and what has been tried of it. */
export interface ScheduleEntry {
  readonly app: string;
  readonly fn: string;
  /** The trigger as text; another text is another schedule. */
  readonly spec: string;
  /** Null: the calendar has come to its end. */
  readonly dueMs: number | null;
  /** The tick that is being tried, once the first attempt has begun. */
  readonly tick: { readonly scheduledMs: number; readonly missed: number; readonly attempts: number } | null;
  /** Not before: the pause before the next attempt. */
  readonly notBeforeMs: number | null;
}

export interface StoredEntry {
  readonly entry: ScheduleEntry;
  readonly version: number;
}

const TABLE = 'schedules';

export const keyOf = ({ app, fn, spec }: Pick<ScheduleEntry, 'app' | 'fn' | 'spec'>): string =>
  `${app}/${fn}/${spec}`;

export interface ScheduleStore {
  read(key: string): Promise<StoredEntry | undefined>;
  ofApp(app: string): Promise<StoredEntry[]>;
  /** False when the entry changed since `expect` (0: was absent): another node was there. */
  write(entry: ScheduleEntry, expect: number): Promise<boolean>;
  remove(keys: readonly string[]): Promise<void>;
}

export function createScheduleStore(state: StateStore): ScheduleStore {
  return {
    async read(key) {
      const found = await state.get(TABLE, key);
      return found && { entry: found.value as unknown as ScheduleEntry, version: found.version };
    },
    async ofApp(app) {
      const entries: StoredEntry[] = [];
      const prefix = `${app}/`;
      for (let after: string | undefined; ; ) {
        const page = await state.list(TABLE, { prefix, ...(after === undefined ? {} : { after }) });
        for (const { value, version } of page) {
          entries.push({ entry: value as unknown as ScheduleEntry, version });
        }
        if (page.length === 0) return entries;
        after = page.at(-1)!.key;
      }
    },
    async write(entry, expect) {
      try {
        const value = entry as unknown as Json;
        await state.transact([{ kind: 'put', table: TABLE, key: keyOf(entry), value, expect }]);
        return true;
      } catch (error) {
        if (isMillraceError(error, 'STATE_CONFLICT')) return false;
        throw error;
      }
    },
    async remove(keys) {
      if (keys.length === 0) return;
      await state.transact(keys.map((key) => ({ kind: 'delete', table: TABLE, key })));
    },
  };
}

import { createHash } from 'node:crypto';
import { isMillraceError, type Json, type StateOperation, type StateStore } from '../../kernel/index.ts';
import type { SchemaReference, SchemaType } from './types.ts';

/**
 * The registry in the state store.
 *
 * R1 An id is given once and means one schema for ever: `registry-schemas` by id, `registry-ids` by the hash of a schema, and the next id
 *    change in one transaction.
 * R2 A subject with its versions is one document: two registrations that meet are told by its version, and the later looks again.
 */
const SUBJECTS = 'registry-subjects';
const SCHEMAS = 'registry-schemas';
const IDS = 'registry-ids';
const SETTINGS = 'registry-settings';
const GLOBAL = 'global';
const PAGE = 1000;
const TRIES = 20;

export interface StoredSchema {
  readonly type: SchemaType;
  readonly text: string;
  readonly references: readonly SchemaReference[];
}

export interface StoredVersion {
  readonly version: number;
  readonly id: number;
  readonly deleted: boolean;
}

export interface Settings {
  readonly compatibility?: string;
  readonly normalize?: boolean;
  readonly mode?: string;
}

export interface StoredSubject extends Settings {
  readonly versions: readonly StoredVersion[];
}

interface GlobalSettings extends Settings {
  readonly nextId?: number;
}

export interface SchemaAt {
  readonly schema: StoredSchema;
  /** The text that two equal schemas share. */
  readonly identity: string;
}

export interface RegistryStore {
  subject(name: string): Promise<StoredSubject | undefined>;
  /** In the order of their names. */
  subjects(): Promise<readonly (StoredSubject & { readonly name: string })[]>;
  schema(id: number): Promise<StoredSchema | undefined>;
  schemas(): Promise<readonly (StoredSchema & { readonly id: number })[]>;
  idOf(schema: SchemaAt): Promise<number | undefined>;
  settings(): Promise<Settings>;
  changeSettings(change: (before: Settings) => Settings): Promise<void>;
  /** Tries again when somebody else came in between; undefined from `change` removes the subject. */
  changeSubject(
    name: string,
    change: (
      before: StoredSubject | undefined,
    ) => Promise<StoredSubject | undefined> | StoredSubject | undefined,
  ): Promise<void>;
  /**
   * Adds a version with this schema, under the id that it has or a new one. `next` sees the subject as it is and gives the version to
   * add, or undefined to leave all as it is. Resolves to the id.
   */
  addVersion(
    name: string,
    schema: SchemaAt,
    next: (before: StoredSubject | undefined, id: number) => Promise<number | undefined>,
    wantedId?: number,
  ): Promise<number>;
}

const idKey = (id: number): string => String(id).padStart(10, '0');

function hashOf({ schema: { type, references }, identity }: SchemaAt): string {
  const refs = references.map(({ name, subject, version }) => [name, subject, version]);
  return createHash('sha256')
    .update(JSON.stringify([type, identity, refs]))
    .digest('hex');
}

const json = (value: object): Json => JSON.parse(JSON.stringify(value)) as Json;

export function createRegistryStore(state: StateStore): RegistryStore {
  const read = async <Value>(
    table: string,
    key: string,
  ): Promise<{ value: Value | undefined; version: number }> => {
    const entry = await state.get(table, key);
    return { value: entry?.value as Value | undefined, version: entry?.version ?? 0 };
  };

  const all = async <Value>(table: string): Promise<[string, Value][]> => {
    const found: [string, Value][] = [];
    for (let after: string | undefined; ; ) {
      const page = await state.list(table, { limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const { key, value } of page) found.push([key, value as Value]);
      if (page.length < PAGE) return found;
      after = page.at(-1)!.key;
    }
  };

  const again = async <Result>(attempt: () => Promise<Result>): Promise<Result> => {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        if (tries === TRIES || !isMillraceError(error, 'STATE_CONFLICT')) throw error;
      }
    }
  };

  const put = (table: string, key: string, value: object, expect: number): StateOperation => ({
    kind: 'put',
    table,
    key,
    value: json(value),
    expect,
  });

  const newId = async (schema: SchemaAt, wanted: number | undefined) => {
    const global = await read<GlobalSettings>(SETTINGS, GLOBAL);
    const nextId = global.value?.nextId ?? 1;
    const id = wanted ?? nextId;
    const isThere = (await read(SCHEMAS, idKey(id))).value !== undefined;
    const operations = [
      put(SETTINGS, GLOBAL, { ...global.value, nextId: Math.max(nextId, id + 1) }, global.version),
      ...(isThere && wanted !== undefined ? [] : [put(SCHEMAS, idKey(id), schema.schema, 0)]),
    ];
    return { id, operations };
  };

  return {
    subject: async (name) => (await read<StoredSubject>(SUBJECTS, name)).value,
    subjects: async () =>
      (await all<StoredSubject>(SUBJECTS)).map(([name, subject]) => ({ ...subject, name })),
    schema: async (id) => (await read<StoredSchema>(SCHEMAS, idKey(id))).value,
    schemas: async () =>
      (await all<StoredSchema>(SCHEMAS)).map(([key, schema]) => ({ ...schema, id: Number(key) })),
    idOf: async (schema) => (await read<{ id: number }>(IDS, hashOf(schema))).value?.id,
    settings: async () => (await read<GlobalSettings>(SETTINGS, GLOBAL)).value ?? {},
    changeSettings: (change) =>
      again(async () => {
        const { value, version } = await read<GlobalSettings>(SETTINGS, GLOBAL);
        const { nextId, ...before } = value ?? {};
        const after = { ...change(before), ...(nextId === undefined ? {} : { nextId }) };
        await state.transact([put(SETTINGS, GLOBAL, after, version)]);
      }),
    changeSubject: (name, change) =>
      again(async () => {
        const { value, version } = await read<StoredSubject>(SUBJECTS, name);
        const after = await change(value);
        if (after) await state.transact([put(SUBJECTS, name, after, version)]);
        else if (value)
          await state.transact([{ kind: 'delete', table: SUBJECTS, key: name, expect: version }]);
      }),
    addVersion: (name, schema, next, wantedId) =>
      again(async () => {
        const { value, version: stamp } = await read<StoredSubject>(SUBJECTS, name);
        const hash = hashOf(schema);
        const known = await read<{ id: number }>(IDS, hash);
        const isNew = known.value === undefined || (wantedId !== undefined && wantedId !== known.value.id);
        const made = isNew ? await newId(schema, wantedId) : undefined;
        const id = made?.id ?? known.value!.id;
        const version = await next(value, id);
        if (version === undefined) return id;
        const versions = [...(value?.versions ?? []), { version, id, deleted: false }];
        const operations = [put(SUBJECTS, name, { ...value, versions }, stamp), ...(made?.operations ?? [])];
        if (known.value === undefined) operations.push(put(IDS, hash, { id }, 0));
        await state.transact(operations);
        return id;
      }),
  };
}

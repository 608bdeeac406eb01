import type { Json, JsonSchema, StateEntry, StateOperation, StateStore } from '../../kernel/index.ts';
import type { SchemaVersion } from '../service.ts';
import type { StreamSettings } from './settings.ts';

/** What is kept of a stream beside its topic in the log. `topicId` tells a topic made again under the same name. */
export interface StoredDefinition {
  readonly name: string;
  readonly topicId: string;
  readonly owner: string | undefined;
  readonly detached: boolean;
  readonly schemaVersion: number;
  readonly settings: StreamSettings;
}

const STREAMS = 'streams';
const SCHEMAS = 'stream-schemas';
const PAGE = 1000;

/** Versions sort as numbers; a name cannot hold a slash. */
const schemaKey = (name: string, version: number): string => `${name}/${String(version).padStart(10, '0')}`;

function toJson(definition: StoredDefinition): Json {
  // A member that is undefined has no place in JSON.
  return JSON.parse(JSON.stringify(definition)) as Json;
}

function fromJson(value: Json): StoredDefinition {
  const stored = value as unknown as StoredDefinition;
  const { owner, settings } = stored;
  return { ...stored, owner, settings: { ...settings, keyPath: settings.keyPath, schema: settings.schema } };
}

export interface Repository {
  load(): Promise<readonly StoredDefinition[]>;
  /** Writes the definition and, with it or not at all, a new schema version. */
  save(definition: StoredDefinition, schema?: SchemaVersion): Promise<void>;
  remove(name: string): Promise<void>;
  schemas(name: string): Promise<readonly SchemaVersion[]>;
}

export function createRepository(state: StateStore): Repository {
  const pages = async (table: string, prefix: string): Promise<StateEntry[]> => {
    const entries: StateEntry[] = [];
    for (let after: string | undefined; ; after = entries.at(-1)!.key) {
      const page = await state.list(table, {
        prefix,
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      });
      entries.push(...page);
      if (page.length < PAGE) return entries;
    }
  };
  return {
    load: async () => (await pages(STREAMS, '')).map(({ value }) => fromJson(value)),
    async save(definition, schema) {
      const operations: StateOperation[] = [
        { kind: 'put', table: STREAMS, key: definition.name, value: toJson(definition) },
      ];
      if (schema) {
        const key = schemaKey(definition.name, schema.version);
        operations.push({
          kind: 'put',
          table: SCHEMAS,
          key,
          value: schema as { [key: string]: Json } & SchemaVersion,
        });
      }
      await state.transact(operations);
    },
    async remove(name) {
      const schemas = await pages(SCHEMAS, `${name}/`);
      const entries = [{ table: STREAMS, key: name }, ...schemas.map(({ key }) => ({ table: SCHEMAS, key }))];
      await state.transact(entries.map((entry) => ({ kind: 'delete' as const, ...entry })));
    },
    schemas: async (name) =>
      (await pages(SCHEMAS, `${name}/`)).map(
        ({ value }) => value as { schema: JsonSchema } & Json as unknown as SchemaVersion,
      ),
  };
}

import type { StateStore, Workers } from '../../kernel/index.ts';
import type { Streams } from '../service.ts';
import { RegistryError, schemaNotFound, subjectNotFound, versionNotFound } from './errors.ts';
import { serializeSchema } from './formats.ts';
import { createJudge, type Judge } from './judge.ts';
import { createLinkedStreams, type LinkedStreams, nextVersion } from './linked.ts';
import type { Deleted, SchemaDraft, SchemaRegistry, SubjectVersion } from './service.ts';
import { createRegistrySettings } from './settings.ts';
import {
  createRegistryStore,
  type RegistryStore,
  type SchemaAt,
  type StoredSubject,
  type StoredVersion,
} from './store.ts';

export interface SchemaRegistryParts {
  readonly state: StateStore;
  readonly streams: Pick<Streams, 'list' | 'find' | 'schemaVersions'>;
  /** Read and compare large schemas; without them that happens where it is asked for. */
  readonly workers?: Workers;
}

export function createSchemaRegistry({ state, streams, workers }: SchemaRegistryParts): SchemaRegistry {
  const store = createRegistryStore(state);
  const linked = createLinkedStreams(streams, store);
  const judge = createJudge(store, workers);
  const settings = createRegistrySettings(store, linked);
  const registry = new SubjectRegistry(store, linked, judge, settings);
  return {
    ...settings,
    subjects: (options) => registry.subjects(options),
    versions: (subject, deleted) => registry.versions(subject, deleted),
    version: (subject, version, deleted) => registry.version(subject, version, deleted),
    register: (subject, draft, options) => registry.register(subject, draft, options),
    lookup: (subject, draft, options) => registry.lookup(subject, draft, options),
    deleteSubject: (subject, permanent) => registry.deleteSubject(subject, permanent),
    deleteVersion: (subject, version, permanent) => registry.deleteVersion(subject, version, permanent),
    schema: (id) => registry.schema(id),
    serialized: async (schema) => serializeSchema(await judge.resolve(schema)),
    placesOf: (id, deleted) => registry.placesOf(id, deleted),
    referencedBy: (subject, version) => registry.referencedBy(subject, version),
    problemsWith: (subject, draft, options) => registry.problemsWith(subject, draft, options),
  };
}

const counts = (deleted: Deleted) => (version: StoredVersion) =>
  deleted === 'with' || version.deleted === (deleted === 'only');

class SubjectRegistry {
  readonly #store: RegistryStore;
  readonly #linked: LinkedStreams;
  readonly #judge: Judge;
  readonly #settings: Pick<SchemaRegistry, 'config' | 'mode'>;

  constructor(
    store: RegistryStore,
    linked: LinkedStreams,
    judge: Judge,
    settings: Pick<SchemaRegistry, 'config' | 'mode'>,
  ) {
    this.#store = store;
    this.#linked = linked;
    this.#judge = judge;
    this.#settings = settings;
  }

  async subjects({ prefix = '', deleted = 'without' }: { prefix?: string; deleted?: Deleted } = {}) {
    await this.#linked.adopt();
    const all = await this.#store.subjects();
    return all
      .filter(({ name, versions }) => name.startsWith(prefix) && isListed(versions, deleted))
      .map(({ name }) => name);
  }

  async versions(subject: string, deleted: Deleted = 'without'): Promise<readonly number[]> {
    const found = (await this.#subject(subject)).versions.filter(counts(deleted));
    if (found.length === 0) throw subjectNotFound(subject);
    return found.map(({ version }) => version);
  }

  async version(subject: string, version: string, deleted: Deleted = 'without'): Promise<SubjectVersion> {
    const { versions } = await this.#subject(subject);
    return this.#load(subject, pick(subject, versions, version, deleted));
  }

  async register(
    subject: string,
    draft: SchemaDraft,
    options: { readonly normalize?: boolean; readonly id?: number; readonly version?: number } = {},
  ): Promise<number> {
    await this.#linked.adopt(subject);
    const { compatibility, normalize } = await this.#settings.config(subject, true);
    const mode = await this.#settings.mode(subject, true);
    const schema = await this.#judge.prepare(draft, options.normalize ?? normalize ?? false);
    if (mode === 'IMPORT') await this.#checkImport(schema, options);
    else if (options.id !== undefined)
      throw new RegistryError(42205, `Subject '${subject}' is not in import mode: an id cannot be chosen.`);
    const add = async (before: StoredSubject | undefined, id: number): Promise<number | undefined> => {
      const live = before?.versions.filter(counts('without')) ?? [];
      if (live.some((version) => version.id === id)) return undefined;
      if (mode === 'READONLY') throw new RegistryError(42205, `Subject '${subject}' is in read-only mode.`);
      if (mode === 'IMPORT') return freeVersion(subject, before, options.version);
      if (options.version !== undefined && options.version !== nextVersion(before))
        throw new RegistryError(42205, `Version ${options.version} is not next for subject '${subject}'.`);
      const problems = await this.#problems(subject, schema.schema, live, compatibility);
      if (problems.length > 0) throw incompatible(subject, problems);
      return nextVersion(before);
    };
    return this.#store.addVersion(subject, schema, add, mode === 'IMPORT' ? options.id : undefined);
  }

  async lookup(
    subject: string,
    draft: SchemaDraft,
    { normalize = false, deleted = 'without' }: { normalize?: boolean; deleted?: Deleted } = {},
  ): Promise<SubjectVersion> {
    const { versions } = await this.#subject(subject);
    const candidates = versions.filter(counts(deleted));
    if (candidates.length === 0) throw subjectNotFound(subject);
    const id = await this.#store.idOf(await this.#judge.prepare(draft, normalize));
    const found = candidates.findLast((version) => version.id === id);
    if (!found) throw schemaNotFound();
    return this.#load(subject, found);
  }

  async deleteSubject(subject: string, permanent: boolean): Promise<readonly number[]> {
    await this.#subject(subject);
    await this.#checkWritable(subject);
    let gone: readonly number[] = [];
    await this.#store.changeSubject(subject, async (before) => {
      const { versions, ...settings } = before ?? { versions: [] };
      if (versions.length === 0) throw subjectNotFound(subject);
      const live = versions.filter(counts('without'));
      if (permanent && live.length > 0) {
        const message = `Subject '${subject}' was not deleted first before being permanently deleted`;
        throw new RegistryError(40405, message);
      }
      if (!permanent && live.length === 0) {
        const message = `Subject '${subject}' was soft deleted. Set permanent=true to delete permanently`;
        throw new RegistryError(40404, message);
      }
      const leaving = permanent ? versions : live;
      for (const { version } of leaving) await this.#checkUnused(subject, version);
      gone = leaving.map(({ version }) => version);
      if (permanent) return undefined;
      return { ...settings, versions: versions.map((version) => ({ ...version, deleted: true })) };
    });
    return gone;
  }

  async deleteVersion(subject: string, given: string, permanent: boolean): Promise<number> {
    await this.#subject(subject);
    await this.#checkWritable(subject);
    let gone = 0;
    await this.#store.changeSubject(subject, async (before) => {
      if (!before || before.versions.length === 0) throw subjectNotFound(subject);
      const { version, deleted } = pick(subject, before.versions, given, 'with');
      if (deleted !== permanent) {
        const [number, what] = permanent
          ? ([40407, 'was not deleted first before being permanently deleted'] as const)
          : ([40406, 'was soft deleted. Set permanent=true to delete permanently'] as const);
        throw new RegistryError(number, `Subject '${subject}' Version ${version} ${what}`);
      }
      await this.#checkUnused(subject, version);
      gone = version;
      const versions = permanent
        ? before.versions.filter((each) => each.version !== version)
        : before.versions.map((each) => (each.version === version ? { ...each, deleted: true } : each));
      return versions.length === 0 ? undefined : { ...before, versions };
    });
    return gone;
  }

  async schema(id: number): Promise<SchemaDraft> {
    const found = await this.#store.schema(id);
    if (found) return found;
    throw new RegistryError(40403, `Schema ${id} not found`);
  }

  async placesOf(id: number, deleted: Deleted = 'without') {
    await this.schema(id);
    return (await this.#store.subjects()).flatMap(({ name, versions }) =>
      versions
        .filter((version) => version.id === id && counts(deleted)(version))
        .map(({ version }) => ({ subject: name, version })),
    );
  }

  async referencedBy(subject: string, given: string): Promise<readonly number[]> {
    const { versions } = await this.#subject(subject);
    const { version } = pick(subject, versions, given, 'with');
    return this.#referring(subject, version);
  }

  async problemsWith(
    subject: string,
    draft: SchemaDraft,
    { version, normalize = false }: { version?: string; normalize?: boolean } = {},
  ): Promise<readonly string[]> {
    await this.#linked.adopt(subject);
    const { schema } = await this.#judge.prepare(draft, normalize);
    const stored = await this.#store.subject(subject);
    const live = stored?.versions.filter(counts('without')) ?? [];
    if (version !== undefined && live.length === 0) throw subjectNotFound(subject);
    const { compatibility } = await this.#settings.config(subject, true);
    const against = version === undefined ? live : [pick(subject, live, version, 'without')];
    return this.#problems(subject, schema, against, compatibility);
  }

  /** A version that is adopted from a stream is there before it is looked at. */
  async #subject(subject: string): Promise<StoredSubject> {
    await this.#linked.adopt(subject);
    const found = await this.#store.subject(subject);
    if (!found || found.versions.length === 0) throw subjectNotFound(subject);
    return found;
  }

  async #load(subject: string, { version, id }: StoredVersion): Promise<SubjectVersion> {
    return { subject, version, id, ...(await this.schema(id)) };
  }

  async #problems(
    subject: string,
    schema: SchemaDraft,
    against: readonly StoredVersion[],
    level: Parameters<Judge['problems']>[2],
  ): Promise<readonly string[]> {
    const ofStream = this.#linked.level(subject) !== undefined;
    if (ofStream && schema.type !== 'JSON')
      return [`The subject belongs to a stream with a JSON Schema, which takes no ${schema.type} records.`];
    const earlier = await Promise.all(against.map(({ id }) => this.schema(id)));
    return this.#judge.problems(schema, earlier, level, ofStream ? 'stream' : 'strict');
  }

  async #checkImport({ schema }: SchemaAt, { id }: { readonly id?: number }): Promise<void> {
    const there = id === undefined ? undefined : await this.#store.schema(id);
    if (!there || (there.type === schema.type && there.text === schema.text)) return;
    throw new RegistryError(
      42205,
      `Overwrite new schema with id ${id} is not permitted: it means another schema.`,
    );
  }

  async #checkWritable(subject: string): Promise<void> {
    if ((await this.#settings.mode(subject, true)) === 'READONLY')
      throw new RegistryError(42205, `Subject '${subject}' is in read-only mode.`);
    if (this.#linked.level(subject) === undefined) return;
    const message = `Subject '${subject}' has the schema of a stream. Delete the stream, or take its schema from it first.`;
    throw new RegistryError(42205, message);
  }

  async #checkUnused(subject: string, version: number): Promise<void> {
    const [first] = await this.#referring(subject, version);
    if (first === undefined) return;
    const message = `One or more references exist to version ${version} of subject '${subject}', such as by the schema with id ${first}.`;
    throw new RegistryError(42206, message);
  }

  async #referring(subject: string, version: number): Promise<readonly number[]> {
    const referring = (await this.#store.schemas()).filter(({ references }) =>
      references.some((each) => each.subject === subject && each.version === version),
    );
    if (referring.length === 0) return [];
    const used = new Set(
      (await this.#store.subjects()).flatMap(({ versions }) =>
        versions.filter(counts('without')).map(({ id }) => id),
      ),
    );
    return referring.map(({ id }) => id).filter((id) => used.has(id));
  }
}

const isListed = (versions: readonly StoredVersion[], deleted: Deleted): boolean =>
  deleted === 'only'
    ? versions.length > 0 && versions.every((version) => version.deleted)
    : versions.some(counts(deleted));

/** Throws 42202 for what names no version, 40402 for one that is not there. */
function pick(
  subject: string,
  versions: readonly StoredVersion[],
  given: string,
  deleted: Deleted,
): StoredVersion {
  const candidates = versions.filter(counts(deleted));
  const isLatest = given === 'latest' || given === '-1';
  const number = /^\d{1,10}$/.test(given) ? Number(given) : 0;
  if (!isLatest && (number < 1 || number > 2 ** 31 - 1)) {
    const message = `The specified version '${given.slice(0, 50)}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"`;
    throw new RegistryError(42202, message);
  }
  if (candidates.length === 0) throw subjectNotFound(subject);
  const found = isLatest ? candidates.at(-1) : candidates.find(({ version }) => version === number);
  if (!found) throw versionNotFound(subject, given);
  return found;
}

function freeVersion(subject: string, before: StoredSubject | undefined, wanted: number | undefined): number {
  const version = wanted ?? nextVersion(before);
  if (!before?.versions.some((each) => each.version === version)) return version;
  throw new RegistryError(42205, `Version ${version} of subject '${subject}' is there already.`);
}

function incompatible(subject: string, problems: readonly string[]): RegistryError {
  const shown = problems.slice(0, 20).join('; ');
  return new RegistryError(
    409,
    `Schema being registered is incompatible with an earlier schema for subject "${subject}": ${shown}`,
  );
}

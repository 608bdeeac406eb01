import {
  type BlobStore,
  type Clock,
  canonicalJson,
  type Facts,
  isMillraceError,
  type Json,
  MillraceError,
  type ModelServing,
  type Service,
  type StateEntry,
  type StateOperation,
  type StateStore,
  sha256,
  sha256Aside,
} from '../../kernel/index.ts';
import { keyedMutex } from '../../streams/index.ts';
import type { ValueSpec } from '../tensor.ts';
import { describeBreaks } from './compatibility.ts';
import {
  checkAlias,
  checkModelName,
  checkTags,
  type DataReference,
  isNumber,
  isVersionId,
  type Lineage,
  type Measured,
  type Metrics,
  type ModelRecord,
  type Tags,
  type VersionRecord,
} from './records.ts';
import { createSearchIndex, type VersionPage, type VersionQuery } from './search.ts';

/** What is registered as a version. */
export interface VersionDraft {
  readonly bytes: Uint8Array;
  readonly serving: ModelServing;
  readonly by: string;
  readonly metrics?: Metrics;
  readonly tags?: Tags;
  readonly data?: DataReference;
  readonly lineage?: Lineage;
  readonly card?: string;
  readonly facts?: { readonly [name: string]: Json };
  /** Makes the model this app's own; without it the model keeps its owner. */
  readonly owner?: string;
  readonly description?: string;
}

/** What looking at the file found out. */
export interface Signature {
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  /** What ran it best when it was registered. */
  readonly measured?: Measured;
}

export interface AliasChange {
  /** A version, its number, or another alias; null removes the alias. */
  readonly version: string | null;
  readonly by: string;
  /** Takes a version whose inputs or outputs differ from those of the version that the alias names now. */
  readonly breaking?: boolean;
  readonly reason?: string;
}

/** Models, their versions and what these are for. Names and aliases are in memory; versions are read when asked for. */
export interface Registry extends Service {
  start(): Promise<void>;
  list(): readonly ModelRecord[];
  find(name: string): ModelRecord | undefined;
  /** Throws MODEL_NOT_FOUND. */
  require(name: string): ModelRecord;
  /** The same content again is the version that is there, with the facts it came with first. */
  register(name: string, draft: VersionDraft, signature: Signature): Promise<VersionRecord>;
  /** By version, number or alias; the alias `production` unless told. Throws MODEL_NOT_FOUND, VERSION_NOT_FOUND. */
  version(name: string, reference?: string): Promise<VersionRecord>;
  /** Newest first. */
  versions(
    name: string,
    page?: { readonly before?: number; readonly limit?: number },
  ): Promise<readonly VersionRecord[]>;
  /** Throws DATA_DAMAGED when the file is not what was registered. */
  bytes(version: VersionRecord): Promise<Uint8Array>;
  /** Throws MODEL_INCOMPATIBLE when users of the alias would notice the version. */
  checkAlias(name: string, alias: string, version: string): Promise<void>;
  setAlias(name: string, alias: string, change: AliasChange): Promise<ModelRecord>;
  /** Of the model, or of one of its versions. */
  setTags(name: string, version: string | undefined, tags: Tags): Promise<void>;
  /** Throws CONFLICT while an alias names it. */
  remove(name: string, version: string, by: string): Promise<void>;
  /** What an app declared and no longer does: the model stays, without an owner. */
  release(name: string, owner: string): Promise<void>;
  search(query: VersionQuery): Promise<VersionPage>;
}

export interface RegistryOptions {
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly facts: Facts;
  readonly clock: Clock;
}

/** What an alias is called that serves unless another is asked for. */
export const PRODUCTION = 'production';

const MODELS = 'models';
const VERSIONS = 'models.versions';
const NUMBERS = 'models.numbers';
const PAGE = 500;

const blobKey = (hash: string): string => `models/${hash}`;
const versionKey = (name: string, version: string): string => `${name}/${version}`;
const numberKey = (name: string, number: number): string => `${name}/${String(number).padStart(9, '0')}`;
const json = (value: object): Json => value as unknown as Json;

/** The version that this content has, whoever registers it. */
export function versionOf(fileHash: string, serving: ModelServing): string {
  return sha256(canonicalJson({ file: fileHash, serving })).slice(0, 16);
}

export function createRegistry({ state, blobs, facts, clock }: RegistryOptions): Registry {
  /** With the version of the entry in the store. */
  const models = new Map<string, { readonly record: ModelRecord; readonly entry: number }>();
  /** Of one model, so that the same content is registered once. */
  const oneByOne = keyedMutex();
  let index: Promise<ReturnType<typeof createSearchIndex>> | undefined;

  const reread = async (name: string): Promise<ModelRecord | undefined> => {
    const entry = await state.get(MODELS, name);
    if (!entry) return void models.delete(name);
    const record = entry.value as unknown as ModelRecord;
    models.set(name, { record, entry: entry.version });
    return record;
  };

  /** Changes a model's record, with what else belongs to the change, all or nothing; again when somebody was faster. */
  const change = async (
    name: string,
    make: (
      before: ModelRecord | undefined,
    ) => { readonly record: ModelRecord; readonly with?: readonly StateOperation[] } | undefined,
  ): Promise<ModelRecord | undefined> => {
    for (let attempt = 1; ; attempt++) {
      const before = models.get(name);
      const made = make(before?.record);
      if (!made) return before?.record;
      const put: StateOperation = {
        kind: 'put',
        table: MODELS,
        key: name,
        value: json(made.record),
        expect: before?.entry ?? 0,
      };
      try {
        await state.transact([put, ...(made.with ?? [])]);
        return await reread(name);
      } catch (error) {
        if (!isMillraceError(error, 'STATE_CONFLICT') || attempt === 10) throw error;
        await reread(name);
      }
    }
  };

  const require = (name: string): ModelRecord => {
    const found = models.get(name);
    if (found) return found.record;
    const message = `There is no model '${name.slice(0, 200)}'. 'millrace ls' lists what there is; deploy an app with it, or upload a version to POST /models/{name}/versions.`;
    throw new MillraceError('MODEL_NOT_FOUND', message);
  };

  const idOf = async (record: ModelRecord, reference: string): Promise<string> => {
    if (isVersionId(reference)) return reference;
    if (isNumber(reference)) {
      const entry = await state.get(NUMBERS, numberKey(record.name, Number(reference)));
      if (entry) return entry.value as string;
    }
    const found = Object.hasOwn(record.aliases, reference) ? record.aliases[reference] : undefined;
    if (found !== undefined) return found;
    throw noVersion(record, reference);
  };

  const read = async (name: string, version: string): Promise<VersionRecord | undefined> =>
    (await state.get(VERSIONS, versionKey(name, version)))?.value as unknown as VersionRecord | undefined;

  const version = async (name: string, reference: string = PRODUCTION): Promise<VersionRecord> => {
    const record = require(name);
    const found = await read(name, await idOf(record, reference));
    if (!found) throw noVersion(record, reference);
    return found;
  };

  const tell = (type: string, name: string, fact: { readonly [field: string]: Json }): Promise<void> =>
    facts.record('millrace.models', name, { type, model: name, ...fact });

  const searchable = (): Promise<ReturnType<typeof createSearchIndex>> => (index ??= buildIndex(state));

  const register = async (
    name: string,
    draft: VersionDraft,
    signature: Signature,
  ): Promise<VersionRecord> => {
    const fileHash = await sha256Aside(draft.bytes);
    const id = versionOf(fileHash, draft.serving);
    const there = models.has(name) ? await read(name, id) : undefined;
    const stored = await blobs.info(blobKey(fileHash));
    // A file that was damaged is mended by registering it again.
    if (stored?.sha256 !== fileHash) await blobs.put(blobKey(fileHash), draft.bytes);
    let made: VersionRecord | undefined;
    await change(name, (before) => {
      if (draft.owner !== undefined && before?.owner != null && before.owner !== draft.owner)
        throw nameTaken(name, before.owner);
      const now = clock.now();
      const next = modelAfter(name, before, draft, now, there === undefined);
      if (there) return before && next.owner === before.owner ? undefined : { record: next };
      made = { ...recordOf(name, id, fileHash, draft, signature), number: next.latest, createdMs: now };
      return {
        record: next,
        with: [
          { kind: 'put', table: VERSIONS, key: versionKey(name, id), value: json(made), expect: 0 },
          { kind: 'put', table: NUMBERS, key: numberKey(name, next.latest), value: id },
        ],
      };
    });
    if (!made) return (await read(name, id))!;
    (await index)?.add(made);
    const { metrics, by, number } = made;
    await tell('model.registered', name, { version: id, number, by, metrics, sha256: fileHash });
    return made;
  };

  return {
    name: 'models registry',
    async start() {
      for await (const entry of entriesOf(state, MODELS)) {
        models.set(entry.key, { record: entry.value as unknown as ModelRecord, entry: entry.version });
      }
    },
    list: () => [...models.values()].map(({ record }) => record).sort((a, b) => (a.name < b.name ? -1 : 1)),
    find: (name) => models.get(name)?.record,
    require,
    version,
    async register(name, draft, signature) {
      checkModelName(name);
      checkTags(draft.tags ?? {});
      return oneByOne(name, () => register(name, draft, signature));
    },
    async versions(name, { before, limit = 50 } = {}) {
      const record = require(name);
      const from = Math.min(before ?? record.latest + 1, record.latest + 1);
      const numbers = await state.list(NUMBERS, {
        prefix: `${name}/`,
        reverse: true,
        after: numberKey(name, from),
        limit: Math.min(limit, 1000),
      });
      const found = await Promise.all(numbers.map((entry) => read(name, entry.value as string)));
      return found.filter((each) => each !== undefined);
    },
    async bytes(found) {
      const bytes = await blobs.get(blobKey(found.sha256));
      if ((await sha256Aside(bytes)) === found.sha256) return bytes;
      const message = `The file of version ${found.version} of '${found.model}' is damaged. Register it again from its source.`;
      throw new MillraceError('DATA_DAMAGED', message);
    },
    async checkAlias(name, alias, reference) {
      const from = require(name).aliases[alias];
      const current = from === undefined ? undefined : await read(name, from);
      if (current) refuseBreaks(name, alias, current, await version(name, reference));
    },
    async setAlias(name, alias, { version: reference, by, breaking = false, reason }) {
      checkAlias(alias);
      const record = require(name);
      const next = reference === null ? null : await version(name, reference);
      const from = record.aliases[alias] ?? null;
      if (next && from !== null && from !== next.version && !breaking) {
        const current = await read(name, from);
        if (current) refuseBreaks(name, alias, current, next);
      }
      const changed = await change(name, (before) => {
        const { [alias]: named, ...others } = before!.aliases;
        if (named === next?.version) return undefined;
        const aliases = next === null ? others : { ...others, [alias]: next.version };
        return { record: { ...before!, aliases, updatedMs: clock.now() } };
      });
      if (from !== (next?.version ?? null)) {
        const to = next?.version ?? null;
        await tell('model.alias', name, { alias, from, to, by, ...(reason === undefined ? {} : { reason }) });
      }
      return changed!;
    },
    async setTags(name, reference, tags) {
      checkTags(tags);
      if (reference === undefined) {
        require(name);
        await change(name, (before) => ({ record: { ...before!, tags, updatedMs: clock.now() } }));
        return;
      }
      const found = await version(name, reference);
      const key = versionKey(name, found.version);
      await state.transact([{ kind: 'put', table: VERSIONS, key, value: json({ ...found, tags }) }]);
      (await index)?.setTags(name, found.version, tags);
    },
    async remove(name, reference, by) {
      const found = await version(name, reference);
      const named = Object.entries(require(name).aliases).find(([, each]) => each === found.version);
      if (named) {
        const message = `The alias '${named[0]}' names version ${found.version} of '${name}'. Point it elsewhere first.`;
        throw new MillraceError('CONFLICT', message);
      }
      await state.transact([
        { kind: 'delete', table: VERSIONS, key: versionKey(name, found.version) },
        { kind: 'delete', table: NUMBERS, key: numberKey(name, found.number) },
      ]);
      (await index)?.remove(name, found.version);
      await tell('model.removed', name, { version: found.version, by });
    },
    async release(name, owner) {
      await change(name, (before) =>
        before?.owner === owner ? { record: { ...before, owner: null, updatedMs: clock.now() } } : undefined,
      );
    },
    search: async (query) => (await searchable()).find(query),
  };
}

function modelAfter(
  name: string,
  before: ModelRecord | undefined,
  draft: VersionDraft,
  nowMs: number,
  adds: boolean,
): ModelRecord {
  const base = before ?? {
    name,
    owner: null,
    description: '',
    tags: {},
    aliases: {},
    createdMs: nowMs,
    latest: 0,
  };
  return {
    ...base,
    owner: draft.owner ?? base.owner,
    description: draft.description ?? base.description,
    updatedMs: nowMs,
    latest: base.latest + (adds ? 1 : 0),
  };
}

function recordOf(
  model: string,
  version: string,
  fileHash: string,
  draft: VersionDraft,
  { inputs, outputs, measured }: Signature,
): Omit<VersionRecord, 'number' | 'createdMs'> {
  return {
    model,
    version,
    sha256: fileHash,
    bytes: draft.bytes.length,
    by: draft.by,
    serving: draft.serving,
    inputs,
    outputs,
    ...(measured === undefined ? {} : { measured }),
    metrics: draft.metrics ?? {},
    tags: draft.tags ?? {},
    ...(draft.data === undefined ? {} : { data: draft.data }),
    lineage: draft.lineage ?? {},
    card: draft.card ?? '',
    facts: draft.facts ?? {},
  };
}

function refuseBreaks(name: string, alias: string, current: VersionRecord, next: VersionRecord): void {
  const errors = describeBreaks(current, next);
  if (errors.length === 0) return;
  const message = `Version ${next.version} of '${name}' does not fit those who use '${alias}': ${errors.map((each) => each.message).join(' ')} Mend it, or say that the change is meant ("breaking": true).`;
  throw new MillraceError('MODEL_INCOMPATIBLE', message, { errors });
}

function noVersion({ name, aliases }: ModelRecord, reference: string): MillraceError {
  const named = Object.keys(aliases).join(', ');
  const hint = named === '' ? 'No alias is set yet' : `Aliases: ${named}`;
  return new MillraceError(
    'VERSION_NOT_FOUND',
    `The model '${name}' has no version '${reference.slice(0, 100)}'. ${hint}; GET /models/${name}/versions lists the versions.`,
  );
}

function nameTaken(name: string, owner: string): MillraceError {
  return new MillraceError(
    'NAME_TAKEN',
    `The model '${name}' belongs to the app '${owner}'. Choose another name.`,
  );
}

async function* entriesOf(state: StateStore, table: string): AsyncGenerator<StateEntry> {
  for (let after: string | undefined; ; ) {
    const page = await state.list(table, { limit: PAGE, ...(after === undefined ? {} : { after }) });
    yield* page;
    after = page.at(-1)?.key;
    if (page.length < PAGE) return;
  }
}

/** Versions in the order of their registration; each page leaves the thread to others. */
async function buildIndex(state: StateStore): Promise<ReturnType<typeof createSearchIndex>> {
  const records: VersionRecord[] = [];
  for await (const entry of entriesOf(state, VERSIONS)) records.push(entry.value as unknown as VersionRecord);
  records.sort((a, b) => a.createdMs - b.createdMs);
  const built = createSearchIndex();
  for (const [at, record] of records.entries()) {
    built.add(record);
    if (at % 32 === 31) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return built;
}

import { isMillraceError, MillraceError } from '../../kernel/index.ts';
import { KeyedState } from '../coordination/index.ts';
import type { StateView, StateWrite, TopicAdmin, TopicPartition } from '../port.ts';
import { type BatchRecord, decodeBatches, encodeBatch } from '../record-batch/index.ts';
import type { Prepared } from './appender.ts';
import type { Core } from './core.ts';

/**
 * Keyed state of groups: a view in memory of a compacted changelog topic, `millrace.state.<group>.<store>`.
 *
 * K1 A write is a record of the changelog in the same frame as the commit that it is part of; the view shows it afterwards.
 * K2 A view that is not there is restored from the changelog up to its end before anyone sees it.
 */
export interface StateStores {
  view(group: string, store: string, partition: number): Promise<StateView>;
  /** Makes the changelogs that the writes need; undefined when all are there. */
  prepare(group: string, writes: readonly PlaceWrites[]): Promise<void> | undefined;
  /** The changelog batches of the writes, one per store and partition. */
  encode(group: string, writes: readonly PlaceWrites[]): Prepared[];
  apply(group: string, writes: readonly PlaceWrites[]): void;
  forget(group: string): void;
}

const EXPIRES_HEADER = 'expires';
const READ_BYTES = 1024 * 1024;

class ChangelogStates implements StateStores {
  readonly #topicAdmin: TopicAdmin;
  readonly #core: Core;
  readonly #views = new Map<string, KeyedState>();
  /** Names of changelogs by group and store: making one is slower than a commit should be. */
  readonly #names = new Map<string, string>();

  constructor(core: Core, topicAdmin: TopicAdmin) {
    this.#topicAdmin = topicAdmin;
    this.#core = core;
  }

  readonly #changelogName = (group: string, store: string): string => {
    const key = `${group}\n${store}`;
    let name = this.#names.get(key);
    if (name === undefined) this.#names.set(key, (name = changelogName(group, store)));
    return name;
  };

  readonly #keyOf = (group: string, store: string, partition: number): string =>
    `${group}\n${store}\n${partition}`;

  readonly #isThere = (group: string, store: string, partition: number): boolean =>
    (this.#core.topics.find(this.#changelogName(group, store))?.partitions.length ?? 0) > partition;

  readonly #ensure = async (group: string, store: string, partition: number): Promise<void> => {
    const name = this.#changelogName(group, store);
    const needed = Math.max(partition + 1, partitionsOf(this.#core, group));
    const found = this.#core.topics.find(name);
    if (found && found.partitions.length > partition) return;
    if (found) {
      await this.#topicAdmin.alter(name, { partitions: needed });
      return;
    }
    const config = { cleanup: 'compact', retentionMs: null } as const;
    await this.#topicAdmin.create({ name, partitions: needed, internal: true, config }).catch((error) => {
      // Two commits at once: one of them made it.
      if (!isMillraceError(error, 'STREAM_EXISTS')) throw error;
    });
  };

  /** Enters the view under `key` in the turn that reached the end: a commit that settles after it finds it there (K1). */
  readonly #restore = async (key: string, place: TopicPartition): Promise<KeyedState> => {
    const view = new KeyedState(this.#core.clock);
    const partition = this.#core.topics.partition(place);
    let offset = partition.logStart;
    while (offset < partition.durableEnd) {
      const { batches } = await this.#core.reader.fetch(partition, {
        ...place,
        offset,
        maxBytes: READ_BYTES,
      });
      if (batches.length === 0) break; // the rest was compacted away
      for (const record of decodeBatches(batches)) {
        offset = Math.max(offset, record.offset + 1);
        const expires = record.headers.find((header) => header.key === EXPIRES_HEADER)?.value;
        view.apply({
          key: record.key ?? new Uint8Array(0),
          value: record.value,
          ...(expires ? { expiresAtMs: Number(new TextDecoder().decode(expires)) } : {}),
        });
      }
    }
    this.#views.set(key, view);
    return view;
  };

  readonly view: StateStores['view'] = (group, store, partition) =>
    this.#core.mutex(`state ${this.#keyOf(group, store, partition)}`, async () => {
      const key = this.#keyOf(group, store, partition);
      const known = this.#views.get(key);
      if (known) return known;
      await this.#ensure(group, store, partition);
      return this.#restore(key, { topic: this.#changelogName(group, store), partition });
    });

  readonly prepare: StateStores['prepare'] = (group, writes) => {
    const missing = writes.filter(({ store, partition }) => !this.#isThere(group, store, partition));
    if (missing.length === 0) return undefined;
    return (async () => {
      for (const { store, partition } of missing) await this.#ensure(group, store, partition);
    })();
  };

  readonly encode: StateStores['encode'] = (group, writes) => {
    return writes.map(({ store, partition, writes: some }) => {
      const batch = encodeBatch(some.map(changelogRecord), { timeMs: this.#core.clock.now() });
      const topic = this.#changelogName(group, store);
      return this.#core.appender.prepare({ topic, partition, batch, trusted: true });
    });
  };

  readonly apply: StateStores['apply'] = (group, writes) => {
    for (const { store, partition, writes: some } of writes) {
      const view = this.#views.get(this.#keyOf(group, store, partition));
      if (view) for (const write of some) view.apply(write);
    }
  };

  readonly forget: StateStores['forget'] = (group) => {
    for (const known of [this.#views, this.#names])
      for (const key of known.keys()) if (key.startsWith(`${group}\n`)) known.delete(key);
  };
}

export function createStateStores(core: Core, topicAdmin: TopicAdmin): StateStores {
  return new ChangelogStates(core, topicAdmin);
}

/** What one commit writes to one store in one partition. */
export interface PlaceWrites {
  readonly store: string;
  readonly partition: number;
  readonly writes: StateWrite[];
}

/** Writes come in runs of one place, and of few places in all. */
export function byPlace(writes: readonly StateWrite[]): PlaceWrites[] {
  const places: PlaceWrites[] = [];
  let place: PlaceWrites | undefined;
  for (const write of writes) {
    const { store, partition } = write;
    if (place?.store !== store || place.partition !== partition) {
      place = places.find((one) => one.store === store && one.partition === partition);
      if (!place) places.push((place = { store, partition, writes: [] }));
    }
    place.writes.push(write);
  }
  return places;
}

/** The write itself, which has the shape of a record, unless its time ends. */
function changelogRecord(write: StateWrite): BatchRecord {
  const { key, value, expiresAtMs } = write;
  return expiresAtMs === undefined ? write : { key, value, headers: [expiryHeader(expiresAtMs)] };
}

/** Throws BAD_REQUEST for a store that cannot be part of a name. */
function changelogName(group: string, store: string): string {
  const name = `millrace.state.${group}.${store}`.replaceAll(
    /[^A-Za-z0-9._-]/g,
    (character) => `_${character.codePointAt(0)!.toString(16)}_`,
  );
  if (name.length <= 249) return name;
  throw new MillraceError(
    'BAD_REQUEST',
    `The names of group '${group}' and store '${store}' are too long together. Shorten one.`,
  );
}

function partitionsOf(core: Core, group: string): number {
  const members = core.groups.find(group)?.members ?? [];
  const topics = new Set(members.flatMap((member) => member.partitions.map((one) => one.topic)));
  return Math.max(1, ...[...topics].map((topic) => core.topics.find(topic)?.partitions.length ?? 1));
}

function expiryHeader(expiresAtMs: number) {
  return { key: EXPIRES_HEADER, value: new TextEncoder().encode(String(expiresAtMs)) };
}

import { type Clock, type Json, MillraceError } from '../../kernel/index.ts';
import {
  type AppendInput,
  type AppendResult,
  type Assignment,
  type Commit,
  type CommitResult,
  DEFAULT_TOPIC_CONFIG,
  decodeBatches,
  encodeBatch,
  Groups,
  type LogStore,
  type Membership,
  type OffsetCommit,
  type PublishRecord,
  partitionOfKey,
  type ReadRecord,
  readBatchHeader,
  type StateView,
  type Streams,
  setBaseOffset,
  type TopicInfo,
} from '../../streams/index.ts';

/** What a test decides about a commit: let it be, throw, or fence it, before or after it took effect. */
export type CommitFault = 'none' | 'fail before' | 'fail after' | 'fence';

/**
 * The part of the streams room that consumers use, in memory and without its schemas, with commits that a test can make fail. The
 * promises that consumers rely on are kept: L4, L5, L8.
 */
export interface TestLog {
  readonly streams: Streams;
  /** Asked at every commit. */
  fault: (commit: Commit) => CommitFault;
  /** Called when a commit took effect. */
  onCommit: (commit: Commit) => void;
  /** How a commit's answer is held up. */
  latency: () => Promise<void>;
  /** Streams whose emits of this value are refused. */
  refuses: (stream: string, value: string) => boolean;
  commits: number;
  create(name: string, partitions: number): void;
  publish(name: string, records: readonly { key?: string | null; value: Json; partition?: number }[]): void;
  records(name: string): ReadRecord[];
  values(name: string): Json[];
  state(store: string, partition: number): Map<string, Json>;
  offsets(group: string): readonly OffsetCommit[];
}

interface Partition {
  batches: Uint8Array[];
  end: number;
}

interface Entry {
  readonly value: Uint8Array;
  readonly expiresAtMs?: number;
}

const latin1 = (key: Uint8Array): string => Buffer.from(key).toString('latin1');

export function createTestLog(clock: Clock): TestLog {
  const topics = new Map<string, { info: TopicInfo; partitions: Partition[] }>();
  const watchers = new Set<() => void>();
  const groups = new Groups(clock, (topic) => topics.get(topic)?.partitions.length);
  const positions = new Map<string, Map<string, OffsetCommit>>();
  const positionsOf = (group: string): Map<string, OffsetCommit> => {
    let found = positions.get(group);
    if (!found) positions.set(group, (found = new Map()));
    return found;
  };
  const states = new Map<string, Map<string, Entry>>();
  let memberCount = 0;

  const topicOf = (name: string) => {
    const topic = topics.get(name);
    if (!topic) throw new MillraceError('STREAM_NOT_FOUND', `There is no stream '${name}'.`);
    return topic;
  };
  const partitionOf = ({ topic, partition }: { topic: string; partition: number }): Partition =>
    topicOf(topic).partitions[partition]!;

  const append = (input: AppendInput): AppendResult => {
    const partition = partitionOf(input);
    const header = readBatchHeader(input.batch);
    const batch = input.batch.slice();
    setBaseOffset(batch, 0, partition.end);
    partition.batches.push(batch);
    const baseOffset = partition.end;
    partition.end += header.lastOffsetDelta + 1;
    queueMicrotask(() => {
      for (const watcher of watchers) watcher();
    });
    return {
      topic: input.topic,
      partition: input.partition,
      baseOffset,
      lastOffset: partition.end - 1,
      appendTimeMs: -1,
      logStartOffset: 0,
      duplicate: false,
    };
  };

  const view = (entries: Map<string, Entry>): StateView => {
    const live = (entry: Entry | undefined): Entry | undefined =>
      entry && (entry.expiresAtMs === undefined || entry.expiresAtMs > clock.now()) ? entry : undefined;
    return {
      get: (key) => live(entries.get(typeof key === 'string' ? key : latin1(key)))?.value,
      get size() {
        return entries.size;
      },
      *entries() {
        for (const [key, entry] of entries) yield { key: Buffer.from(key, 'latin1'), ...entry };
      },
    };
  };
  const entriesOf = (store: string, partition: number): Map<string, Entry> => {
    const id = `${store}/${partition}`;
    let entries = states.get(id);
    if (!entries) states.set(id, (entries = new Map()));
    return entries;
  };

  const takeEffect = (group: string, commit: Commit): AppendResult[] => {
    for (const offset of commit.offsets)
      positionsOf(group).set(`${offset.topic}/${offset.partition}`, offset);
    for (const { store, partition, key, value, ...rest } of commit.state) {
      if (value === null) entriesOf(store, partition).delete(latin1(key));
      else entriesOf(store, partition).set(latin1(key), { value, ...rest });
    }
    log.commits++;
    log.onCommit(commit);
    return commit.appends.map(append);
  };

  const join: LogStore['join'] = async (name, names, options = {}) => {
    for (const topic of names) topicOf(topic);
    const offsets = positionsOf(name);
    return groups.join(name, `member-${++memberCount}`, names, options, (share): Assignment => {
      let broken = false;
      return {
        ...share,
        async position({ topic, partition }) {
          const id = `${topic}/${partition}`;
          const offset = options.from === 'end' ? partitionOf({ topic, partition }).end : 0;
          if (!offsets.has(id)) offsets.set(id, { topic, partition, offset, done: [] });
          return offsets.get(id)!;
        },
        state: async (store, partition) => view(entriesOf(store, partition)),
        async commit(commit): Promise<CommitResult> {
          if (broken || !groups.holds(share)) return { status: 'FENCED' };
          const fault = log.fault(commit);
          if (fault !== 'none') broken = true;
          if (fault === 'fence') return { status: 'FENCED' };
          if (fault === 'fail before') throw new MillraceError('DISK_FULL', 'The disk is full.');
          const appends = takeEffect(name, commit);
          await log.latency();
          if (fault === 'fail after') throw new MillraceError('UNAVAILABLE', 'The answer was lost.');
          return { status: 'COMMITTED', appends };
        },
      };
    }) as Membership;
  };

  const topicAdmin: Pick<LogStore['topics'], 'create' | 'find'> = {
    create: async ({ name, partitions }) => {
      log.create(name, partitions);
      return topicOf(name).info;
    },
    find: (name) => topics.get(name)?.info,
  };
  const groupAdmin: Pick<LogStore['groups'], 'offsets'> = {
    offsets: (name, partitions = []) =>
      partitions.flatMap(({ topic, partition }) => positionsOf(name).get(`${topic}/${partition}`) ?? []),
  };
  const store: Pick<
    LogStore,
    'topics' | 'groups' | 'fetch' | 'watch' | 'bounds' | 'join' | 'append' | 'deleteRecords'
  > = {
    topics: topicAdmin as LogStore['topics'],
    groups: groupAdmin as LogStore['groups'],
    append: async (input) => append(input),
    // What was read stays here: nothing that these tests ask for depends on it.
    deleteRecords: async (_partition, offset) => offset,
    fetch: async ({ offset, maxBytes, ...where }) => {
      const partition = partitionOf(where);
      const taken: Uint8Array[] = [];
      let size = 0;
      for (const batch of partition.batches) {
        if (readBatchHeader(batch).lastOffset < offset) continue;
        if (size > 0 && size + batch.length > maxBytes) break;
        taken.push(batch);
        size += batch.length;
      }
      return { ...store.bounds(where), batches: Buffer.concat(taken), aborted: [] };
    },
    watch(_partitions, onAdvance) {
      watchers.add(onAdvance);
      return () => void watchers.delete(onAdvance);
    },
    bounds: (where) => {
      const { end } = partitionOf(where);
      return { logStartOffset: 0, lastStableOffset: end, highWatermark: end };
    },
    join,
  };

  const encode = async (name: string, records: readonly PublishRecord[]): Promise<AppendInput[]> => {
    const { partitions } = topicOf(name);
    const byPartition = new Map<number, PublishRecord[]>();
    for (const record of records) {
      const text = record.value instanceof Uint8Array ? Buffer.from(record.value).toString() : '';
      if (log.refuses(name, text)) throw new MillraceError('RECORD_INVALID', `'${text}' does not fit.`);
      const key = record.key === undefined ? undefined : Buffer.from(record.key);
      const partition = key ? partitionOfKey(key, partitions.length) : 0;
      byPartition.set(partition, [...(byPartition.get(partition) ?? []), record]);
    }
    return [...byPartition].map(([partition, group]) => ({
      topic: name,
      partition,
      trusted: true,
      batch: encodeBatch(
        group.map(({ key, value, headers }) => ({
          key: key === undefined ? null : Buffer.from(key),
          value: value as Uint8Array,
          ...(headers ? { headers } : {}),
        })),
        { timeMs: clock.now() },
      ),
    }));
  };

  const streams = {
    log: store,
    find: (name: string) => (topics.has(name) ? { name } : undefined),
    describe: (name: string) => ({ name, partitions: topicOf(name).partitions.length }),
    define: async ({ name, partitions = 1 }: { name: string; partitions?: number }) =>
      log.create(name, partitions),
    encode,
    read: async (
      where: { topic: string; partition: number },
      offset: number,
      { limit = 1000 }: { limit?: number } = {},
    ) => {
      const records = log
        .records(where.topic)
        .filter((record) => record.partition === where.partition && record.offset >= offset)
        .slice(0, limit);
      return { records, nextOffset: (records.at(-1)?.offset ?? offset - 1) + 1, ...store.bounds(where) };
    },
  } as unknown as Streams;

  const log: TestLog = {
    streams,
    fault: () => 'none',
    onCommit: () => {},
    latency: async () => {},
    refuses: () => false,
    commits: 0,
    create(name, partitions) {
      if (topics.has(name)) throw new MillraceError('STREAM_EXISTS', `'${name}' exists.`);
      topics.set(name, {
        info: { id: name, name, partitions, config: DEFAULT_TOPIC_CONFIG, createdMs: 0, internal: false },
        partitions: Array.from({ length: partitions }, () => ({ batches: [], end: 0 })),
      });
      groups.topicsChanged();
    },
    publish(name, records) {
      const count = topicOf(name).partitions.length;
      for (let partition = 0; partition < count; partition++) {
        const mine = records.filter(
          ({ key, partition: wanted }) =>
            (wanted ?? (key ? partitionOfKey(Buffer.from(key), count) : 0)) === partition,
        );
        if (mine.length === 0) continue;
        const batch = encodeBatch(
          mine.map(({ key, value }) => ({
            key: key == null ? null : Buffer.from(key),
            value: Buffer.from(JSON.stringify(value)),
          })),
          { timeMs: clock.now() },
        );
        append({ topic: name, partition, batch });
      }
    },
    records: (name) =>
      topics
        .get(name)
        ?.partitions.flatMap(({ batches }, partition) =>
          batches.flatMap((batch) =>
            decodeBatches(batch).map((record) => ({ topic: name, partition, ...record }) as ReadRecord),
          ),
        ) ?? [],
    values: (name) =>
      log.records(name).map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as Json),
    state: (store_, partition) =>
      new Map(
        [...view(entriesOf(store_, partition)).entries()].map(({ key, value }) => [
          Buffer.from(key).toString(),
          JSON.parse(Buffer.from(value).toString()) as Json,
        ]),
      ),
    offsets: (group) => [...positionsOf(group).values()],
  };
  return log;
}

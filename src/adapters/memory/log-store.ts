import {
  type Clock,
  createIds,
  type Ids,
  MillraceError,
  type Random,
  type Timer,
} from '../../kernel/index.ts';
import {
  checkBatch,
  checkPartitionCount,
  checkTopicName,
  createCommitOrder,
  Groups,
  KeyedState,
  mergeTopicConfig,
  type Share,
  type TransactionEnd,
  Transactions,
} from '../../streams/coordination/index.ts';
import type {
  AppendInput,
  AppendResult,
  Assignment,
  Commit,
  CommitResult,
  FetchRequest,
  FetchResult,
  GroupAdmin,
  JoinOptions,
  LogStore,
  Membership,
  PartitionBounds,
  Position,
  ProducerAdmin,
  TopicAdmin,
  TopicInfo,
  TopicPartition,
  VerifyReport,
} from '../../streams/port.ts';
import { PartitionLog } from './partition-log.ts';

/** How often retention and compaction run, by the store's clock. */
const CLEAN_EVERY_MS = 60_000;

export interface MemoryLogStore extends LogStore {
  /** Lets retention and compaction do now what is due. */
  maintain(): Promise<void>;
}

interface Topic {
  info: TopicInfo;
  readonly partitions: PartitionLog[];
}

interface Watcher {
  readonly partitions: readonly TopicPartition[];
  readonly onAdvance: () => void;
}

/**
 * The log in memory: simple rather than fast. Everything takes effect within one turn, so every call is atomic. Tests
 * of users run on it, and the log on disk is compared with it.
 */
export function memoryLogStore(options: { readonly clock: Clock; readonly random: Random }): MemoryLogStore {
  return new Store(options.clock, createIds(options.clock, options.random), options.random);
}

class Store implements MemoryLogStore {
  readonly name = 'log';
  readonly topics: TopicAdmin;
  readonly groups: GroupAdmin;
  readonly producers: ProducerAdmin;
  readonly #clock: Clock;
  readonly #ids: Ids;
  readonly #random: Random;
  readonly #topics = new Map<string, Topic>();
  readonly #groups: Groups;
  readonly #transactions = new Transactions();
  readonly #states = new Map<string, KeyedState>();
  readonly #watchers = new Set<Watcher>();
  readonly #advanced = new Set<PartitionLog>();
  #refusing = false;
  #cleaning: Timer | undefined;
  #timeout: Timer | undefined;

  constructor(clock: Clock, ids: Ids, random: Random) {
    this.#clock = clock;
    this.#ids = ids;
    this.#random = random;
    this.#groups = new Groups(clock, (topic) => this.#topics.get(topic)?.partitions.length);
    this.topics = this.#topicAdmin();
    this.groups = this.#groupAdmin();
    this.producers = this.#producerAdmin();
  }

  async start(): Promise<void> {
    this.#cleaning = this.#clock.after(CLEAN_EVERY_MS, () => {
      this.#clean();
      void this.start();
    });
  }

  refuse(): void {
    this.#refusing = true;
  }

  async stop(): Promise<void> {
    this.#refusing = true;
    this.#cleaning?.cancel();
    this.#timeout?.cancel();
    this.#groups.close();
  }

  async maintain(): Promise<void> {
    this.#clean();
  }

  async append(input: AppendInput): Promise<AppendResult> {
    this.#requireOpen();
    return this.#append(input).result;
  }

  async fetch(request: FetchRequest): Promise<FetchResult> {
    return this.#partition(request).fetch(request);
  }

  watch(partitions: readonly TopicPartition[], onAdvance: () => void): () => void {
    const watcher = { partitions, onAdvance };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  async offsetForTime(partition: TopicPartition, timeMs: number) {
    return this.#partition(partition).offsetForTime(timeMs);
  }

  async offsetForMaxTime(partition: TopicPartition) {
    return this.#partition(partition).offsetForMaxTime();
  }

  bounds(partition: TopicPartition): PartitionBounds {
    return this.#partition(partition).bounds();
  }

  async deleteRecords(partition: TopicPartition, offset: number): Promise<number> {
    this.#requireOpen();
    return this.#partition(partition).deleteRecords(offset);
  }

  async join(group: string, topics: readonly string[], options: JoinOptions = {}): Promise<Membership> {
    this.#requireOpen();
    const present = (share: Share): Assignment => this.#assignment(share, options.from ?? 'start');
    return this.#groups.join(group, this.#ids.next(), topics, options, present);
  }

  async verify(): Promise<VerifyReport> {
    const partitions = [...this.#topics.values()].flatMap((topic) => topic.partitions);
    const sum = (of: (partition: PartitionLog) => number): number =>
      partitions.reduce((total, partition) => total + of(partition), 0);
    return {
      topics: this.#topics.size,
      partitions: partitions.length,
      batches: sum((one) => one.counts.batches),
      records: sum((one) => one.counts.records),
      bytes: sum((one) => one.bytes),
      damages: [],
    };
  }

  #requireOpen(): void {
    if (this.#refusing)
      throw new MillraceError('UNAVAILABLE', 'The log is being stopped. Try again after its start.');
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic) return topic;
    throw new MillraceError(
      'STREAM_NOT_FOUND',
      `There is no stream '${name}'. Create it first, or check its name.`,
    );
  }

  #partition({ topic, partition }: TopicPartition): PartitionLog {
    const { partitions } = this.#topic(topic);
    const found = partitions[partition];
    if (found) return found;
    throw new MillraceError(
      'PARTITION_NOT_FOUND',
      `Stream '${topic}' has no partition ${partition}. It has ${partitions.length}, counted from 0.`,
    );
  }

  #append(input: AppendInput): { result: AppendResult; undo: () => void } {
    const partition = this.#partition(input);
    const { config } = this.#topic(input.topic).info;
    const header = checkBatch(input, config);
    const producer = { producerId: header.producerId, epoch: header.producerEpoch };
    if (header.transactional) this.#transactions.admit(producer, input);
    const appended = partition.append(input, header, config, this.#clock.now());
    this.#advance(partition);
    return appended;
  }

  #advance(partition: PartitionLog): void {
    if (this.#advanced.size === 0) setImmediate(() => this.#tellWatchers());
    this.#advanced.add(partition);
  }

  #tellWatchers(): void {
    const advanced = new Set([...this.#advanced].map(({ place }) => `${place.partition}/${place.topic}`));
    this.#advanced.clear();
    for (const watcher of [...this.#watchers]) {
      const concerned = watcher.partitions.some((one) => advanced.has(`${one.partition}/${one.topic}`));
      if (concerned && this.#watchers.has(watcher)) watcher.onAdvance();
    }
  }

  #clean(): void {
    const nowMs = this.#clock.now();
    for (const { info, partitions } of this.#topics.values()) {
      for (const partition of partitions) partition.clean(info.config, nowMs);
    }
    for (const state of this.#states.values()) state.removeExpired();
  }

  // Groups

  #assignment(share: Share, from: 'start' | 'end'): Assignment {
    const inOrder = createCommitOrder();
    return {
      ...share,
      position: async (partition) => this.#position(share, partition, from),
      state: async (store, partition) => this.#state(share.group, store, partition),
      commit: (commit) => inOrder(() => this.#commit(share, commit)),
    };
  }

  #position(share: Share, partition: TopicPartition, from: 'start' | 'end'): Position {
    const known = this.#groups.position(share.group, partition);
    const { logStartOffset, highWatermark } = this.#partition(partition).bounds();
    if (known) return known;
    const position = { offset: from === 'start' ? logStartOffset : highWatermark, done: [] };
    const { topic, partition: number } = partition;
    const offsets = [{ topic, partition: number, ...position }];
    if (this.#groups.holds(share))
      this.#groups.apply(this.#groups.commitOffsets(share, { offsets, state: [] }));
    return position;
  }

  #state(group: string, store: string, partition: number): KeyedState {
    const name = JSON.stringify([group, store, partition]);
    let state = this.#states.get(name);
    if (!state) this.#states.set(name, (state = new KeyedState(this.#clock)));
    return state;
  }

  #commit(share: Share, { appends, offsets, state }: Commit): CommitResult {
    this.#requireOpen();
    if (!this.#groups.holds(share)) return { status: 'FENCED' };
    const change = this.#groups.commitOffsets(share, { offsets, state });
    const appended: { result: AppendResult; undo: () => void }[] = [];
    try {
      for (const append of appends) appended.push(this.#append(append));
    } catch (error) {
      for (const { undo } of appended.toReversed()) undo();
      throw error;
    }
    if (offsets.length > 0) this.#groups.apply(change);
    for (const write of state) this.#state(share.group, write.store, write.partition).apply(copyOf(write));
    return { status: 'COMMITTED', appends: appended.map((one) => one.result) };
  }

  #groupAdmin(): GroupAdmin {
    const groups = this.#groups;
    return {
      list: () => groups.list(),
      find: (group) => groups.find(group),
      holder: (group) => groups.holder(group),
      hold: (group, make, matches) => {
        this.#requireOpen();
        return groups.hold(group, make, matches);
      },
      pending: (group) => this.#transactions.pendingOffsets(group),
      offsets: (group, partitions) => groups.offsets(group, partitions),
      setOffsets: async (group, offsets, options = {}) => {
        this.#requireOpen();
        const { producer, epoch, admit } = options;
        if (!producer) return groups.apply(groups.setOffsets(group, offsets, options));
        admit?.();
        const checked = groups.checkOffsets(group, offsets, epoch);
        const nowMs = this.#clock.now();
        this.#transactions.apply(
          this.#transactions.addOffsets(producer, group, checked, nowMs),
          this.#clock.monotonic(),
        );
        this.#watchTimeouts();
      },
      deleteOffsets: async (group, partitions) => groups.apply(groups.deleteOffsets(group, partitions)),
      delete: async (group) => {
        groups.apply(groups.delete(group));
        const states = [...this.#states.keys()].filter((name) => JSON.parse(name)[0] === group);
        for (const name of states) this.#states.delete(name);
      },
    };
  }

  // Topics

  #topicAdmin(): TopicAdmin {
    return {
      create: async (spec) => this.#createTopic(spec),
      delete: async (name) => {
        this.#topic(name);
        this.#topics.delete(name);
        this.#transactions.forgetTopic(name);
        this.#groups.forgetTopic(name);
      },
      alter: async (name, change) => this.#alterTopic(name, change),
      find: (name) => this.#topics.get(name)?.info,
      list: () => [...this.#topics.values()].map((topic) => topic.info),
      sizes: async (name) => this.#topic(name).partitions.map((partition) => partition.bytes),
    };
  }

  #createTopic(spec: Parameters<TopicAdmin['create']>[0]): TopicInfo {
    this.#requireOpen();
    const { name, partitions, internal = false } = spec;
    checkTopicName(name);
    checkPartitionCount(partitions);
    const config = mergeTopicConfig(spec.config);
    if (this.#topics.has(name)) {
      throw new MillraceError('STREAM_EXISTS', `There is a stream '${name}' already. Choose another name.`);
    }
    const id = Buffer.from(this.#random.bytes(16)).toString('hex');
    const info = { id, name, partitions, config, createdMs: this.#clock.now(), internal };
    const topic: Topic = { info, partitions: [] };
    this.#topics.set(name, topic);
    this.#grow(topic, partitions);
    return info;
  }

  #alterTopic(name: string, change: Parameters<TopicAdmin['alter']>[1]): TopicInfo {
    this.#requireOpen();
    const topic = this.#topic(name);
    const partitions = change.partitions ?? topic.info.partitions;
    checkPartitionCount(partitions, topic.info.partitions);
    topic.info = { ...topic.info, partitions, config: mergeTopicConfig(change.config, topic.info.config) };
    this.#grow(topic, partitions);
    return topic.info;
  }

  #grow({ info, partitions }: Topic, count: number): void {
    while (partitions.length < count) {
      partitions.push(new PartitionLog({ topic: info.name, partition: partitions.length }));
    }
    this.#groups.topicsChanged();
  }

  // Producers

  #producerAdmin(): ProducerAdmin {
    const transactions = this.#transactions;
    return {
      init: async (request) => {
        this.#requireOpen();
        const { identity, abort, changes } = transactions.init(request, this.#clock.now());
        if (abort) this.#end(abort);
        for (const change of changes) transactions.apply(change, this.#clock.monotonic());
        return identity;
      },
      addPartitions: async (transactionalId, producer, partitions) => {
        this.#requireOpen();
        for (const partition of partitions) this.#partition(partition);
        const change = transactions.addPartitions(transactionalId, producer, partitions, this.#clock.now());
        if (change) transactions.apply(change, this.#clock.monotonic());
        this.#watchTimeouts();
      },
      end: async (transactionalId, producer, outcome, options = {}) => {
        this.#requireOpen();
        const request = { transactionalId, producer, outcome, ...options };
        const { identity, end, changes } = transactions.decideEnd(request, this.#clock.now());
        if (end) this.#end(end);
        for (const change of changes) transactions.apply(change, this.#clock.monotonic());
        return identity;
      },
      transactions: () => transactions.list(),
      transaction: (transactionalId) => transactions.describe(transactionalId),
      transactionalIdOf: (producerId) => transactions.idOf(producerId),
      active: (partition) => this.#partition(partition).producers.active(),
    };
  }

  #end(end: TransactionEnd): void {
    for (const place of end.partitions) {
      const partition = this.#partition(place);
      partition.mark(end.marker, this.#clock.now());
      this.#advance(partition);
    }
    for (const { group, offsets } of end.offsets)
      this.#groups.apply(this.#groups.transactionOffsets(group, offsets));
    this.#transactions.apply(end.complete, this.#clock.monotonic());
    this.#watchTimeouts();
  }

  #watchTimeouts(): void {
    this.#timeout?.cancel();
    const dueMs = this.#transactions.nextDeadlineMs();
    if (dueMs === undefined) return;
    this.#timeout = this.#clock.after(dueMs - this.#clock.monotonic(), () => {
      for (const id of this.#transactions.overdue(this.#clock.monotonic())) {
        const end = this.#transactions.prepareTimeout(id, this.#clock.now(), this.#clock.monotonic());
        if (end) this.#end(end);
      }
      this.#watchTimeouts();
    });
  }
}

/** The caller goes on using its buffers. */
function copyOf<Write extends { key: Uint8Array; value: Uint8Array | null }>(write: Write): Write {
  return { ...write, key: write.key.slice(), value: write.value?.slice() ?? null };
}

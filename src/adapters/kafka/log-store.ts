import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, MillraceError, signal } from '../../kernel/index.ts';
import { checkBatch } from '../../streams/coordination/index.ts';
import { DeleteRecords } from '../../streams/kafka-protocol/index.ts';
import type {
  AppendInput,
  AppendResult,
  FetchRequest,
  FetchResult,
  GroupAdmin,
  JoinOptions,
  LogStore,
  Membership,
  PartitionBounds,
  ProducerAdmin,
  TopicAdmin,
  TopicPartition,
  VerifyProgress,
  VerifyReport,
} from '../../streams/port.ts';
import type { RecordCursor } from '../../streams/record-batch/index.ts';
import { Appender } from './appender.ts';
import { AT, Bounds, placeKey } from './bounds.ts';
import { Changelogs } from './changelogs.ts';
import { Cluster } from './cluster.ts';
import type { CheckedAppend } from './commit-transaction.ts';
import { CODES, KafkaFailure, requireOk, saidInPort } from './failure.ts';
import { GroupPositions } from './group-positions.ts';
import { GroupCatalog } from './groups.ts';
import { createMembership, type KafkaMembership } from './membership.ts';
import { createNames, type Names } from './names.ts';
import { DEFAULT_KAFKA_OPTIONS, type KafkaOptions, replicasWithinMs } from './options.ts';
import { Producers } from './producers.ts';
import { fetchFrom, type RawFetch, type ReadPartition, readRange } from './reading.ts';
import { retrying } from './retry.ts';
import { Tail } from './tail.ts';
import { TopicFacts } from './topic-facts.ts';
import { notFound, TopicCatalog } from './topics.ts';
import { TransactionCalls } from './transactions.ts';
import { verifyPartitions } from './verify.ts';
import { Watchers } from './watchers.ts';

const DELETE_RECORDS = 2;
/** Topics that others made are looked for in every fifth round of refreshing. */
const ROUNDS_A_SYNC = 5;
/** Longer where another producer's transaction holds back what is stable. */
const ENDED_WITHIN_MS = 500;
const VERIFY_BYTES = 4 * 1024 * 1024;
/** How often members of this process are asked to look while one of them joins or leaves. */
const NUDGE_EVERY_MS = 15;
const SETTLE_WITHIN_MS = 10_000;

export interface KafkaLogOptions extends Partial<KafkaOptions> {
  readonly brokers: readonly string[];
  /** Tells the time of records and of state; waiting for the cluster goes by the machine's own clock. */
  readonly clock: Clock;
}

/** The log in an Apache Kafka cluster. What differs from the embedded log is a table in docs/kafka-log.md. */
export function kafkaLogStore({ clock, ...options }: KafkaLogOptions): LogStore {
  return new Store(clock, { ...DEFAULT_KAFKA_OPTIONS, ...options });
}

class Store implements LogStore {
  readonly name = 'log';
  readonly topics: TopicAdmin;
  readonly groups: GroupAdmin;
  readonly producers: ProducerAdmin;
  readonly #clock: Clock;
  readonly #cluster: Cluster;
  readonly #names: Names;
  readonly #bounds: Bounds;
  readonly #tail: Tail;
  readonly #watchers = new Watchers();
  readonly #appender: Appender;
  readonly #catalog: TopicCatalog;
  readonly #calls: TransactionCalls;
  readonly #positions: GroupPositions;
  readonly #groups: GroupCatalog;
  readonly #producers: Producers;
  readonly #changelogs: Changelogs;
  readonly #members = new Set<KafkaMembership>();
  readonly #facts: TopicFacts;
  #refusing = false;
  #refreshing: Promise<void> | undefined;
  #endRefreshing: () => void = () => undefined;

  constructor(clock: Clock, options: KafkaOptions) {
    const cluster = new Cluster(options);
    const names = createNames(options.prefix);
    const now = (): number => clock.now();
    const requirePartitions = async (places: readonly TopicPartition[]): Promise<void> => {
      for (const place of places) await this.#place(place);
    };
    const read: ReadPartition = (place, range, onRecord) => this.#read(place, range, onRecord);
    this.#clock = clock;
    this.#cluster = cluster;
    this.#names = names;
    this.#bounds = new Bounds(cluster, (place) => this.#watchers.advanced(place));
    this.#tail = new Tail(cluster, this.#bounds);
    this.#appender = new Appender(cluster, this.#bounds);
    this.#calls = new TransactionCalls(cluster);
    this.#facts = new TopicFacts({
      ...{ topic: names.facts, now, read },
      end: (place) => this.#offsetAt(place, AT.latest, 'uncommitted'),
      append: (place, batch) => this.#appendOwn(place, batch),
    });
    this.#catalog = new TopicCatalog({
      ...{ cluster, names, now, bounds: this.#bounds, facts: this.#facts },
      onChange: () => this.#topicsChanged(),
      onDeleted: (name) => {
        this.#groups.forgetTopic(name);
        this.#appender.forgetTopic(names.inCluster(name));
      },
    });
    this.#positions = new GroupPositions({ cluster, spillTopic: names.positions, read });
    this.#changelogs = new Changelogs({
      ...{ clock, names, read },
      ensure: (topic, partitions, config) => this.#catalog.ensureOwn(topic, partitions, config),
      start: (place) => this.#offsetAt(place, AT.earliest, 'uncommitted'),
      end: (place) => this.#offsetAt(place, AT.latest, 'uncommitted'),
    });
    this.#producers = new Producers({
      ...{ cluster, names, now, requirePartitions, calls: this.#calls },
      ended: (last, groups) => this.#transactionEnded(last, groups),
    });
    this.#groups = new GroupCatalog({
      ...{
        cluster,
        names,
        requirePartitions,
        calls: this.#calls,
        positions: this.#positions,
        members: this.#members,
      },
      transactionalIdOf: (producer) => this.#producers.clusterIdOf(producer),
      addedOffsets: (producer, group, partitions) =>
        this.#producers.addedOffsets(producer, group, partitions),
      pending: (group) => this.#producers.pending(group),
      deleteChangelogs: (group) => this.#deleteChangelogs(group),
    });
    this.topics = this.#topicAdmin();
    this.groups = this.#groups.admin;
    this.producers = this.#producers.admin;
  }

  async start(): Promise<void> {
    await saidInPort(async () => {
      await this.#cluster.connect();
      const compacted = { cleanup: 'compact' } as const;
      await this.#catalog.ensureOwn(this.#names.facts, 1, compacted);
      await this.#catalog.ensureOwn(this.#names.positions, 1, compacted);
      await this.#catalog.sync();
      await this.#groups.sync();
    });
    const stopped = new AbortController();
    this.#endRefreshing = () => stopped.abort();
    this.#refreshing = this.#refresh(stopped.signal);
  }

  refuse(): void {
    this.#refusing = true;
  }

  /** At the deadline the connections are closed: what still waits for the cluster fails then. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#refusing = true;
    this.#endRefreshing();
    const cut = (): void => this.#cluster.close();
    if (deadline.aborted) cut();
    deadline.addEventListener('abort', cut, { once: true });
    await this.#appender.settled();
    await Promise.all([...this.#members].map((member) => member.leave()));
    deadline.removeEventListener('abort', cut);
    cut();
    await Promise.all([this.#refreshing, this.#tail.settled()]);
  }

  append(input: AppendInput): Promise<AppendResult> {
    return saidInPort(async () => {
      this.#requireOpen();
      const { place, header, mostBytes } = await this.#checkAppend(input);
      const { timestampType } = this.#catalog.find(input.topic)!.config;
      const producer = { producerId: header.producerId, epoch: header.producerEpoch };
      const transactionalId = header.transactional ? await this.#producers.clusterIdOf(producer) : null;
      const result = await this.#appender.append(place, input, header, { transactionalId, mostBytes });
      if (header.producerId >= 0 && !result.duplicate) {
        this.#producers.appended(input, header, result.baseOffset);
      }
      // Told of a duplicate where the topic does not stamp records: the time of the batch.
      return timestampType === 'create' ? { ...result, appendTimeMs: -1 } : result;
    });
  }

  fetch(request: FetchRequest): Promise<FetchResult> {
    return saidInPort(async () => {
      const place = await this.#place(request);
      const { offset, maxBytes, isolation = 'uncommitted' } = request;
      if (!(offset >= 0)) throw outOfRange(request);
      const ahead = isolation === 'committed' ? this.#tail.take(place, offset, maxBytes) : undefined;
      if (ahead) return ahead;
      const result = await this.#fetch({ ...place, offset, maxBytes: Math.max(1, maxBytes), isolation });
      this.#bounds.note(place, result);
      return result;
    });
  }

  watch(partitions: readonly TopicPartition[], onAdvance: () => void): () => void {
    const places = partitions.map((one) => this.#inCluster(one));
    const ends = [this.#watchers.add(places, onAdvance), ...places.map((place) => this.#tail.watch(place))];
    return () => {
      for (const end of ends) end();
    };
  }

  offsetForTime(partition: TopicPartition, timeMs: number) {
    return this.#seek(partition, Math.max(0, timeMs));
  }

  offsetForMaxTime(partition: TopicPartition) {
    return this.#seek(partition, AT.maxTime);
  }

  bounds({ topic, partition }: TopicPartition): PartitionBounds {
    const info = this.#catalog.find(topic) ?? notFound(topic);
    const known = this.#bounds.get(this.#inCluster({ topic, partition }));
    if (!known || partition >= info.partitions) throw noPartition(topic, partition, info.partitions);
    return known;
  }

  deleteRecords(partition: TopicPartition, offset: number): Promise<number> {
    return saidInPort(async () => {
      this.#requireOpen();
      const place = await this.#place(partition);
      const topics = [{ name: place.topic, partitions: [{ partitionIndex: place.partition, offset }] }];
      const lowWatermark = await this.#retrying(async () => {
        const leader = this.#cluster.leaderOf(place);
        const request = { topics, timeoutMs: replicasWithinMs(this.#cluster.options) };
        const answer = await this.#cluster.call(leader, 'control', DeleteRecords, DELETE_RECORDS, request);
        const [found] = answer.topics[0]!.partitions;
        requireOk(found!.errorCode, `delete records of '${partition.topic}'`);
        return found!.lowWatermark;
      });
      this.#bounds.note(place, { ...this.bounds(partition), logStartOffset: lowWatermark });
      return lowWatermark;
    });
  }

  join(group: string, topics: readonly string[], options: JoinOptions = {}): Promise<Membership> {
    return saidInPort(async () => {
      this.#requireOpen();
      for (const topic of topics) await this.#catalog.require(topic);
      const membership: KafkaMembership = createMembership({
        ...{ cluster: this.#cluster, clock: this.#clock, names: this.#names, calls: this.#calls },
        ...{ bounds: this.#bounds, positions: this.#positions, changelogs: this.#changelogs },
        ...{ group, topics, options, connection: randomUUID() },
        statePartitions: () => Math.max(...topics.map((topic) => this.#catalog.find(topic)?.partitions ?? 1)),
        boundsOf: (place) => this.bounds(place),
        checkAppend: (append) => this.#checkAppend(append),
        committed: (offsets) => this.#groups.committed(group, offsets),
        visible: (results, withinMs) => this.#visible(results, withinMs),
        turn: (ms) => delay(ms, undefined, { ref: false }),
      });
      const leave = membership.leave.bind(membership);
      membership.leave = () => this.#leave(membership, leave);
      this.#members.add(membership);
      try {
        await this.#nudging(group, membership.member.joined);
        await this.#together(group, membership.member.generation);
      } catch (error) {
        this.#members.delete(membership);
        throw error;
      }
      await this.#groups.sync(group);
      return membership;
    });
  }

  verify(onProgress?: (progress: VerifyProgress) => void): Promise<VerifyReport> {
    return saidInPort(async () => {
      await this.#catalog.sync();
      const topics = this.#catalog.list();
      const lists = await Promise.all(
        topics.map(async ({ name }) => {
          const sizes = await this.topics.sizes(name);
          return sizes.map((bytes, partition) => {
            const { logStartOffset: from, highWatermark: to } = this.bounds({ topic: name, partition });
            return { topic: name, partition, from, to, bytes };
          });
        }),
      );
      const fetch = (place: TopicPartition, offset: number): Promise<FetchResult> =>
        this.fetch({ ...place, offset, maxBytes: VERIFY_BYTES });
      return verifyPartitions({ partitions: lists.flat(), topics: topics.length, fetch }, onProgress);
    });
  }

  #topicAdmin(): TopicAdmin {
    const { create, delete: remove, alter, sizes } = this.#catalog.admin;
    const open = <Result>(work: () => Promise<Result>): Promise<Result> =>
      saidInPort(async () => {
        this.#requireOpen();
        return work();
      });
    return {
      create: (spec) => open(() => create(spec)),
      delete: (name) => open(() => remove(name)),
      alter: (name, change) => open(() => alter(name, change)),
      find: (name) => this.#catalog.find(name),
      list: () => this.#catalog.list(),
      sizes: (name) => saidInPort(() => sizes(name)),
    };
  }

  #requireOpen(): void {
    if (this.#refusing)
      throw new MillraceError('UNAVAILABLE', 'The log is being stopped. Try again after its start.');
  }

  #inCluster({ topic, partition }: TopicPartition): TopicPartition {
    return { topic: this.#names.inCluster(topic), partition };
  }

  /** As the cluster names it. Throws STREAM_NOT_FOUND, PARTITION_NOT_FOUND. */
  async #place({ topic, partition }: TopicPartition): Promise<TopicPartition> {
    const { partitions } = this.#catalog.find(topic) ?? (await this.#catalog.require(topic));
    if (!(Number.isInteger(partition) && partition >= 0 && partition < partitions)) {
      throw noPartition(topic, partition, partitions);
    }
    return this.#inCluster({ topic, partition });
  }

  async #checkAppend(input: AppendInput): Promise<CheckedAppend> {
    const place = await this.#place(input);
    const { config } = this.#catalog.find(input.topic)!;
    const header = checkBatch(input, config);
    return { place, header, batch: input.batch, mostBytes: config.maxBatchBytes };
  }

  async #appendOwn(place: TopicPartition, batch: Uint8Array): Promise<void> {
    const input = { ...place, batch, trusted: true };
    const header = checkBatch(input, { maxBatchBytes: Number.POSITIVE_INFINITY });
    const options = { transactionalId: null, mostBytes: Number.POSITIVE_INFINITY };
    await this.#appender.append(place, input, header, options);
  }

  #retrying<Result>(work: () => Promise<Result>): Promise<Result> {
    return retrying(work, {
      forMs: this.#cluster.options.retryForMs,
      stopped: () => this.#cluster.closed,
      refresh: () => this.#cluster.refresh(),
    });
  }

  #fetch(request: Omit<RawFetch, 'purpose'>): Promise<FetchResult> {
    const purpose = (request.waitMs ?? 0) > 0 ? 'tail' : 'fetch';
    return this.#retrying(() => fetchFrom(this.#cluster, { ...request, purpose }));
  }

  #read(
    place: TopicPartition,
    range: { readonly from: number; readonly to: number },
    onRecord: (record: RecordCursor) => void,
  ): Promise<number> {
    return readRange((request) => this.#fetch(request), place, range, onRecord);
  }

  async #offsetAt(
    place: TopicPartition,
    at: number,
    isolation: 'committed' | 'uncommitted',
  ): Promise<number> {
    return this.#retrying(async () => {
      const [found] = await this.#bounds.list([place], at, isolation);
      if (!found) throw new KafkaFailure(CODES.LEADER_NOT_AVAILABLE, `tell an offset of '${place.topic}'`);
      return found.offset;
    });
  }

  #seek(partition: TopicPartition, at: number): Promise<{ offset: number; timeMs: number } | undefined> {
    return saidInPort(async () => {
      const place = await this.#place(partition);
      return this.#retrying(async () => {
        const [found] = await this.#bounds.list([place], at, 'uncommitted');
        if (!found) throw new KafkaFailure(CODES.LEADER_NOT_AVAILABLE, `seek in '${partition.topic}'`);
        return found.offset < 0 ? undefined : found;
      });
    });
  }

  /** Others' open transactions may hold back for longer what was committed. */
  async #visible(results: readonly AppendResult[], withinMs: number): Promise<boolean> {
    const last = new Map(results.map((one) => [placeKey(one), one]));
    const hidden = (): AppendResult[] =>
      [...last.values()].filter((one) => (this.#bounds.get(one)?.lastStableOffset ?? 0) <= one.lastOffset);
    const beganMs = performance.now();
    for (;;) {
      await this.#bounds.refreshStable(hidden()).catch(() => undefined);
      const waitedMs = performance.now() - beganMs;
      if (hidden().length === 0) return true;
      if (waitedMs > withinMs) return false;
      // Markers take a few milliseconds: asked often at first, then less and less.
      await delay(Math.max(1, waitedMs / 8), undefined, { ref: false });
    }
  }

  async #transactionEnded(
    last: readonly (TopicPartition & { readonly offset: number })[],
    groups: readonly string[] | undefined,
  ): Promise<void> {
    const results = last.map((one) => ({
      ...this.#inCluster(one),
      ...{
        baseOffset: one.offset,
        lastOffset: one.offset,
        appendTimeMs: -1,
        logStartOffset: 0,
        duplicate: false,
      },
    }));
    await this.#visible(results, ENDED_WITHIN_MS);
    if (!groups) await this.#groups.sync();
    for (const group of groups ?? []) {
      await this.#positions.fetch(this.#names.inCluster(group), null, true);
      await this.#groups.sync(group);
    }
  }

  async #deleteChangelogs(group: string): Promise<void> {
    const prefix = this.#names.changelogsOf(group);
    const own = [...this.#cluster.topics.keys()].filter((name) => name.startsWith(prefix));
    for (const name of own) await this.#catalog.remove(name);
  }

  // Groups

  async #leave(membership: KafkaMembership, leave: () => Promise<void>): Promise<void> {
    if (!this.#members.delete(membership)) return leave();
    const { group } = membership;
    const { generation } = membership.member;
    await leave();
    const peers = this.#peersOf(group);
    const stays = peers.length === 0 || membership.keepsPlace;
    if (!stays && !this.#refusing) await this.#nudging(group, this.#together(group, generation + 1));
    if (!this.#cluster.closed) await this.#groups.sync(group).catch(() => undefined);
  }

  #peersOf(group: string): KafkaMembership[] {
    return [...this.#members].filter((one) => one.group === group && !one.member.ended);
  }

  /** All members of this process have come to that generation, or it took too long. */
  async #together(group: string, generation: number): Promise<void> {
    const reached = this.#peersOf(group).map((one) => one.member.reached(generation));
    await Promise.race([Promise.all(reached), delay(SETTLE_WITHIN_MS, undefined, { ref: false })]);
  }

  async #nudging<Result>(group: string, work: Promise<Result>): Promise<Result> {
    const timer = setInterval(() => {
      for (const { member } of this.#peersOf(group)) member.hurry();
    }, NUDGE_EVERY_MS);
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  }

  #topicsChanged(): void {
    this.#tail.follow();
    for (const { member } of this.#members) member.topicsChanged();
  }

  /** Never rejects. */
  async #refresh(stopped: AbortSignal): Promise<void> {
    let failing = false;
    for (let round = 1; !stopped.aborted; round++) {
      await delay(this.#cluster.options.refreshEveryMs, undefined, { ref: false, signal: stopped }).catch(
        () => undefined,
      );
      if (stopped.aborted) return;
      try {
        if (round % ROUNDS_A_SYNC === 0) await this.#catalog.sync();
        await this.#bounds.refresh(this.#bounds.wanted().filter((place) => !this.#tail.isWatched(place)));
        if (this.#groups.wanted) await this.#groups.sync();
        this.#tail.follow();
        failing = false;
      } catch (error) {
        if (!failing && !stopped.aborted) {
          const message = `The Kafka cluster could not be looked at; this goes on being tried: ${(error as Error).message}`;
          signal('platform.log', { level: 'warn', room: 'kafka', message, error });
        }
        failing = true;
      }
    }
  }
}

function noPartition(topic: string, partition: number, count: number): MillraceError {
  return new MillraceError(
    'PARTITION_NOT_FOUND',
    `Stream '${topic}' has no partition ${partition}. It has ${count}, counted from 0.`,
  );
}

function outOfRange({ topic, partition, offset }: FetchRequest): MillraceError {
  return new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `'${topic}' partition ${partition} has no offset ${offset}. Read within its bounds.`,
  );
}

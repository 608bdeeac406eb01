import { MillraceError } from '../../kernel/index.ts';
import { checkPartitionCount, checkTopicName, mergeTopicConfig } from '../../streams/coordination/index.ts';
import {
  CreatePartitions,
  CreateTopics,
  DeleteTopics,
  DescribeConfigs,
  DescribeLogDirs,
  IncrementalAlterConfigs,
} from '../../streams/kafka-protocol/index.ts';
import {
  DEFAULT_TOPIC_CONFIG,
  type TopicAdmin,
  type TopicConfig,
  type TopicInfo,
  type TopicPartition,
} from '../../streams/port.ts';
import type { Bounds } from './bounds.ts';
import type { Cluster, ClusterTopic } from './cluster.ts';
import { CODES, failedWith, KafkaFailure, requireOk } from './failure.ts';
import type { Names } from './names.ts';
import { retrying } from './retry.ts';
import { ANY_TIME, CONFIG_KEYS, type ConfigEntry, fromKafkaConfig, toKafkaConfig } from './topic-config.ts';
import type { TopicFacts } from './topic-facts.ts';

const CREATE_TOPICS = 7;
const DELETE_TOPICS = 6;
const CREATE_PARTITIONS = 3;
const DESCRIBE_CONFIGS = 4;
const ALTER_CONFIGS = 1;
const DESCRIBE_LOG_DIRS = 4;
const TOPIC_RESOURCE = 2;
const SET = 0;
/** Changes pass through the controllers' own log; the answer is waited for a little longer. */
const WITHIN_MS = 30_000;
const ANSWER_WITHIN_MS = WITHIN_MS + 5_000;
const BOUNDS_WITHIN_MS = 3_000;
/** Configurations that somebody changed with Kafka's own tools are seen after this long. */
const CONFIG_AGE_MS = 30_000;

interface CatalogParts {
  readonly cluster: Cluster;
  readonly names: Names;
  readonly bounds: Bounds;
  readonly facts: TopicFacts;
  readonly now: () => number;
  /** Topics came, went or grew. */
  readonly onChange: () => void;
  readonly onDeleted: (name: string) => void;
}

/** The topics of the cluster that are this store's to show. One is shown once its bounds are known. */
export class TopicCatalog {
  readonly #parts: CatalogParts;
  #topics = new Map<string, TopicInfo>();
  #configsReadMs = Number.NEGATIVE_INFINITY;

  constructor(parts: CatalogParts) {
    this.#parts = parts;
  }

  find(name: string): TopicInfo | undefined {
    return this.#topics.get(name);
  }

  list(): readonly TopicInfo[] {
    return [...this.#topics.values()];
  }

  /** Throws STREAM_NOT_FOUND, after a look at the cluster. */
  async require(name: string): Promise<TopicInfo> {
    const known = this.#topics.get(name);
    if (known) return known;
    await this.sync();
    return this.#topics.get(name) ?? notFound(name);
  }

  /** Reads the cluster's topics and what is new about them. */
  async sync(): Promise<void> {
    const { cluster, names, facts, onChange } = this.#parts;
    await cluster.refresh();
    await facts.sync();
    const seen = [...cluster.topics.values()].flatMap((topic) => {
      const name = names.fromCluster(topic.name);
      return name === undefined || topic.leaders.length === 0 ? [] : [{ name, topic }];
    });
    const stale = performance.now() - this.#configsReadMs > CONFIG_AGE_MS;
    const changed = seen.filter(({ name, topic }) => !isSame(this.#topics.get(name), topic));
    const configs = await this.#configs((stale ? seen : changed).map(({ topic }) => topic.name));
    if (stale) this.#configsReadMs = performance.now();
    const next = new Map<string, TopicInfo>();
    for (const { name, topic } of seen) next.set(name, this.#infoOf(name, topic, configs.get(topic.name)));
    const gone = [...this.#topics.values()].filter(({ name, id }) => next.get(name)?.id !== id);
    for (const { name } of gone) this.#forget(name);
    await this.#learnBounds(changed.flatMap(({ topic }) => placesOf(topic)));
    const differs = changed.length > 0 || gone.length > 0;
    this.#topics = next;
    if (differs) onChange();
  }

  /** Makes a topic of the adapter's own unless it is there, with at least so many partitions. */
  async ensureOwn(name: string, partitions: number, config: Partial<TopicConfig>): Promise<void> {
    const { cluster } = this.#parts;
    const has = (): number => cluster.topics.get(name)?.leaders.filter((leader) => leader >= 0).length ?? 0;
    if (has() >= partitions) return;
    await cluster.refresh();
    if (!cluster.topics.has(name)) {
      await this.#create(name, partitions, toKafkaConfig({ ...DEFAULT_TOPIC_CONFIG, ...config })).catch(
        (error) => {
          if (!failedWith(error, CODES.TOPIC_ALREADY_EXISTS)) throw error;
        },
      );
    } else if (cluster.topics.get(name)!.leaders.length < partitions) {
      await this.#grow(name, partitions).catch((error) => {
        // Another node was faster.
        if (!failedWith(error, CODES.INVALID_PARTITIONS)) throw error;
      });
    }
    await this.#until(name, () => has() >= partitions);
  }

  async remove(clusterName: string): Promise<void> {
    const answer = await this.#parts.cluster.callController(
      DeleteTopics,
      DELETE_TOPICS,
      {
        topics: [{ name: clusterName, topicId: NO_ID }],
        topicNames: [],
        timeoutMs: WITHIN_MS,
      },
      ANSWER_WITHIN_MS,
    );
    const { errorCode, errorMessage } = answer.responses[0]!;
    requireOk(errorCode, `delete '${clusterName}'`, errorMessage);
    await this.#until(clusterName, () => !this.#parts.cluster.topics.has(clusterName));
  }

  readonly admin: Omit<TopicAdmin, 'find' | 'list'> = {
    create: async ({ name, partitions, config, internal = false }) => {
      const { names, facts, now } = this.#parts;
      checkTopicName(names.inCluster(name));
      checkTopicName(name);
      checkPartitionCount(partitions);
      const merged = mergeTopicConfig(config);
      const clusterName = names.inCluster(name);
      if (names.fromCluster(clusterName) === undefined) throw reserved(name);
      if (this.#topics.has(name)) throw exists(name);
      const there = await this.#create(clusterName, partitions, [...toKafkaConfig(merged), ANY_TIME]).catch(
        (error) => {
          if (!failedWith(error, CODES.TOPIC_ALREADY_EXISTS)) throw error;
          return true;
        },
      );
      const { cluster } = this.#parts;
      const led = (): boolean =>
        cluster.topics.get(clusterName)?.leaders.every((leader) => leader >= 0) ?? false;
      await this.#until(clusterName, led);
      // Another node was faster; from now on this one knows the topic too.
      if (there) {
        await this.sync();
        throw exists(name);
      }
      await facts.note(name, { topicId: cluster.topics.get(clusterName)!.id, createdMs: now(), internal });
      await this.sync();
      return this.require(name);
    },
    delete: async (name) => {
      const { names, facts } = this.#parts;
      await this.require(name);
      await this.remove(names.inCluster(name));
      await facts.note(name, null);
      this.#forget(name);
      this.#topics.delete(name);
      this.#parts.onDeleted(name);
      this.#parts.onChange();
    },
    alter: async (name, { partitions, config }) => {
      const info = await this.require(name);
      const clusterName = this.#parts.names.inCluster(name);
      checkPartitionCount(partitions ?? info.partitions, info.partitions);
      mergeTopicConfig(config, info.config);
      if (config && Object.keys(config).length > 0) await this.#configure(clusterName, toKafkaConfig(config));
      if (partitions !== undefined && partitions > info.partitions) {
        await this.#grow(clusterName, partitions);
        const leaders = (): readonly number[] => this.#parts.cluster.topics.get(clusterName)?.leaders ?? [];
        await this.#until(
          clusterName,
          () => leaders().length >= partitions && leaders().every((one) => one >= 0),
        );
      }
      this.#configsReadMs = Number.NEGATIVE_INFINITY;
      await this.sync();
      return this.require(name);
    },
    sizes: async (name) => {
      const { partitions } = await this.require(name);
      return this.#sizes(this.#parts.names.inCluster(name), partitions);
    },
  };

  async #create(name: string, partitions: number, configs: readonly ConfigEntry[]): Promise<void> {
    const { cluster } = this.#parts;
    const answer = await cluster.callController(
      CreateTopics,
      CREATE_TOPICS,
      {
        topics: [
          {
            name,
            numPartitions: partitions,
            replicationFactor: cluster.options.replicas ?? -1,
            assignments: [],
            configs,
          },
        ],
        timeoutMs: WITHIN_MS,
        validateOnly: false,
      },
      ANSWER_WITHIN_MS,
    );
    const { errorCode, errorMessage } = answer.topics[0]!;
    requireOk(errorCode, `make the topic '${name}'`, errorMessage);
  }

  async #grow(name: string, count: number): Promise<void> {
    const answer = await this.#parts.cluster.callController(
      CreatePartitions,
      CREATE_PARTITIONS,
      {
        topics: [{ name, count, assignments: null }],
        timeoutMs: WITHIN_MS,
        validateOnly: false,
      },
      ANSWER_WITHIN_MS,
    );
    const { errorCode, errorMessage } = answer.results[0]!;
    requireOk(errorCode, `give '${name}' ${count} partitions`, errorMessage);
  }

  async #configure(resourceName: string, entries: readonly ConfigEntry[]): Promise<void> {
    const configs = entries.map((entry) => ({ ...entry, configOperation: SET }));
    const answer = await this.#parts.cluster.callController(
      IncrementalAlterConfigs,
      ALTER_CONFIGS,
      {
        resources: [{ resourceType: TOPIC_RESOURCE, resourceName, configs }],
        validateOnly: false,
      },
      ANSWER_WITHIN_MS,
    );
    const { errorCode, errorMessage } = answer.responses[0]!;
    requireOk(errorCode, `configure '${resourceName}'`, errorMessage);
  }

  async #configs(names: readonly string[]): Promise<Map<string, TopicConfig>> {
    if (names.length === 0) return new Map();
    const answer = await this.#parts.cluster.callAny(DescribeConfigs, DESCRIBE_CONFIGS, {
      resources: names.map((resourceName) => ({
        ...{ resourceType: TOPIC_RESOURCE, resourceName },
        configurationKeys: CONFIG_KEYS,
      })),
      includeSynonyms: false,
      includeDocumentation: false,
    });
    const told = answer.results.filter(({ errorCode }) => errorCode === 0);
    return new Map(told.map(({ resourceName, configs }) => [resourceName, fromKafkaConfig(configs)]));
  }

  /** Of the leader's replica; all brokers are asked, each knows its own. */
  async #sizes(clusterName: string, partitions: number): Promise<number[]> {
    const { cluster } = this.#parts;
    const numbers = Array.from({ length: partitions }, (_, index) => index);
    const sizes = new Array<number>(partitions).fill(0);
    await Promise.all(
      cluster.nodes.map(async (node) => {
        const topics = [{ topic: clusterName, partitions: numbers }];
        const answer = await cluster.call(node, 'control', DescribeLogDirs, DESCRIBE_LOG_DIRS, { topics });
        for (const { topics: found } of answer.results) {
          for (const one of found.flatMap((topic) => topic.partitions)) {
            sizes[one.partitionIndex] = Math.max(sizes[one.partitionIndex]!, one.partitionSize);
          }
        }
      }),
    );
    return sizes;
  }

  /** A replica that has just been made does not answer yet; a partition without a leader begins at 0 until it has one. */
  async #learnBounds(places: readonly TopicPartition[]): Promise<void> {
    const { bounds, cluster } = this.#parts;
    const unknown = (): TopicPartition[] => places.filter((place) => !bounds.has(place));
    const attempt = async (): Promise<void> => {
      await bounds.refresh(unknown());
      if (unknown().length > 0)
        throw new KafkaFailure(CODES.LEADER_NOT_AVAILABLE, 'tell the ends of a new topic');
    };
    const stopped = (): boolean => cluster.closed;
    await retrying(attempt, { forMs: BOUNDS_WITHIN_MS, stopped, refresh: () => cluster.refresh() }).catch(
      () => {
        for (const place of unknown())
          bounds.note(place, { logStartOffset: 0, lastStableOffset: 0, highWatermark: 0 });
      },
    );
  }

  #infoOf(name: string, { id, leaders }: ClusterTopic, config: TopicConfig | undefined): TopicInfo {
    const before = this.#topics.get(name);
    const fact = this.#parts.facts.of(name, id);
    return {
      ...{ id, name, partitions: leaders.length },
      config: config ?? before?.config ?? DEFAULT_TOPIC_CONFIG,
      createdMs: fact?.createdMs ?? 0,
      internal: fact?.internal ?? false,
    };
  }

  #forget(name: string): void {
    this.#parts.bounds.forgetTopic(this.#parts.names.inCluster(name));
  }

  /** Brokers hear of a change from the controller a little later than the one who asked for it. */
  async #until(name: string, holds: () => boolean): Promise<void> {
    const { cluster } = this.#parts;
    await retrying(
      async () => {
        await cluster.refresh();
        if (!holds()) throw new KafkaFailure(CODES.LEADER_NOT_AVAILABLE, `show the change of '${name}'`);
      },
      { forMs: cluster.options.retryForMs, stopped: () => cluster.closed },
    );
  }
}

const NO_ID = '0'.repeat(32);

const isSame = (info: TopicInfo | undefined, { id, leaders }: ClusterTopic): boolean =>
  info !== undefined && info.id === id && info.partitions === leaders.length;

const placesOf = ({ name, leaders }: ClusterTopic) =>
  leaders.map((_, partition) => ({ topic: name, partition }));

export function notFound(name: string): never {
  throw new MillraceError(
    'STREAM_NOT_FOUND',
    `There is no stream '${name}'. Create it first, or check its name.`,
  );
}

const exists = (name: string): MillraceError =>
  new MillraceError('STREAM_EXISTS', `There is a stream '${name}' already. Choose another name.`);

const reserved = (name: string): MillraceError =>
  new MillraceError(
    'STREAM_NAME_INVALID',
    `'${name}' cannot be a name: names with '__' or 'millrace.log.' in front are the cluster's and the log's own.`,
  );

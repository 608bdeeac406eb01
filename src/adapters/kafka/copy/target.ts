import { isMillraceError, MillraceError } from '../../../kernel/index.ts';
import {
  CreateTopics,
  DescribeConfigs,
  InitProducerId,
  NO_UUID,
  OffsetCommit,
  OffsetFetch,
  Produce,
} from '../../../streams/kafka-protocol/index.ts';
import type { TopicPartition } from '../../../streams/port.ts';
import { setBaseOffset, setProducer } from '../../../streams/record-batch/index.ts';
import type { Cluster } from '../cluster.ts';
import { CODES, failedWith, isPassing, requireOk } from '../failure.ts';
import { retrying } from '../retry.ts';
import { retryOn, type SourceBatch } from './source.ts';

const CREATE_TOPICS = 7;
const DESCRIBE_CONFIGS = 4;
const INIT_PRODUCER_ID = 4;
const OFFSET_COMMIT = 8;
const OFFSET_FETCH = 8;
const PRODUCE = 9;
const TOPIC_RESOURCE = 2;

/** Settings of a topic that mean the same everywhere; others belong to the cluster that has them. */
const CARRIED = [
  ...['cleanup.policy', 'retention.ms', 'retention.bytes', 'max.message.bytes', 'message.timestamp.type'],
  ...['delete.retention.ms', 'min.compaction.lag.ms', 'segment.bytes', 'segment.ms'],
];

export interface GroupOffset extends TopicPartition {
  readonly offset: number;
  readonly metadata: string;
}

/** The same topic with the same settings, made if it is not there. Throws CONFLICT where it has other partitions. */
export async function ensureTopic(from: Cluster, to: Cluster, topic: string): Promise<void> {
  const partitions = from.topics.get(topic)!.leaders.length;
  const there = to.topics.get(topic)?.leaders.length;
  if (there === partitions) return;
  if (there !== undefined) {
    const message = `'${topic}' has ${partitions} partitions here and ${there} there. Delete it there, or leave it out.`;
    throw new MillraceError('CONFLICT', message);
  }
  const configs = await carriedConfigs(from, topic);
  await retrying(async () => {
    const { topics } = await to.callController(CreateTopics, CREATE_TOPICS, {
      topics: [{ name: topic, numPartitions: partitions, replicationFactor: -1, assignments: [], configs }],
      timeoutMs: 30_000,
      validateOnly: false,
    });
    const { errorCode, errorMessage } = topics[0]!;
    if (errorCode !== CODES.TOPIC_ALREADY_EXISTS) requireOk(errorCode, `make '${topic}'`, errorMessage);
    await to.refresh();
    for (let partition = 0; partition < partitions; partition++) to.leaderOf({ topic, partition });
  }, retryOn(to));
}

async function carriedConfigs(from: Cluster, topic: string) {
  const { results } = await retrying(
    () =>
      from.callAny(DescribeConfigs, DESCRIBE_CONFIGS, {
        resources: [{ resourceType: TOPIC_RESOURCE, resourceName: topic, configurationKeys: CARRIED }],
        includeSynonyms: false,
        includeDocumentation: false,
      }),
    retryOn(from),
  );
  requireOk(results[0]!.errorCode, `tell the settings of '${topic}'`, results[0]!.errorMessage);
  return results[0]!.configs.flatMap(({ name, value }) =>
    CARRIED.includes(name) && value !== null ? [{ name, value }] : [],
  );
}

/** Writes batches to one partition, several under way at a time; a broker knows those that it had before. */
export class PartitionWriter {
  readonly #cluster: Cluster;
  readonly #place: TopicPartition;
  readonly #producer: { readonly producerId: number; readonly epoch: number };
  #sequence = 0;

  private constructor(cluster: Cluster, place: TopicPartition, producer: PartitionWriter['producer']) {
    this.#cluster = cluster;
    this.#place = place;
    this.#producer = producer;
  }

  static async open(cluster: Cluster, place: TopicPartition): Promise<PartitionWriter> {
    const producer = await retrying(async () => {
      const { errorCode, producerId, producerEpoch } = await cluster.callAny(
        InitProducerId,
        INIT_PRODUCER_ID,
        {
          transactionalId: null,
          transactionTimeoutMs: 60_000,
        },
      );
      requireOk(errorCode, 'give a producer id');
      return { producerId, epoch: producerEpoch };
    }, retryOn(cluster));
    return new PartitionWriter(cluster, place, producer);
  }

  get producer() {
    return this.#producer;
  }

  /** Resolves to the offset of its first record. */
  write({ bytes, count }: SourceBatch): Promise<number> {
    // Brokers refuse batches of producers that begin elsewhere.
    setBaseOffset(bytes, 0, 0, -1);
    setProducer(bytes, { ...this.#producer, sequence: this.#sequence });
    this.#sequence = (this.#sequence + count) % 2 ** 31;
    const { topic, partition } = this.#place;
    // Batches behind one that is tried again come too early, and are tried again as well.
    const passing = (error: unknown): boolean =>
      isPassing(error) || failedWith(error, CODES.OUT_OF_ORDER_SEQUENCE_NUMBER);
    const options = { ...retryOn(this.#cluster), passing };
    return retrying(async () => {
      const answer = await this.#cluster.call(
        this.#cluster.leaderOf(this.#place),
        'produce',
        Produce,
        PRODUCE,
        {
          acks: -1,
          timeoutMs: 30_000,
          topicData: [
            { name: topic, topicId: NO_UUID, partitionData: [{ index: partition, records: bytes }] },
          ],
        },
      );
      const { errorCode, baseOffset, errorMessage } = answer.responses[0]!.partitionResponses[0]!;
      requireOk(errorCode, `write to ${topic}/${partition}`, errorMessage);
      return baseOffset;
    }, options);
  }
}

/** What a group has committed, of all topics. */
export async function offsetsOf(cluster: Cluster, group: string): Promise<readonly GroupOffset[]> {
  const answer = await retrying(async () => {
    const { groups } = await cluster.callCoordinator('group', group, 'control', OffsetFetch, OFFSET_FETCH, {
      groupId: group,
      topics: null,
      groups: [{ groupId: group, topics: null }],
      requireStable: false,
    });
    requireOk(groups[0]!.errorCode, `tell the offsets of '${group}'`);
    return groups[0]!;
  }, retryOn(cluster)).catch((error) => {
    if (failedWith(error, CODES.GROUP_ID_NOT_FOUND) || isMillraceError(error, 'GROUP_NOT_FOUND'))
      return undefined;
    throw error;
  });
  return (answer?.topics ?? []).flatMap(({ name, partitions }) =>
    partitions
      .filter(({ errorCode, committedOffset }) => errorCode === 0 && committedOffset >= 0)
      .map(({ partitionIndex, committedOffset, metadata }) => ({
        topic: name,
        partition: partitionIndex,
        offset: committedOffset,
        metadata: metadata ?? '',
      })),
  );
}

/** Commits for a group without members. */
export async function commitOffsets(
  cluster: Cluster,
  group: string,
  offsets: readonly GroupOffset[],
): Promise<void> {
  if (offsets.length === 0) return;
  const topics = [...Map.groupBy(offsets, ({ topic }) => topic)].map(([name, list]) => ({
    name,
    partitions: list.map(({ partition, offset, metadata }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedMetadata: metadata,
    })),
  }));
  await retrying(async () => {
    const request = { groupId: group, memberId: '', topics };
    const answer = await cluster.callCoordinator(
      'group',
      group,
      'control',
      OffsetCommit,
      OFFSET_COMMIT,
      request,
    );
    for (const { partitions } of answer.topics)
      for (const { errorCode } of partitions) requireOk(errorCode, `set the offsets of '${group}'`);
  }, retryOn(cluster));
}

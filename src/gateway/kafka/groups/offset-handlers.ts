import { Buffer } from 'node:buffer';
import type {
  LogStore,
  OffsetCommit as Offset,
  ProducerIdentity,
  TopicPartition,
} from '../../../streams/index.ts';
import {
  OffsetCommit,
  OffsetDelete,
  OffsetFetch,
  type RequestOf,
  type ResponseOf,
  TxnOffsetCommit,
} from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, KafkaError, kafkaErrorCode, kafkaErrorName } from '../errors.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { placeKey, placeProblem } from '../places.ts';
import { type Committer, type GroupCoordinator, groupRefusal, requireGroup } from './coordinator.ts';

type CommitTopics = RequestOf<typeof OffsetCommit>['topics'];
type CommittedPartition = CommitTopics[number]['partitions'][number];
type CommitAnswer = ResponseOf<typeof OffsetCommit>['topics'];
type FetchedTopic = ResponseOf<typeof OffsetFetch>['groups'][number]['topics'][number];

/** Apache Kafka's default of `offset.metadata.max.bytes`. */
const METADATA_BYTES = 4_096;
/** From here on versions of OffsetCommit and OffsetFetch know members' epochs. */
const EPOCHS_FROM = 9;
/** From here on OffsetFetch asks for several groups. */
const FETCH_MANY_FROM = 8;
/** From here on TxnOffsetCommit makes the group part of the transaction by itself (KIP-890). */
const IMPLICIT_FROM = 5;
const NO_OFFSET = -1;

/** What both commits share: each partition is checked for itself, the rest is one change of the log. */
async function commit(
  { log, coordinator }: { log: LogStore; coordinator: GroupCoordinator },
  request: { readonly group: string; readonly topics: CommitTopics; readonly committer: Committer },
  context: RequestContext,
  producer?: ProducerIdentity,
): Promise<{ readonly topics: CommitAnswer }> {
  const { group, topics, committer } = request;
  const offsets: Offset[] = [];
  const gone: (TopicPartition & { readonly offset: number })[] = [];
  const check = (topic: string, partition: CommittedPartition): number => {
    const place = { topic, partition: partition.partitionIndex };
    const problem = placeProblem(log, place, context, 'read');
    if (problem !== 0) return problem;
    if (Buffer.byteLength(partition.committedMetadata ?? '') > METADATA_BYTES) {
      return KAFKA_ERRORS.OFFSET_METADATA_TOO_LARGE;
    }
    // Clients that want to begin anew commit an offset that is none: as good as no position.
    if (partition.committedOffset < 0) gone.push({ ...place, offset: partition.committedOffset });
    else offsets.push(offsetOf(place, partition));
    return 0;
  };
  const checked = topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map((partition) => ({
      partitionIndex: partition.partitionIndex,
      errorCode: check(name, partition),
    })),
  }));
  const admit = (): void => coordinator.admitCommit(group, committer);
  try {
    admit();
    const work = log.groups.setOffsets(group, offsets, { admit, ...(producer ? { producer } : {}) });
    coordinator.noteCommit(group, work);
    await work;
    if (gone.length > 0 && log.groups.find(group)) await log.groups.deleteOffsets(group, gone);
    coordinator.unset.note(group, [...offsets, ...gone]);
    return { topics: checked };
  } catch (error) {
    const code = commitError(error, producer !== undefined);
    return { topics: withErrors(checked, code) };
  }
}

function offsetOf(place: TopicPartition, committed: CommittedPartition): Offset {
  const { committedOffset, committedLeaderEpoch, committedMetadata } = committed;
  return {
    ...{ ...place, offset: committedOffset, done: [], metadata: committedMetadata ?? '' },
    ...(committedLeaderEpoch < 0 ? {} : { leaderEpoch: committedLeaderEpoch }),
  };
}

/** Where the change as a whole was refused, partitions that were fine carry its code. */
function withErrors(topics: CommitAnswer, code: number): CommitAnswer {
  return topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, errorCode }) => ({
      partitionIndex,
      errorCode: errorCode === 0 ? code : errorCode,
    })),
  }));
}

function commitError(error: unknown, transactional: boolean): number {
  const name = kafkaErrorName(error);
  if (name === 'UNKNOWN_PRODUCER_ID' && transactional) return KAFKA_ERRORS.INVALID_PRODUCER_ID_MAPPING;
  if (name === 'UNKNOWN_SERVER_ERROR') throw error;
  return KAFKA_ERRORS[name];
}

const refusedAll = (topics: CommitTopics, code: number): CommitAnswer =>
  topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: code })),
  }));

export function offsetCommitHandler(
  { streams: { log } }: Broker,
  coordinator: GroupCoordinator,
): Handler<typeof OffsetCommit> {
  return {
    api: OffsetCommit,
    async handle(request, context) {
      const { groupId: group, topics } = request;
      const refusal = groupRefusal(group, context);
      if (refusal !== 0) return { topics: refusedAll(topics, refusal) };
      const committer: Committer = {
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        epoch: request.generationIdOrMemberEpoch,
        transactional: false,
        knowsEpochs: context.version >= EPOCHS_FROM,
      };
      const work = commit({ log, coordinator }, { group, topics, committer }, context);
      context.proceed();
      return work;
    },
  };
}

export function txnOffsetCommitHandler(
  { streams: { log } }: Broker,
  coordinator: GroupCoordinator,
): Handler<typeof TxnOffsetCommit> {
  return {
    api: TxnOffsetCommit,
    async handle(request, context) {
      const { groupId: group, transactionalId, topics } = request;
      const { producerId, producerEpoch: epoch } = request;
      const refused = (code: number) => ({ topics: refusedAll(topics, code) });
      if (!context.permits('write', `transaction/${transactionalId}`)) {
        return refused(KAFKA_ERRORS.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
      }
      const refusal = groupRefusal(group, context);
      if (refusal !== 0) return refused(refusal);
      const transaction = log.producers.transaction(transactionalId);
      if (transaction?.producerId !== producerId) return refused(KAFKA_ERRORS.INVALID_PRODUCER_ID_MAPPING);
      if (transaction.epoch !== epoch) return refused(KAFKA_ERRORS.INVALID_PRODUCER_EPOCH);
      if (context.version < IMPLICIT_FROM && transaction.state !== 'ongoing') {
        return refused(KAFKA_ERRORS.INVALID_TXN_STATE);
      }
      const committer: Committer = {
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        epoch: request.generationId,
        transactional: true,
        knowsEpochs: true,
      };
      return commit({ log, coordinator }, { group, topics, committer }, context, { producerId, epoch });
    },
  };
}

export function offsetFetchHandler(
  { streams: { log } }: Broker,
  coordinator: GroupCoordinator,
): Handler<typeof OffsetFetch> {
  const positionFor = (group: string, place: TopicPartition) => {
    const found = log.groups.offsets(group, [place])[0];
    const committedOffset = coordinator.unset.find(group, place) ?? NO_OFFSET;
    return found ? positionOf(found, place.partition) : { ...nothing(place.partition, 0), committedOffset };
  };

  /** Positions of the partitions asked for, or of all that the principal may see. */
  const positions = (
    group: string,
    asked: readonly TopicPartition[] | null,
    stable: boolean,
    context: RequestContext,
  ): FetchedTopic[] => {
    const pending = new Set(stable ? log.groups.pending(group).map(placeKey) : []);
    const all = asked ?? log.groups.offsets(group);
    const byTopic = new Map<string, FetchedTopic['partitions'][number][]>();
    for (const { topic, partition } of all) {
      const permitted = context.permits('read', `stream/${topic}`);
      if (!permitted && asked === null) continue;
      const known = byTopic.get(topic) ?? [];
      byTopic.set(topic, known);
      if (!permitted) known.push(nothing(partition, KAFKA_ERRORS.TOPIC_AUTHORIZATION_FAILED));
      else if (pending.has(placeKey({ topic, partition }))) {
        known.push(nothing(partition, KAFKA_ERRORS.UNSTABLE_OFFSET_COMMIT));
      } else known.push(positionFor(group, { topic, partition }));
    }
    return [...byTopic].map(([name, partitions]) => ({ name, partitions }));
  };

  type Asked = RequestOf<typeof OffsetFetch>['topics'];
  const placesOf = (topics: Asked | null): TopicPartition[] | null =>
    topics?.flatMap(({ name, partitionIndexes }) =>
      partitionIndexes.map((partition) => ({ topic: name, partition })),
    ) ?? null;

  const requireMember = (group: string, memberId: string | null, memberEpoch: number): void => {
    if (memberId === null || memberEpoch < 0) return;
    const consumers = coordinator.consumer(group);
    if (consumers) consumers.requireMember(memberId, memberEpoch);
    else if (!log.groups.find(group)) throw new KafkaError('GROUP_ID_NOT_FOUND');
  };

  return {
    api: OffsetFetch,
    async handle({ groupId, topics, groups, requireStable }, context) {
      if (context.version < FETCH_MANY_FROM) {
        const refusal = groupRefusal(groupId, context);
        if (refusal !== 0) return { topics: [], errorCode: refusal, groups: [] };
        await coordinator.settled(groupId);
        return {
          topics: positions(groupId, placesOf(topics), requireStable, context),
          errorCode: 0,
          groups: [],
        };
      }
      const answers = groups.map(async ({ groupId, memberId, memberEpoch, topics }) => {
        try {
          requireGroup(groupId, context);
          requireMember(groupId, memberId, memberEpoch);
          await coordinator.settled(groupId);
          return {
            groupId,
            topics: positions(groupId, placesOf(topics), requireStable, context),
            errorCode: 0,
          };
        } catch (error) {
          if (!(error instanceof KafkaError)) throw error;
          return { groupId, topics: [], errorCode: error.code };
        }
      });
      return { topics: [], groups: await Promise.all(answers) };
    },
  };
}

const nothing = (partitionIndex: number, errorCode: number) => ({
  ...{ partitionIndex, committedOffset: NO_OFFSET, committedLeaderEpoch: -1, metadata: '', errorCode },
});

function positionOf(found: Offset, partitionIndex: number) {
  const { offset, leaderEpoch, metadata } = found;
  return {
    ...{ partitionIndex, committedOffset: offset, errorCode: 0 },
    ...{ committedLeaderEpoch: leaderEpoch ?? -1, metadata: metadata ?? '' },
  };
}

export function offsetDeleteHandler(
  { streams: { log } }: Broker,
  coordinator: GroupCoordinator,
): Handler<typeof OffsetDelete> {
  /** Throws NON_EMPTY_GROUP where it cannot be told what the members read. */
  const readers = (group: string): ((topic: string) => boolean) => {
    const classic = coordinator.classic(group);
    if (classic && classic.size > 0 && classic.protocolType !== 'consumer')
      throw new KafkaError('NON_EMPTY_GROUP');
    const holder = classic ?? coordinator.consumer(group);
    if (holder) return (topic) => holder.subscribes(topic);
    const members = log.groups.find(group)?.members ?? [];
    return (topic) => members.some(({ partitions }) => partitions.some((place) => place.topic === topic));
  };

  return {
    api: OffsetDelete,
    async handle({ groupId, topics }, context) {
      if (groupId === '') throw new KafkaError('INVALID_GROUP_ID');
      if (!context.permits('administer', `group/${groupId}`))
        throw new KafkaError('GROUP_AUTHORIZATION_FAILED');
      if (!log.groups.find(groupId)) throw new KafkaError('GROUP_ID_NOT_FOUND');
      const reads = readers(groupId);
      const gone: TopicPartition[] = [];
      const answers = topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => {
          const place = { topic: name, partition: partitionIndex };
          const problem = placeProblem(log, place, context, 'read');
          const errorCode = problem === 0 && reads(name) ? KAFKA_ERRORS.GROUP_SUBSCRIBED_TO_TOPIC : problem;
          if (errorCode === 0) gone.push(place);
          return { partitionIndex, errorCode };
        }),
      }));
      try {
        if (gone.length > 0) await log.groups.deleteOffsets(groupId, gone);
      } catch (error) {
        return { errorCode: kafkaErrorCode(error), topics: [] };
      }
      return { errorCode: 0, topics: answers };
    },
  };
}

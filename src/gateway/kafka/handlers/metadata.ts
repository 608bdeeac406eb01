import { MillraceError } from '../../../kernel/index.ts';
import type { TopicInfo } from '../../../streams/index.ts';
import { Metadata, NO_UUID, type RequestOf, type ResponseOf } from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, KafkaError, kafkaErrorCode } from '../errors.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { clusterOperations, topicOperations } from '../operations.ts';
import { LEADER_EPOCH } from '../topics.ts';

/** Before it an answer cannot leave out a name (KIP-516). */
const IDS_FROM_VERSION = 12;

type Request = RequestOf<typeof Metadata>;
type TopicAnswer = ResponseOf<typeof Metadata>['topics'][number];

/** Where everything is: on the one broker. Makes topics that are asked for by name, where that is allowed. */
export function metadataHandler(broker: Broker): Handler<typeof Metadata> {
  const { streams, cluster, topics, config } = broker;

  const describe = (topic: TopicInfo, request: Request, context: RequestContext): TopicAnswer => ({
    errorCode: 0,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions: Array.from({ length: topic.partitions }, (_, partitionIndex) => ({
      errorCode: 0,
      partitionIndex,
      leaderId: cluster.nodeId,
      leaderEpoch: LEADER_EPOCH,
      replicaNodes: [cluster.nodeId],
      isrNodes: [cluster.nodeId],
      offlineReplicas: [],
    })),
    ...(request.includeTopicAuthorizedOperations
      ? { topicAuthorizedOperations: topicOperations(topic.name, context) }
      : {}),
  });

  const absent = (errorCode: number, name: string | null, topicId: string): TopicAnswer => ({
    errorCode,
    name,
    topicId,
    isInternal: false,
    partitions: [],
  });

  const create = async (name: string): Promise<TopicInfo | number> => {
    try {
      await streams.define({ name, partitions: config.kafkaPartitions });
      return streams.log.topics.find(name) ?? KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION;
    } catch (error) {
      if (error instanceof MillraceError) return kafkaErrorCode(error);
      throw error;
    }
  };

  const named = async (name: string, request: Request, context: RequestContext): Promise<TopicAnswer> => {
    const resource = `stream/${name}`;
    const mayWrite = context.permits('write', resource);
    if (!mayWrite && !context.permits('read', resource)) {
      return absent(KAFKA_ERRORS.TOPIC_AUTHORIZATION_FAILED, name, NO_UUID);
    }
    const topic = streams.log.topics.find(name);
    if (topic) return describe(topic, request, context);
    const creates = config.kafkaAutoCreate && request.allowAutoTopicCreation && mayWrite;
    if (!creates) {
      const code = isTopicName(name) ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION';
      return absent(KAFKA_ERRORS[code], name, NO_UUID);
    }
    const made = await create(name);
    return typeof made === 'number' ? absent(made, name, NO_UUID) : describe(made, request, context);
  };

  const identified = (topicId: string, request: Request, context: RequestContext): TopicAnswer => {
    const topic = topics.byId(topicId);
    const known =
      topic && ['read', 'write'].some((action) => context.permits(action as 'read', `stream/${topic.name}`));
    if (!known) return absent(KAFKA_ERRORS.UNKNOWN_TOPIC_ID, null, topicId);
    return describe(topic, request, context);
  };

  const all = (request: Request, context: RequestContext): TopicAnswer[] =>
    streams.log.topics
      .list()
      .filter(({ name, internal }) => !internal && context.permits('read', `stream/${name}`))
      .map((topic) => describe(topic, request, context));

  return {
    api: Metadata,
    async handle(request, context) {
      const asked = context.version === 0 && request.topics?.length === 0 ? null : request.topics;
      const found: TopicAnswer[] = [];
      if (asked === null) found.push(...all(request, context));
      // One after another: two requests for a topic that is not there yet must not both make it.
      for (const { name, topicId } of asked ?? []) {
        if (name === null && context.version < IDS_FROM_VERSION) {
          throw new KafkaError('INVALID_REQUEST', 'a topic without a name needs a later version of Metadata');
        }
        found.push(
          name === null ? identified(topicId, request, context) : await named(name, request, context),
        );
      }
      return {
        brokers: [{ nodeId: cluster.nodeId, ...context.broker }],
        clusterId: cluster.id,
        controllerId: cluster.nodeId,
        topics: found,
        errorCode: 0,
        ...(request.includeClusterAuthorizedOperations
          ? { clusterAuthorizedOperations: clusterOperations(context) }
          : {}),
      };
    },
  };
}

/** The rules of Apache Kafka's `Topic.validate`, which are those of streams' names. */
function isTopicName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..';
}

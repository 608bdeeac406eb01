import type { TopicConfig, TopicInfo } from '../../../streams/index.ts';
import {
  CreateTopics,
  NO_UUID,
  type RequestOf,
  type ResponseOf,
} from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { type Outcome, outcomeOfError } from '../outcome.ts';
import { parseTopicConfig, showTopicConfig } from '../topic-configs.ts';

type Wanted = RequestOf<typeof CreateTopics>['topics'][number];
type Answer = ResponseOf<typeof CreateTopics>['topics'][number];

const DEFAULT_SOURCE = 5;
const TOPIC_SOURCE = 1;

/** Makes topics: streams without an app, a schema or a key path. */
export function createTopicsHandler({ streams, cluster, config }: Broker): Handler<typeof CreateTopics> {
  const create = async (
    wanted: Wanted,
    validateOnly: boolean,
    context: RequestContext,
  ): Promise<TopicInfo | undefined> => {
    const { name } = wanted;
    if (!context.permits('administer', `stream/${name}`)) throw new KafkaError('TOPIC_AUTHORIZATION_FAILED');
    const partitions = partitionsOf(wanted, cluster.nodeId, config.kafkaPartitions);
    const topicConfig = parseTopicConfig(wanted.configs);
    if (streams.log.topics.find(name)) {
      throw new KafkaError('TOPIC_ALREADY_EXISTS', `Topic '${name}' already exists.`);
    }
    const { cleanup, retentionMs, retentionBytes, ...rest } = topicConfig;
    const definition = { name, partitions, ...defined({ cleanup, retentionMs, retentionBytes }) };
    await streams.planDefine(definition);
    if (validateOnly) return undefined;
    await streams.define(definition);
    if (Object.keys(rest).length === 0) return streams.log.topics.find(name);
    try {
      return await streams.log.topics.alter(name, { config: rest });
    } catch (error) {
      // A value out of range: there must not be a topic that was refused.
      await streams.delete(name);
      throw error;
    }
  };

  const answer = async (wanted: Wanted, validateOnly: boolean, context: RequestContext): Promise<Answer> => {
    try {
      const topic = await create(wanted, validateOnly, context);
      return created(wanted.name, topic);
    } catch (error) {
      return refused(wanted.name, outcomeOfError(error));
    }
  };

  return {
    api: CreateTopics,
    async handle({ topics, validateOnly }, context) {
      const times = Map.groupBy(topics, ({ name }) => name);
      const answers: Answer[] = [];
      for (const [name, [wanted, ...again]] of times) {
        const twice = new KafkaError('INVALID_REQUEST', `Topic '${name}' is named more than once.`);
        answers.push(
          again.length > 0
            ? refused(name, outcomeOfError(twice))
            : await answer(wanted!, validateOnly, context),
        );
      }
      return { topics: answers };
    },
  };
}

type StreamConfig = Pick<TopicConfig, 'cleanup' | 'retentionMs' | 'retentionBytes'>;

const defined = (
  config: { [Key in keyof StreamConfig]: StreamConfig[Key] | undefined },
): Partial<StreamConfig> =>
  Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));

/** How many partitions, after a check of where their replicas are wanted. Throws KafkaError. */
function partitionsOf(
  { numPartitions, replicationFactor, assignments }: Wanted,
  nodeId: number,
  usual: number,
): number {
  if (assignments.length > 0) {
    if (numPartitions !== -1 || replicationFactor !== -1) {
      throw new KafkaError('INVALID_REQUEST', 'Give either replica assignments or numbers, not both.');
    }
    const indexes = assignments
      .map(({ partitionIndex }) => partitionIndex)
      .sort((left, right) => left - right);
    const isHere = assignments.every(({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === nodeId);
    if (!isHere || indexes.some((index, place) => index !== place)) {
      throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', `Broker ${nodeId} is the only one there is.`);
    }
    return assignments.length;
  }
  if (replicationFactor !== -1 && replicationFactor !== 1) {
    throw new KafkaError(
      'INVALID_REPLICATION_FACTOR',
      'There is one broker, so the replication factor is 1 (or -1).',
    );
  }
  if (numPartitions === -1) return usual;
  if (numPartitions < 1) throw new KafkaError('INVALID_PARTITIONS', 'A topic has at least one partition.');
  return numPartitions;
}

function created(name: string, topic: TopicInfo | undefined): Answer {
  return {
    ...{ name, errorCode: 0, errorMessage: null, topicId: topic?.id ?? NO_UUID },
    numPartitions: topic?.partitions ?? -1,
    replicationFactor: topic ? 1 : -1,
    configs: topic
      ? showTopicConfig(topic.config).map(({ name: key, value, readOnly, isDefault }) => ({
          ...{ name: key, value, readOnly, isSensitive: false },
          configSource: isDefault ? DEFAULT_SOURCE : TOPIC_SOURCE,
        }))
      : [],
  };
}

const refused = (name: string, outcome: Outcome): Answer => ({
  name,
  topicId: NO_UUID,
  configs: null,
  ...outcome,
});

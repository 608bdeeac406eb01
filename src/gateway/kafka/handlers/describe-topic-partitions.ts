import type { TopicInfo } from '../../../streams/index.ts';
import {
  DescribeTopicPartitions,
  NO_UUID,
  type RequestOf,
  type ResponseOf,
} from '../../../streams/kafka-protocol/index.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { topicOperations } from '../operations.ts';
import { LEADER_EPOCH } from '../topics.ts';

type Cursor = RequestOf<typeof DescribeTopicPartitions>['cursor'];
type Answer = ResponseOf<typeof DescribeTopicPartitions>['topics'][number];

/** Apache Kafka's own bound of one answer. */
const MOST_PARTITIONS = 2000;

/** Topics with their partitions, page by page (KIP-966). */
export function describeTopicPartitionsHandler(broker: Broker): Handler<typeof DescribeTopicPartitions> {
  const { streams, topics, cluster } = broker;

  const page = (topic: TopicInfo, from: number, most: number, context: RequestContext): Answer => ({
    ...{ errorCode: 0, name: topic.name, topicId: topic.id, isInternal: topic.internal },
    partitions: Array.from({ length: Math.min(topic.partitions - from, most) }, (_, index) => ({
      errorCode: 0,
      partitionIndex: from + index,
      leaderId: cluster.nodeId,
      leaderEpoch: LEADER_EPOCH,
      replicaNodes: [cluster.nodeId],
      isrNodes: [cluster.nodeId],
      offlineReplicas: [],
      // Java's client takes null for a fault.
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
    })),
    topicAuthorizedOperations: topicOperations(topic.name, context),
  });

  const namesOf = (asked: readonly { readonly name: string }[], { permits }: RequestContext): string[] => {
    const names =
      asked.length > 0
        ? asked.map(({ name }) => name)
        : streams.log.topics
            .list()
            .filter(({ name, internal }) => !internal && permits('read', `stream/${name}`))
            .map(({ name }) => name);
    return [...new Set(names)].sort();
  };

  return {
    api: DescribeTopicPartitions,
    handle({ topics: asked, responsePartitionLimit, cursor }, context) {
      let left = Math.max(1, Math.min(responsePartitionLimit, MOST_PARTITIONS));
      const answers: Answer[] = [];
      let nextCursor: Cursor = null;
      for (const name of namesOf(asked, context)) {
        if (cursor && name < cursor.topicName) continue;
        const from = cursor?.topicName === name ? Math.max(0, cursor.partitionIndex) : 0;
        if (left === 0) {
          nextCursor = { topicName: name, partitionIndex: from };
          break;
        }
        const { topic, errorCode } = topics.find({ name, topicId: NO_UUID }, 'read', context);
        if (!topic) {
          answers.push({ errorCode, name, topicId: NO_UUID, isInternal: false, partitions: [] });
          continue;
        }
        const answer = page(topic, from, left, context);
        answers.push(answer);
        left -= answer.partitions.length;
        const end = from + answer.partitions.length;
        if (end < topic.partitions) {
          nextCursor = { topicName: name, partitionIndex: end };
          break;
        }
      }
      return { topics: answers, nextCursor };
    },
  };
}

import type { LogStore, TopicPartition } from '../../streams/index.ts';
import { KAFKA_ERRORS } from './errors.ts';
import type { RequestContext } from './handler.ts';

export const placeKey = ({ topic, partition }: TopicPartition): string => `${partition}/${topic}`;

/** The code for a partition that the principal may not use or that is not there; 0 where it is fine. */
export function placeProblem(
  log: LogStore,
  { topic, partition }: TopicPartition,
  context: RequestContext,
  action: 'read' | 'write',
): number {
  if (!context.permits(action, `stream/${topic}`)) return KAFKA_ERRORS.TOPIC_AUTHORIZATION_FAILED;
  const partitions = log.topics.find(topic)?.partitions ?? 0;
  return partition >= 0 && partition < partitions ? 0 : KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION;
}

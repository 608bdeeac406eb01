import { ListPartitionReassignments } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Handler } from '../handler.ts';

/** None: with one broker nothing moves. Tools that describe topics ask. */
export function listPartitionReassignmentsHandler(): Handler<typeof ListPartitionReassignments> {
  return {
    api: ListPartitionReassignments,
    handle(_request, { permits }) {
      if (!permits('read', 'platform/kafka')) throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED');
      return { errorCode: 0, errorMessage: null, topics: [] };
    },
  };
}

import { DescribeCluster } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';
import { clusterOperations } from '../operations.ts';

const BROKERS = 1;

/** The cluster of one broker. */
export function describeClusterHandler({ cluster }: Broker): Handler<typeof DescribeCluster> {
  return {
    api: DescribeCluster,
    handle({ includeClusterAuthorizedOperations, endpointType }, context) {
      if (endpointType !== BROKERS) throw new KafkaError('UNSUPPORTED_ENDPOINT_TYPE', 'This is a broker.');
      return {
        errorCode: 0,
        clusterId: cluster.id,
        controllerId: cluster.nodeId,
        brokers: [{ brokerId: cluster.nodeId, ...context.broker, isFenced: false }],
        ...(includeClusterAuthorizedOperations
          ? { clusterAuthorizedOperations: clusterOperations(context) }
          : {}),
      };
    },
  };
}

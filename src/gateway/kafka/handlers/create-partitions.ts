import { CreatePartitions, type RequestOf } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { outcomeOf } from '../outcome.ts';

type Wanted = RequestOf<typeof CreatePartitions>['topics'][number];

/** Adds partitions to topics. */
export function createPartitionsHandler({ streams, cluster }: Broker): Handler<typeof CreatePartitions> {
  const grow = async (
    { name, count, assignments }: Wanted,
    validateOnly: boolean,
    context: RequestContext,
  ) => {
    if (!context.permits('administer', `stream/${name}`)) throw new KafkaError('TOPIC_AUTHORIZATION_FAILED');
    const { partitions } = streams.describe(name);
    if (count <= partitions) {
      throw new KafkaError(
        'INVALID_PARTITIONS',
        `Topic '${name}' has ${partitions} partitions; ask for more than that.`,
      );
    }
    if (assignments && assignments.length !== count - partitions) {
      throw new KafkaError(
        'INVALID_REPLICA_ASSIGNMENT',
        `Name the replicas of ${count - partitions} new partitions.`,
      );
    }
    if (assignments?.some(({ brokerIds }) => brokerIds.length !== 1 || brokerIds[0] !== cluster.nodeId)) {
      throw new KafkaError(
        'INVALID_REPLICA_ASSIGNMENT',
        `Broker ${cluster.nodeId} is the only one there is.`,
      );
    }
    const definition = { name, partitions: count };
    await (validateOnly ? streams.planDefine(definition) : streams.define(definition));
  };

  return {
    api: CreatePartitions,
    async handle({ topics, validateOnly }, context) {
      const results = [];
      for (const wanted of topics) {
        results.push({ name: wanted.name, ...(await outcomeOf(() => grow(wanted, validateOnly, context))) });
      }
      return { results };
    },
  };
}

import { ElectLeaders } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';
import { refusal } from '../outcome.ts';

/** Nothing to elect: the one broker leads. */
export function electLeadersHandler({ streams: { log } }: Broker): Handler<typeof ElectLeaders> {
  return {
    api: ElectLeaders,
    handle({ topicPartitions }, { permits }) {
      if (!permits('administer', 'platform/kafka')) throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED');
      return {
        errorCode: 0,
        replicaElectionResults: (topicPartitions ?? []).map(({ topic, partitions }) => ({
          topic,
          partitionResult: partitions.map((partitionId) => {
            const known = partitionId >= 0 && partitionId < (log.topics.find(topic)?.partitions ?? 0);
            return {
              partitionId,
              ...(known
                ? refusal('ELECTION_NOT_NEEDED', 'The one broker leads already.')
                : refusal(
                    'UNKNOWN_TOPIC_OR_PARTITION',
                    `There is no partition ${partitionId} of '${topic}'.`,
                  )),
            };
          }),
        })),
      };
    },
  };
}

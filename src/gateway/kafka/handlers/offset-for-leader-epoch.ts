import { NO_UUID, OffsetForLeaderEpoch } from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';
import { LEADER_EPOCH, leaderEpochError } from '../topics.ts';

/** Where the records of a leader epoch end: those of the only one at the end of the log (KIP-320). */
export function offsetForLeaderEpochHandler({
  streams,
  topics,
}: Broker): Handler<typeof OffsetForLeaderEpoch> {
  return {
    api: OffsetForLeaderEpoch,
    handle: ({ topics: asked }, context) => ({
      topics: asked.map(({ topic: name, partitions }) => {
        const { topic, errorCode } = topics.find({ name, topicId: NO_UUID }, 'read', context);
        return {
          topic: name,
          partitions: partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => {
            const known = topic && partition >= 0 && partition < topic.partitions;
            const code = known
              ? leaderEpochError(currentLeaderEpoch)
              : errorCode || KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION;
            if (code !== 0) return { partition, errorCode: code };
            if (leaderEpoch !== LEADER_EPOCH) return { partition, errorCode: 0 };
            const { highWatermark } = streams.log.bounds({ topic: name, partition });
            return { partition, errorCode: 0, leaderEpoch: LEADER_EPOCH, endOffset: highWatermark };
          }),
        };
      }),
    }),
  };
}

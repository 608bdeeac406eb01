import { MillraceError } from '../../../kernel/index.ts';
import type { TopicPartition } from '../../../streams/index.ts';
import {
  ListOffsets,
  NO_UUID,
  type RequestOf,
  type ResponseOf,
} from '../../../streams/kafka-protocol/index.ts';
import { kafkaErrorCode } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';
import { LEADER_EPOCH, leaderEpochError } from '../topics.ts';

type PartitionRequest = RequestOf<typeof ListOffsets>['topics'][number]['partitions'][number];
type PartitionAnswer = ResponseOf<typeof ListOffsets>['topics'][number]['partitions'][number];

/** Times that stand for a place instead (Apache Kafka, ListOffsetsRequest). */
const LATEST = -1;
const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
const EARLIEST_LOCAL = -4;
const LATEST_TIERED = -5;

interface Place {
  readonly offset: number;
  readonly timeMs: number;
}

const NOWHERE: Place = { offset: -1, timeMs: -1 };

/** Where a reader is to begin: the start, the end, or the first record at or after a time. */
export function listOffsetsHandler({ streams: { log }, topics }: Broker): Handler<typeof ListOffsets> {
  const placeOf = async (partition: TopicPartition, timeMs: number, committed: boolean): Promise<Place> => {
    const { logStartOffset, highWatermark, lastStableOffset } = log.bounds(partition);
    const end = committed ? lastStableOffset : highWatermark;
    switch (timeMs) {
      case LATEST:
        return { offset: end, timeMs: -1 };
      case EARLIEST:
      case EARLIEST_LOCAL:
        return { offset: logStartOffset, timeMs: -1 };
      case LATEST_TIERED:
        return NOWHERE;
      case MAX_TIMESTAMP:
        return (await log.offsetForMaxTime(partition)) ?? NOWHERE;
      default: {
        const found = timeMs < 0 ? undefined : await log.offsetForTime(partition, timeMs);
        return found && found.offset < end ? found : NOWHERE;
      }
    }
  };

  const answer = async (
    topic: string,
    { partitionIndex, timestamp, currentLeaderEpoch }: PartitionRequest,
    committed: boolean,
  ): Promise<PartitionAnswer> => {
    const errorCode = leaderEpochError(currentLeaderEpoch);
    if (errorCode !== 0) return { partitionIndex, errorCode };
    try {
      const place = await placeOf({ topic, partition: partitionIndex }, timestamp, committed);
      const leaderEpoch = place.offset < 0 ? -1 : LEADER_EPOCH;
      return { partitionIndex, errorCode: 0, timestamp: place.timeMs, offset: place.offset, leaderEpoch };
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      return { partitionIndex, errorCode: kafkaErrorCode(error) };
    }
  };

  return {
    api: ListOffsets,
    async handle({ topics: asked, isolationLevel }, context) {
      const answers = asked.map(async ({ name, partitions }) => {
        const { topic, errorCode } = topics.find({ name, topicId: NO_UUID }, 'read', context);
        return {
          name,
          partitions: await Promise.all(
            partitions.map((each) =>
              topic
                ? answer(topic.name, each, isolationLevel === 1)
                : { partitionIndex: each.partitionIndex, errorCode },
            ),
          ),
        };
      });
      return { topics: await Promise.all(answers) };
    },
  };
}

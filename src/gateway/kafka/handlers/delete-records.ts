import { DeleteRecords, NO_UUID } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError, kafkaErrorCode } from '../errors.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { outcomeOfError } from '../outcome.ts';

/** Moves the start of partitions forward. */
export function deleteRecordsHandler({ streams: { log }, topics }: Broker): Handler<typeof DeleteRecords> {
  const remove = async (name: string, partition: number, offset: number, context: RequestContext) => {
    const { topic, errorCode } = topics.find({ name, topicId: NO_UUID }, 'write', context);
    if (!topic) return { partitionIndex: partition, lowWatermark: -1, errorCode };
    try {
      if (topic.internal || topic.config.cleanup === 'compact') throw new KafkaError('POLICY_VIOLATION');
      const lowWatermark = await log.deleteRecords({ topic: name, partition }, offset);
      return { partitionIndex: partition, lowWatermark, errorCode: 0 };
    } catch (error) {
      outcomeOfError(error);
      return { partitionIndex: partition, lowWatermark: -1, errorCode: kafkaErrorCode(error) };
    }
  };

  return {
    api: DeleteRecords,
    async handle({ topics: asked }, context) {
      const answers = asked.map(async ({ name, partitions }) => ({
        name,
        partitions: await Promise.all(
          partitions.map(({ partitionIndex, offset }) => remove(name, partitionIndex, offset, context)),
        ),
      }));
      return { topics: await Promise.all(answers) };
    },
  };
}

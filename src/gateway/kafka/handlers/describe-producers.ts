import { DescribeProducers, NO_UUID } from '../../../streams/kafka-protocol/index.ts';
import type { Broker, Handler } from '../handler.ts';
import { outcomeOf } from '../outcome.ts';

/** Producers that partitions know: what an operator needs to find a transaction that hangs. */
export function describeProducersHandler({
  streams: { log },
  topics,
}: Broker): Handler<typeof DescribeProducers> {
  const describe = async (topic: string, partitionIndex: number) => {
    let active: ReturnType<typeof log.producers.active> = [];
    const outcome = await outcomeOf(() => {
      active = log.producers.active({ topic, partition: partitionIndex });
    });
    return {
      partitionIndex,
      ...outcome,
      activeProducers: active.map(
        ({ producerId, epoch, lastSequence, lastTimeMs, transactionStartOffset }) => ({
          producerId,
          producerEpoch: epoch,
          lastSequence,
          lastTimestamp: lastTimeMs,
          coordinatorEpoch: 0,
          currentTxnStartOffset: transactionStartOffset ?? -1,
        }),
      ),
    };
  };

  return {
    api: DescribeProducers,
    async handle({ topics: asked }, context) {
      const answers = asked.map(async ({ name, partitionIndexes }) => {
        const { topic, errorCode } = topics.find({ name, topicId: NO_UUID }, 'read', context);
        const refused = (partitionIndex: number) => ({ partitionIndex, errorCode, activeProducers: [] });
        return {
          name,
          partitions: await Promise.all(
            partitionIndexes.map((index) => (topic ? describe(name, index) : refused(index))),
          ),
        };
      });
      return { topics: await Promise.all(answers) };
    },
  };
}

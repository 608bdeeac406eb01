import {
  BATCH_HEADER_BYTES,
  type LogStore,
  readBatchHeader,
  type TopicPartition,
} from '../../../streams/index.ts';
import { KAFKA_ERRORS } from '../errors.ts';
import { transactionError } from './errors.ts';

/** From here on Produce takes partitions into the open transaction by itself, and opens one where none is (KIP-890). */
export const IMPLICIT_FROM = 12;

interface Sent extends TopicPartition {
  readonly records: Uint8Array | null;
}

/** Takes the partitions that transactional batches are sent to into the transaction; answers with an error's code, or 0. */
export async function joinTransaction(
  log: LogStore,
  transactionalId: string,
  sent: readonly Sent[],
): Promise<number> {
  const there = sent.filter(
    ({ topic, partition, records }) =>
      (records?.length ?? 0) >= BATCH_HEADER_BYTES &&
      partition >= 0 &&
      partition < (log.topics.find(topic)?.partitions ?? 0),
  );
  const first = there[0]?.records;
  if (!first) return 0; // each is refused for what it lacks
  const { producerId, producerEpoch: epoch } = readBatchHeader(first);
  const places = there.map(({ topic, partition }) => ({ topic, partition }));
  try {
    await log.producers.addPartitions(transactionalId, { producerId, epoch }, places);
    return 0;
  } catch (error) {
    return KAFKA_ERRORS[transactionError(error, false)];
  }
}

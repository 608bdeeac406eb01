import { InitProducerId, Produce } from '../../streams/kafka-protocol/index.ts';
import type { ProducerIdentity, TopicPartition } from '../../streams/port.ts';
import { placeKey } from './bounds.ts';
import type { Cluster } from './cluster.ts';
import { isPassing, requireOk } from './failure.ts';
import { replicasWithinMs } from './options.ts';
import { retrying } from './retry.ts';

const PRODUCE = 9;
export const INIT_PRODUCER_ID = 4;
/** All replicas in sync: the only one that idempotent and transactional batches may have. */
const ALL = -1;

export interface ProducedAt {
  readonly baseOffset: number;
  readonly appendTimeMs: number;
  readonly logStartOffset: number;
}

/** One batch for one partition, as the cluster names it. */
export interface BatchFor extends TopicPartition {
  readonly batch: Uint8Array;
}

/**
 * Appends one batch each to several partitions, trying again while leaders move. The result of each is in the order of the
 * batches; a failure of one says nothing of the others. `onSettled` hears of each as soon as it is certain: one that is tried
 * again holds up no other.
 */
export async function produce(
  cluster: Cluster,
  batches: readonly BatchFor[],
  transactionalId: string | null,
  onSettled?: (index: number, result: PromiseSettledResult<ProducedAt>) => void,
): Promise<PromiseSettledResult<ProducedAt>[]> {
  const results = new Map<BatchFor, PromiseSettledResult<ProducedAt>>();
  let left = batches;
  const settle = (batch: BatchFor): void => onSettled?.(batches.indexOf(batch), results.get(batch)!);
  const attempt = async (): Promise<void> => {
    const failed: BatchFor[] = [];
    let passing: unknown;
    await Promise.all(
      byLeader(cluster, left).map(async ([leader, of]) => {
        for (const [batch, result] of await produceAt(cluster, leader, of, transactionalId)) {
          results.set(batch, result);
          if (result.status === 'fulfilled' || !isPassing(result.reason)) {
            settle(batch);
            continue;
          }
          failed.push(batch);
          passing = result.reason;
        }
      }),
    );
    left = failed;
    if (left.length > 0) throw passing;
  };
  const { retryForMs: forMs } = cluster.options;
  const stopped = (): boolean => cluster.closed;
  await retrying(attempt, { forMs, stopped, refresh: () => cluster.refresh() }).catch(() => undefined);
  for (const batch of left) settle(batch);
  return batches.map((batch) => results.get(batch)!);
}

type Settled = readonly [BatchFor, PromiseSettledResult<ProducedAt>];

function byLeader(cluster: Cluster, batches: readonly BatchFor[]): [number, BatchFor[]][] {
  return [
    ...Map.groupBy(batches, ({ topic, partition }) => cluster.topics.get(topic)?.leaders[partition] ?? -1),
  ];
}

async function produceAt(
  cluster: Cluster,
  leader: number,
  batches: readonly BatchFor[],
  transactionalId: string | null,
): Promise<Settled[]> {
  const all = (reason: unknown): Settled[] => batches.map((batch) => [batch, { status: 'rejected', reason }]);
  try {
    if (leader < 0) cluster.leaderOf(batches[0]!);
    const purpose = transactionalId === null ? 'produce' : 'transactions';
    const answer = await cluster.call(leader, purpose, Produce, PRODUCE, {
      transactionalId,
      acks: ALL,
      timeoutMs: replicasWithinMs(cluster.options),
      topicData: [...Map.groupBy(batches, ({ topic }) => topic)].map(([name, of]) => ({
        name,
        topicId: '',
        partitionData: of.map(({ partition, batch }) => ({ index: partition, records: batch })),
      })),
    });
    const found = new Map(
      answer.responses.flatMap(({ name, partitionResponses }) =>
        partitionResponses.map((one) => [placeKey({ topic: name, partition: one.index }), one] as const),
      ),
    );
    return batches.map((batch): Settled => {
      const one = found.get(placeKey(batch))!;
      const { baseOffset, logAppendTimeMs, logStartOffset, errorCode, errorMessage } = one;
      try {
        requireOk(errorCode, `append to '${batch.topic}'`, errorMessage);
        const value = { baseOffset, appendTimeMs: logAppendTimeMs, logStartOffset };
        return [batch, { status: 'fulfilled', value }];
      } catch (reason) {
        return [batch, { status: 'rejected', reason }];
      }
    });
  } catch (error) {
    return all(error);
  }
}

/** A producer id of its own, for batches that are to be appended once however often they are sent. */
export async function newProducerId(cluster: Cluster): Promise<ProducerIdentity> {
  const request = { transactionalId: null, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 };
  return retrying(
    async () => {
      const answer = await cluster.callAny(InitProducerId, INIT_PRODUCER_ID, request);
      requireOk(answer.errorCode, 'give a producer id');
      return { producerId: answer.producerId, epoch: answer.producerEpoch };
    },
    { forMs: cluster.options.retryForMs, refresh: () => cluster.refresh(), stopped: () => cluster.closed },
  );
}

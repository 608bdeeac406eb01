import {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  EndTxn,
  InitProducerId,
  ListTransactions,
  TxnOffsetCommit,
} from '../../streams/kafka-protocol/index.ts';
import type { ProducerIdentity, TopicPartition } from '../../streams/port.ts';
import type { Cluster } from './cluster.ts';
import { CODES, failedWith, isPassing, KafkaFailure, requireOk } from './failure.ts';
import type { CommittedOffset } from './positions.ts';
import { INIT_PRODUCER_ID } from './producing.ts';
import { retrying } from './retry.ts';

/*
 * Versions before KIP-890's second part: a transaction keeps its producer epoch, which is what the port promises to
 * producers, and partitions are added by a call of their own.
 */
const ADD_PARTITIONS = 3;
const ADD_OFFSETS = 3;
const END = 3;
/** With KIP-890's second part. */
const END_AND_RAISE = 5;
const OFFSET_COMMIT = 3;
const LIST_TRANSACTIONS = 0;

/** Who commits offsets in a transaction; outside a group nobody in particular. */
export interface GroupIdentity {
  readonly group: string;
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
}

/** The calls of transactions, each tried again while coordinators move and earlier transactions complete. */
export class TransactionCalls {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Aborts what an earlier holder of the id left open and fences it. */
  init(transactionalId: string, timeoutMs: number, current?: ProducerIdentity): Promise<ProducerIdentity> {
    return this.#retrying(transactionalId, async () => {
      const answer = await this.#cluster.callCoordinator(
        'transaction',
        transactionalId,
        'transactions',
        InitProducerId,
        INIT_PRODUCER_ID,
        {
          transactionalId,
          transactionTimeoutMs: timeoutMs,
          producerId: current?.producerId ?? -1,
          producerEpoch: current?.epoch ?? -1,
        },
      );
      requireOk(answer.errorCode, `begin with the transactional id '${transactionalId}'`);
      return { producerId: answer.producerId, epoch: answer.producerEpoch };
    });
  }

  addPartitions(
    transactionalId: string,
    producer: ProducerIdentity,
    places: readonly TopicPartition[],
  ): Promise<void> {
    const topics = [...Map.groupBy(places, ({ topic }) => topic)].map(([name, of]) => ({
      name,
      partitions: of.map(({ partition }) => partition),
    }));
    return this.#retrying(transactionalId, async () => {
      const answer = await this.#cluster.callCoordinator(
        'transaction',
        transactionalId,
        'transactions',
        AddPartitionsToTxn,
        ADD_PARTITIONS,
        {
          transactions: [],
          v3AndBelowTransactionalId: transactionalId,
          v3AndBelowProducerId: producer.producerId,
          v3AndBelowProducerEpoch: producer.epoch,
          v3AndBelowTopics: topics,
        },
      );
      for (const { name, resultsByPartition } of answer.resultsByTopicV3AndBelow) {
        for (const { partitionErrorCode } of resultsByPartition) {
          requireOk(partitionErrorCode, `add '${name}' to a transaction`);
        }
      }
    });
  }

  async addOffsets(transactionalId: string, producer: ProducerIdentity, groupId: string): Promise<void> {
    const { producerId, epoch: producerEpoch } = producer;
    await this.#retrying(transactionalId, async () => {
      const answer = await this.#cluster.callCoordinator(
        'transaction',
        transactionalId,
        'transactions',
        AddOffsetsToTxn,
        ADD_OFFSETS,
        { transactionalId, producerId, producerEpoch, groupId },
      );
      requireOk(answer.errorCode, `add the offsets of '${groupId}' to a transaction`);
    });
  }

  async commitOffsets(
    transactionalId: string,
    producer: ProducerIdentity,
    who: GroupIdentity,
    offsets: readonly CommittedOffset[],
  ): Promise<void> {
    const request = {
      ...{
        transactionalId,
        groupId: who.group,
        producerId: producer.producerId,
        producerEpoch: producer.epoch,
      },
      ...{ generationId: who.generation, memberId: who.memberId, groupInstanceId: who.instanceId },
      topics: offsetTopics(offsets),
    };
    await this.#retrying(
      who.group,
      async () => {
        const answer = await this.#cluster.callCoordinator(
          'group',
          who.group,
          'transactions',
          TxnOffsetCommit,
          OFFSET_COMMIT,
          request,
        );
        for (const { partitions } of answer.topics) {
          for (const { errorCode } of partitions) requireOk(errorCode, `commit offsets of '${who.group}'`);
        }
      },
      'group',
    );
  }

  /** Resolves to the identity to go on with: one epoch higher with `raiseEpoch`. */
  async end(
    transactionalId: string,
    producer: ProducerIdentity,
    outcome: 'commit' | 'abort',
    raiseEpoch = false,
  ): Promise<ProducerIdentity> {
    const { producerId, epoch: producerEpoch } = producer;
    return this.#retrying(transactionalId, async () => {
      const answer = await this.#cluster.callCoordinator(
        'transaction',
        transactionalId,
        'transactions',
        EndTxn,
        raiseEpoch ? END_AND_RAISE : END,
        { transactionalId, producerId, producerEpoch, committed: outcome === 'commit' },
      );
      requireOk(answer.errorCode, `${outcome} the transaction of '${transactionalId}'`);
      return raiseEpoch ? { producerId: answer.producerId, epoch: answer.producerEpoch } : producer;
    });
  }

  /** Resolves when all partitions know how it ended: until then readers of committed records do not see it. Waits no longer than that. */
  async settled(transactionalId: string, { producerId }: ProducerIdentity, withinMs: number): Promise<void> {
    const request = { stateFilters: ['PrepareCommit', 'PrepareAbort'], producerIdFilters: [producerId] };
    const look = async (): Promise<void> => {
      const node = await this.#cluster.coordinatorOf('transaction', transactionalId);
      const answer = await this.#cluster.call(
        node,
        'transactions',
        ListTransactions,
        LIST_TRANSACTIONS,
        request,
      );
      requireOk(answer.errorCode, `tell of the transaction of '${transactionalId}'`);
      if (answer.transactionStates.length > 0) {
        throw new KafkaFailure(CODES.CONCURRENT_TRANSACTIONS, `end the transaction of '${transactionalId}'`);
      }
    };
    await this.#retrying(transactionalId, look, 'transaction', withinMs).catch((error) => {
      if (!isPassing(error)) throw error;
    });
  }

  /** The transactional id that a producer id belongs to, whoever began with it. */
  async idOf(producerId: number): Promise<string | undefined> {
    const request = { stateFilters: [], producerIdFilters: [producerId] };
    const answers = await Promise.all(
      this.#cluster.nodes.map((node) =>
        this.#cluster.call(node, 'control', ListTransactions, LIST_TRANSACTIONS, request),
      ),
    );
    return answers.flatMap((answer) => answer.transactionStates)[0]?.transactionalId;
  }

  #retrying<Result>(
    key: string,
    work: () => Promise<Result>,
    kind: 'group' | 'transaction' = 'transaction',
    forMs = this.#cluster.options.retryForMs,
  ): Promise<Result> {
    const cluster = this.#cluster;
    return retrying(work, {
      forMs,
      stopped: () => cluster.closed,
      passing: isPassing,
      refresh: (error) => {
        // One transaction of an id at a time: the one before is still writing its markers.
        if (isBusy(error)) return undefined;
        cluster.forgetCoordinator(kind, key);
        return cluster.refresh();
      },
    });
  }
}

const isBusy = (error: unknown): boolean => failedWith(error, CODES.CONCURRENT_TRANSACTIONS);

/** By topic, as the messages of offsets have them. */
export function offsetTopics(offsets: readonly CommittedOffset[]) {
  return [...Map.groupBy(offsets, ({ topic }) => topic)].map(([name, of]) => ({
    name,
    partitions: of.map(({ partition, offset, leaderEpoch, metadata }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: leaderEpoch,
      committedMetadata: metadata,
    })),
  }));
}

import { MillraceError } from '../../../kernel/index.ts';
import type { LogStore, TopicPartition, TransactionInfo } from '../../../streams/index.ts';
import {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  byTopic,
  DescribeProducers,
  DescribeTransactions,
  EndTxn,
  InitProducerId,
  ListTransactions,
  type RequestOf,
} from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, KafkaError, kafkaErrorCode } from '../errors.ts';
import { requireGroup } from '../groups/coordinator.ts';
import { compileRegex } from '../groups/regex.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { placeKey, placeProblem } from '../places.ts';
import { transactionError } from './errors.ts';

type TxnTopics = RequestOf<typeof AddPartitionsToTxn>['v3AndBelowTopics'];

/** First versions that tell a fenced producer so by an error of its own (KIP-588). */
const FENCED_FROM = { init: 4, add: 2, end: 2 };
/** From here on the end of a transaction raises its producer's epoch (KIP-890). */
const RAISE_EPOCH_FROM = 5;
/** From here on AddPartitionsToTxn brings several transactions. */
const ADD_MANY_FROM = 4;

const STATES: { readonly [State in TransactionInfo['state']]: string } = {
  empty: 'Empty',
  ongoing: 'Ongoing',
  prepareCommit: 'PrepareCommit',
  prepareAbort: 'PrepareAbort',
  completeCommit: 'CompleteCommit',
  completeAbort: 'CompleteAbort',
};

function requireTransaction(transactionalId: string, context: RequestContext): void {
  if (context.permits('write', `transaction/${transactionalId}`)) return;
  throw new KafkaError('TRANSACTIONAL_ID_AUTHORIZATION_FAILED');
}

/** Whoever may write to any topic may be an idempotent producer (Apache Kafka since 2.8). */
function requireIdempotentWrite(log: LogStore, { permits }: RequestContext): void {
  if (permits('write', 'platform/kafka')) return;
  if (log.topics.list().some(({ name }) => permits('write', `stream/${name}`))) return;
  throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED');
}

export function initProducerIdHandler({ streams: { log } }: Broker): Handler<typeof InitProducerId> {
  return {
    api: InitProducerId,
    async handle(request, context) {
      const { transactionalId, transactionTimeoutMs, producerId, producerEpoch } = request;
      const none = { producerId: -1, producerEpoch: -1 };
      try {
        if (transactionalId === null) {
          requireIdempotentWrite(log, context);
          const { producerId, epoch } = await log.producers.init({});
          return { errorCode: 0, producerId, producerEpoch: epoch };
        }
        if (transactionalId === '' || producerId < 0 !== producerEpoch < 0)
          throw new KafkaError('INVALID_REQUEST');
        requireTransaction(transactionalId, context);
        const current = producerId < 0 ? {} : { current: { producerId, epoch: producerEpoch } };
        const identity = await log.producers.init({ transactionalId, transactionTimeoutMs, ...current });
        return { errorCode: 0, producerId: identity.producerId, producerEpoch: identity.epoch };
      } catch (error) {
        const badTimeout = error instanceof MillraceError && error.code === 'BAD_REQUEST';
        const name = transactionError(error, context.version >= FENCED_FROM.init);
        return { ...none, errorCode: KAFKA_ERRORS[badTimeout ? 'INVALID_TRANSACTION_TIMEOUT' : name] };
      }
    },
  };
}

interface Adding {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly topics: TxnTopics;
  readonly verifyOnly: boolean;
}

export function addPartitionsToTxnHandler({ streams: { log } }: Broker): Handler<typeof AddPartitionsToTxn> {
  const add = async (adding: Adding, context: RequestContext) => {
    const { transactionalId, producerId, producerEpoch: epoch, topics } = adding;
    const places = topics.flatMap(({ name, partitions }) =>
      partitions.map((partition) => ({ topic: name, partition })),
    );
    const answer = (codeOf: (place: TopicPartition) => number) =>
      topics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map((partition) => ({
          partitionIndex: partition,
          partitionErrorCode: codeOf({ topic: name, partition }),
        })),
      }));
    const problems = new Map(
      places.map((place) => [placeKey(place), placeProblem(log, place, context, 'write')]),
    );
    if ([...problems.values()].some((code) => code !== 0)) {
      // One that cannot be holds back the others: they are to be tried again without it.
      return answer((place) => problems.get(placeKey(place)) || KAFKA_ERRORS.OPERATION_NOT_ATTEMPTED);
    }
    try {
      requireTransaction(transactionalId, context);
      if (adding.verifyOnly) {
        const open = log.producers.transaction(transactionalId);
        const known = new Set(open?.state === 'ongoing' ? open.partitions.map(placeKey) : []);
        return answer((place) => (known.has(placeKey(place)) ? 0 : KAFKA_ERRORS.TRANSACTION_ABORTABLE));
      }
      await log.producers.addPartitions(transactionalId, { producerId, epoch }, places);
      return answer(() => 0);
    } catch (error) {
      const code = KAFKA_ERRORS[transactionError(error, context.version >= FENCED_FROM.add)];
      return answer(() => code);
    }
  };

  return {
    api: AddPartitionsToTxn,
    async handle(request, context) {
      if (context.version < ADD_MANY_FROM) {
        const adding: Adding = {
          transactionalId: request.v3AndBelowTransactionalId,
          producerId: request.v3AndBelowProducerId,
          producerEpoch: request.v3AndBelowProducerEpoch,
          topics: request.v3AndBelowTopics,
          verifyOnly: false,
        };
        const resultsByTopicV3AndBelow = await add(adding, context);
        return { errorCode: 0, resultsByTransaction: [], resultsByTopicV3AndBelow };
      }
      const results = request.transactions.map(async (each) => ({
        transactionalId: each.transactionalId,
        topicResults: await add(each, context),
      }));
      return { errorCode: 0, resultsByTransaction: await Promise.all(results), resultsByTopicV3AndBelow: [] };
    },
  };
}

export function addOffsetsToTxnHandler({ streams: { log } }: Broker): Handler<typeof AddOffsetsToTxn> {
  return {
    api: AddOffsetsToTxn,
    async handle({ transactionalId, producerId, producerEpoch: epoch, groupId }, context) {
      try {
        requireTransaction(transactionalId, context);
        requireGroup(groupId, context);
        // Positions lie with the log itself: all there is to add is that the transaction is open.
        await log.producers.addPartitions(transactionalId, { producerId, epoch }, []);
        return { errorCode: 0 };
      } catch (error) {
        return { errorCode: KAFKA_ERRORS[transactionError(error, context.version >= FENCED_FROM.add)] };
      }
    },
  };
}

export function endTxnHandler({ streams: { log } }: Broker): Handler<typeof EndTxn> {
  return {
    api: EndTxn,
    async handle({ transactionalId, producerId, producerEpoch: epoch, committed }, context) {
      try {
        requireTransaction(transactionalId, context);
        const outcome = committed ? 'commit' : 'abort';
        const raiseEpoch = context.version >= RAISE_EPOCH_FROM;
        const next = await log.producers.end(transactionalId, { producerId, epoch }, outcome, { raiseEpoch });
        return { errorCode: 0, producerId: next.producerId, producerEpoch: next.epoch };
      } catch (error) {
        return { errorCode: KAFKA_ERRORS[transactionError(error, context.version >= FENCED_FROM.end)] };
      }
    },
  };
}

export function describeTransactionsHandler({
  streams: { log },
}: Broker): Handler<typeof DescribeTransactions> {
  const describe = (transactionalId: string, context: RequestContext) => {
    const unknown = {
      ...{ transactionalId, transactionState: '', transactionTimeoutMs: -1, transactionStartTimeMs: -1 },
      ...{ producerId: -1, producerEpoch: -1, topics: [] },
    };
    if (!context.permits('read', `transaction/${transactionalId}`)) {
      return { ...unknown, errorCode: KAFKA_ERRORS.TRANSACTIONAL_ID_AUTHORIZATION_FAILED };
    }
    const found = log.producers.transaction(transactionalId);
    if (!found) return { ...unknown, errorCode: KAFKA_ERRORS.TRANSACTIONAL_ID_NOT_FOUND };
    const visible = found.partitions.filter(({ topic }) => context.permits('read', `stream/${topic}`));
    return {
      ...{ errorCode: 0, transactionalId, transactionState: STATES[found.state] },
      ...{ transactionTimeoutMs: found.timeoutMs, transactionStartTimeMs: found.startedMs ?? -1 },
      ...{ producerId: found.producerId, producerEpoch: found.epoch, topics: byTopic(visible) },
    };
  };

  return {
    api: DescribeTransactions,
    handle: ({ transactionalIds }, context) => ({
      transactionStates: transactionalIds.map((transactionalId) => describe(transactionalId, context)),
    }),
  };
}

export function listTransactionsHandler({
  streams: { log },
  clock,
}: Broker): Handler<typeof ListTransactions> {
  return {
    api: ListTransactions,
    handle({ stateFilters, producerIdFilters, durationFilter, transactionalIdPattern }, context) {
      const known = new Set(Object.values(STATES));
      const states = new Set(stateFilters);
      const producers = new Set(producerIdFilters);
      const matches = transactionalIdPattern ? compileRegex(transactionalIdPattern) : () => true;
      const isLong = ({ startedMs }: TransactionInfo): boolean =>
        durationFilter < 0 || (startedMs !== undefined && clock.now() - startedMs >= durationFilter);
      const found = log.producers
        .transactions()
        .filter(({ transactionalId }) => context.permits('read', `transaction/${transactionalId}`))
        .filter(({ state }) => states.size === 0 || states.has(STATES[state]))
        .filter(({ producerId }) => producers.size === 0 || producers.has(producerId))
        .filter((one) => isLong(one) && matches(one.transactionalId));
      return {
        errorCode: 0,
        unknownStateFilters: stateFilters.filter((state) => !known.has(state)),
        transactionStates: found.map(({ transactionalId, producerId, state }) => ({
          ...{ transactionalId, producerId, transactionState: STATES[state] },
        })),
      };
    },
  };
}

export function describeProducersHandler({ streams: { log } }: Broker): Handler<typeof DescribeProducers> {
  const describe = (place: TopicPartition, context: RequestContext) => {
    const partitionIndex = place.partition;
    const errorCode = placeProblem(log, place, context, 'read');
    if (errorCode !== 0) return { partitionIndex, errorCode, activeProducers: [] };
    try {
      const activeProducers = log.producers.active(place).map((one) => ({
        ...{ producerId: one.producerId, producerEpoch: one.epoch, lastSequence: one.lastSequence },
        ...{ lastTimestamp: one.lastTimeMs, coordinatorEpoch: -1 },
        currentTxnStartOffset: one.transactionStartOffset ?? -1,
      }));
      return { partitionIndex, errorCode: 0, activeProducers };
    } catch (error) {
      return { partitionIndex, errorCode: kafkaErrorCode(error), activeProducers: [] };
    }
  };

  return {
    api: DescribeProducers,
    handle: ({ topics }, context) => ({
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partition) => describe({ topic: name, partition }, context)),
      })),
    }),
  };
}

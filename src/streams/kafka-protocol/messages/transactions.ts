/** Idempotent producers and transactions. See `../codec/fields.ts` for how to read the tables. */
import { api, array, bool, int16, int32, int64, string } from '../codec/fields.ts';

const TxnTopic = { name: string, partitions: array(int32) };
const TxnPartitionResult = { partitionIndex: int32, partitionErrorCode: int16 };
const TxnTopicResult = { name: string, resultsByPartition: array(TxnPartitionResult) };
export const InitProducerId = api(
  'InitProducerId',
  22,
  [0, 5],
  2,
  {
    transactionalId: string.nullable(),
    transactionTimeoutMs: int32,
    producerId: int64.from(3).or(-1),
    producerEpoch: int16.from(3).or(-1),
  },
  { throttleTimeMs: int32.or(0), errorCode: int16, producerId: int64.or(-1), producerEpoch: int16 },
);

export const AddPartitionsToTxn = api(
  'AddPartitionsToTxn',
  24,
  [0, 5],
  3,
  {
    transactions: array({
      transactionalId: string,
      producerId: int64,
      producerEpoch: int16,
      verifyOnly: bool,
      topics: array(TxnTopic),
    }).from(4),
    v3AndBelowTransactionalId: string.until(3),
    v3AndBelowProducerId: int64.until(3),
    v3AndBelowProducerEpoch: int16.until(3),
    v3AndBelowTopics: array(TxnTopic).until(3),
  },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16.from(4),
    resultsByTransaction: array({ transactionalId: string, topicResults: array(TxnTopicResult) }).from(4),
    resultsByTopicV3AndBelow: array(TxnTopicResult).until(3),
  },
);

export const AddOffsetsToTxn = api(
  'AddOffsetsToTxn',
  25,
  [0, 4],
  3,
  { transactionalId: string, producerId: int64, producerEpoch: int16, groupId: string },
  { throttleTimeMs: int32.or(0), errorCode: int16 },
);

export const EndTxn = api(
  'EndTxn',
  26,
  [0, 5],
  3,
  { transactionalId: string, producerId: int64, producerEpoch: int16, committed: bool },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16,
    producerId: int64.from(5).or(-1),
    producerEpoch: int16.from(5).or(-1),
  },
);

export const WriteTxnMarkers = api(
  'WriteTxnMarkers',
  27,
  [1, 1],
  1,
  {
    markers: array({
      producerId: int64,
      producerEpoch: int16,
      transactionResult: bool,
      topics: array({ name: string, partitionIndexes: array(int32) }),
      coordinatorEpoch: int32,
    }),
  },
  {
    markers: array({
      producerId: int64,
      topics: array({ name: string, partitions: array({ partitionIndex: int32, errorCode: int16 }) }),
    }),
  },
);

export const TxnOffsetCommit = api(
  'TxnOffsetCommit',
  28,
  [0, 5],
  3,
  {
    transactionalId: string,
    groupId: string,
    producerId: int64,
    producerEpoch: int16,
    generationId: int32.from(3).or(-1),
    memberId: string.from(3).or(''),
    groupInstanceId: string.from(3).nullable().or(null),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: int32.from(2).or(-1),
        committedMetadata: string.nullable(),
      }),
    }),
  },
  {
    throttleTimeMs: int32.or(0),
    topics: array({ name: string, partitions: array({ partitionIndex: int32, errorCode: int16 }) }),
  },
);

export const DescribeTransactions = api(
  'DescribeTransactions',
  65,
  [0, 0],
  0,
  { transactionalIds: array(string) },
  {
    throttleTimeMs: int32.or(0),
    transactionStates: array({
      errorCode: int16,
      transactionalId: string,
      transactionState: string,
      transactionTimeoutMs: int32,
      transactionStartTimeMs: int64,
      producerId: int64,
      producerEpoch: int16,
      topics: array({ topic: string, partitions: array(int32) }),
    }),
  },
);

export const ListTransactions = api(
  'ListTransactions',
  66,
  [0, 2],
  0,
  {
    stateFilters: array(string),
    producerIdFilters: array(int64),
    durationFilter: int64.from(1).or(-1),
    transactionalIdPattern: string.from(2).nullable().or(null),
  },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16,
    unknownStateFilters: array(string),
    transactionStates: array({ transactionalId: string, producerId: int64, transactionState: string }),
  },
);

export const DescribeProducers = api(
  'DescribeProducers',
  61,
  [0, 0],
  0,
  { topics: array({ name: string, partitionIndexes: array(int32) }) },
  {
    throttleTimeMs: int32.or(0),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        errorMessage: string.nullable().or(null),
        activeProducers: array({
          producerId: int64,
          producerEpoch: int32,
          lastSequence: int32.or(-1),
          lastTimestamp: int64.or(-1),
          coordinatorEpoch: int32,
          currentTxnStartOffset: int64.or(-1),
        }),
      }),
    }),
  },
);

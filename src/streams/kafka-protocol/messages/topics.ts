/** Making, changing and removing topics. See `../codec/fields.ts` for how to read the tables. */
import { api, array, bool, int8, int16, int32, int64, string, uuid } from '../codec/fields.ts';

export const CreateTopics = api(
  'CreateTopics',
  19,
  [2, 7],
  5,
  {
    topics: array({
      name: string,
      numPartitions: int32,
      replicationFactor: int16,
      assignments: array({ partitionIndex: int32, brokerIds: array(int32) }),
      configs: array({ name: string, value: string.nullable() }),
    }),
    timeoutMs: int32.or(60000),
    validateOnly: bool,
  },
  {
    throttleTimeMs: int32.or(0),
    topics: array({
      name: string,
      topicId: uuid.from(7),
      errorCode: int16,
      errorMessage: string.nullable(),
      topicConfigErrorCode: int16.from(5).tagged(0, 5),
      numPartitions: int32.from(5).or(-1),
      replicationFactor: int16.from(5).or(-1),
      configs: array({
        name: string,
        value: string.nullable(),
        readOnly: bool,
        configSource: int8.or(-1),
        isSensitive: bool,
      })
        .from(5)
        .nullable(),
    }),
  },
);

export const DeleteTopics = api(
  'DeleteTopics',
  20,
  [1, 6],
  4,
  {
    topics: array({ name: string.nullable().or(null), topicId: uuid }).from(6),
    topicNames: array(string).until(5),
    timeoutMs: int32,
  },
  {
    throttleTimeMs: int32.or(0),
    responses: array({
      name: string.nullable(6),
      topicId: uuid.from(6),
      errorCode: int16,
      errorMessage: string.from(5).nullable().or(null),
    }),
  },
);

export const CreatePartitions = api(
  'CreatePartitions',
  37,
  [0, 3],
  2,
  {
    topics: array({ name: string, count: int32, assignments: array({ brokerIds: array(int32) }).nullable() }),
    timeoutMs: int32,
    validateOnly: bool,
  },
  {
    throttleTimeMs: int32.or(0),
    results: array({ name: string, errorCode: int16, errorMessage: string.nullable().or(null) }),
  },
);

export const DeleteRecords = api(
  'DeleteRecords',
  21,
  [0, 2],
  2,
  {
    topics: array({ name: string, partitions: array({ partitionIndex: int32, offset: int64 }) }),
    timeoutMs: int32,
  },
  {
    throttleTimeMs: int32.or(0),
    topics: array({
      name: string,
      partitions: array({ partitionIndex: int32, lowWatermark: int64, errorCode: int16 }),
    }),
  },
);

export const DescribeLogDirs = api(
  'DescribeLogDirs',
  35,
  [1, 4],
  2,
  { topics: array({ topic: string, partitions: array(int32) }).nullable() },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16.from(3),
    results: array({
      errorCode: int16,
      logDir: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex: int32,
          partitionSize: int64,
          offsetLag: int64,
          isFutureKey: bool,
        }),
      }),
      totalBytes: int64.from(4).or(-1),
      usableBytes: int64.from(4).or(-1),
    }),
  },
);

export const ElectLeaders = api(
  'ElectLeaders',
  43,
  [0, 2],
  2,
  {
    electionType: int8.from(1),
    topicPartitions: array({ topic: string, partitions: array(int32) }).nullable(),
    timeoutMs: int32.or(60000),
  },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16.from(1),
    replicaElectionResults: array({
      topic: string,
      partitionResult: array({ partitionId: int32, errorCode: int16, errorMessage: string.nullable() }),
    }),
  },
);

export const ListPartitionReassignments = api(
  'ListPartitionReassignments',
  46,
  [0, 0],
  0,
  {
    timeoutMs: int32.or(60000),
    topics: array({ name: string, partitionIndexes: array(int32) })
      .nullable()
      .or(null),
  },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16,
    errorMessage: string.nullable(),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        replicas: array(int32),
        addingReplicas: array(int32),
        removingReplicas: array(int32),
      }),
    }),
  },
);

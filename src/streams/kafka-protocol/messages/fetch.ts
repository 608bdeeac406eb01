/** Reading records, and finding where to begin. See `../codec/fields.ts` for how to read the tables. */
import {
  api,
  array,
  int8,
  int16,
  int32,
  int64,
  MAX_INT32,
  MAX_INT64,
  records,
  string,
  struct,
  uuid,
} from '../codec/fields.ts';

export const Fetch = api(
  'Fetch',
  1,
  [4, 18],
  12,
  {
    clusterId: string.from(12).nullable().or(null).tagged(0, 12),
    replicaId: int32.until(14).or(-1),
    replicaState: struct({ replicaId: int32.or(-1), replicaEpoch: int64.or(-1) })
      .from(15)
      .tagged(1, 15),
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: int32.or(MAX_INT32),
    isolationLevel: int8.or(0),
    sessionId: int32.from(7).or(0),
    sessionEpoch: int32.from(7).or(-1),
    topics: array({
      topic: string.until(12),
      topicId: uuid.from(13),
      partitions: array({
        partition: int32,
        currentLeaderEpoch: int32.from(9).or(-1),
        fetchOffset: int64,
        lastFetchedEpoch: int32.from(12).or(-1),
        logStartOffset: int64.from(5).or(-1),
        partitionMaxBytes: int32,
        replicaDirectoryId: uuid.from(17).tagged(0, 17),
        highWatermark: int64.from(18).or(MAX_INT64).tagged(1, 18),
      }),
    }),
    forgottenTopicsData: array({
      topic: string.until(12),
      topicId: uuid.from(13),
      partitions: array(int32),
    }).from(7),
    rackId: string.from(11).or(''),
  },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16.from(7),
    sessionId: int32.from(7).or(0),
    responses: array({
      topic: string.until(12),
      topicId: uuid.from(13),
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        highWatermark: int64,
        lastStableOffset: int64.or(-1),
        logStartOffset: int64.from(5).or(-1),
        divergingEpoch: struct({ epoch: int32.or(-1), endOffset: int64.or(-1) })
          .from(12)
          .tagged(0, 12),
        currentLeader: struct({ leaderId: int32.or(-1), leaderEpoch: int32.or(-1) })
          .from(12)
          .tagged(1, 12),
        snapshotId: struct({ endOffset: int64.or(-1), epoch: int32.or(-1) })
          .from(12)
          .tagged(2, 12),
        abortedTransactions: array({ producerId: int64, firstOffset: int64 }).nullable(),
        preferredReadReplica: int32.from(11).or(-1),
        records: records.nullable(),
      }),
    }),
    nodeEndpoints: array({ nodeId: int32, host: string, port: int32, rack: string.nullable().or(null) })
      .from(16)
      .tagged(0, 16),
  },
);

export const ListOffsets = api(
  'ListOffsets',
  2,
  [1, 10],
  6,
  {
    replicaId: int32,
    isolationLevel: int8.from(2),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        currentLeaderEpoch: int32.from(4).or(-1),
        timestamp: int64,
      }),
    }),
    timeoutMs: int32.from(10),
  },
  {
    throttleTimeMs: int32.from(2).or(0),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        timestamp: int64.or(-1),
        offset: int64.or(-1),
        leaderEpoch: int32.from(4).or(-1),
      }),
    }),
  },
);

export const OffsetForLeaderEpoch = api(
  'OffsetForLeaderEpoch',
  23,
  [2, 4],
  4,
  {
    replicaId: int32.from(3).or(-2),
    topics: array({
      topic: string,
      partitions: array({ partition: int32, currentLeaderEpoch: int32.or(-1), leaderEpoch: int32 }),
    }),
  },
  {
    throttleTimeMs: int32.or(0),
    topics: array({
      topic: string,
      partitions: array({
        errorCode: int16,
        partition: int32,
        leaderEpoch: int32.or(-1),
        endOffset: int64.or(-1),
      }),
    }),
  },
);

/** Positions of consumer groups. See `../codec/fields.ts` for how to read the tables. */
import { api, array, bool, int16, int32, int64, string } from '../codec/fields.ts';

export const OffsetCommit = api(
  'OffsetCommit',
  8,
  [2, 9],
  8,
  {
    groupId: string,
    generationIdOrMemberEpoch: int32.or(-1),
    memberId: string,
    groupInstanceId: string.from(7).nullable().or(null),
    retentionTimeMs: int64.until(4).or(-1),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: int32.from(6).or(-1),
        committedMetadata: string.nullable(),
      }),
    }),
  },
  {
    throttleTimeMs: int32.from(3).or(0),
    topics: array({ name: string, partitions: array({ partitionIndex: int32, errorCode: int16 }) }),
  },
);

export const OffsetFetch = api(
  'OffsetFetch',
  9,
  [1, 9],
  6,
  {
    groupId: string.until(7),
    topics: array({ name: string, partitionIndexes: array(int32) })
      .until(7)
      .nullable(2),
    groups: array({
      groupId: string,
      memberId: string.from(9).nullable().or(null),
      memberEpoch: int32.from(9).or(-1),
      topics: array({ name: string, partitionIndexes: array(int32) }).nullable(),
    }).from(8),
    requireStable: bool.from(7),
  },
  {
    throttleTimeMs: int32.from(3).or(0),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: int32.from(5).or(-1),
        metadata: string.nullable(),
        errorCode: int16,
      }),
    }).until(7),
    errorCode: int16.from(2).until(7).or(0),
    groups: array({
      groupId: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex: int32,
          committedOffset: int64,
          committedLeaderEpoch: int32.or(-1),
          metadata: string.nullable(),
          errorCode: int16,
        }),
      }),
      errorCode: int16.or(0),
    }).from(8),
  },
);

export const OffsetDelete = api(
  'OffsetDelete',
  47,
  [0, 0],
  undefined,
  { groupId: string, topics: array({ name: string, partitions: array({ partitionIndex: int32 }) }) },
  {
    errorCode: int16,
    throttleTimeMs: int32.or(0),
    topics: array({ name: string, partitions: array({ partitionIndex: int32, errorCode: int16 }) }),
  },
);

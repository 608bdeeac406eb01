/** Writing records. See `../codec/fields.ts` for how to read the tables. */
import { api, array, int16, int32, int64, records, string, struct, uuid } from '../codec/fields.ts';

export const Produce = api(
  'Produce',
  0,
  [3, 13],
  9,
  {
    transactionalId: string.nullable().or(null),
    acks: int16,
    timeoutMs: int32,
    topicData: array({
      name: string.until(12),
      topicId: uuid.from(13),
      partitionData: array({ index: int32, records: records.nullable() }),
    }),
  },
  {
    responses: array({
      name: string.until(12),
      topicId: uuid.from(13),
      partitionResponses: array({
        index: int32,
        errorCode: int16,
        baseOffset: int64,
        logAppendTimeMs: int64.or(-1),
        logStartOffset: int64.from(5).or(-1),
        recordErrors: array({ batchIndex: int32, batchIndexErrorMessage: string.nullable().or(null) }).from(
          8,
        ),
        errorMessage: string.from(8).nullable().or(null),
        currentLeader: struct({ leaderId: int32.or(-1), leaderEpoch: int32.or(-1) })
          .from(10)
          .tagged(0, 10),
      }),
    }),
    throttleTimeMs: int32.or(0),
    nodeEndpoints: array({ nodeId: int32, host: string, port: int32, rack: string.nullable().or(null) })
      .from(10)
      .tagged(0, 10),
  },
);

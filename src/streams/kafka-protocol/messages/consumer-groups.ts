/** Consumer groups of the newer protocol (KIP-848). See `../codec/fields.ts` for how to read the tables. */
import { api, array, bool, int8, int16, int32, string, struct, uuid } from '../codec/fields.ts';

const OwnedPartitions = { topicId: uuid, partitions: array(int32) };
const DescribedAssignment = {
  topicPartitions: array({ topicId: uuid, topicName: string, partitions: array(int32) }),
};

export const ConsumerGroupHeartbeat = api(
  'ConsumerGroupHeartbeat',
  68,
  [0, 1],
  0,
  {
    groupId: string,
    memberId: string,
    memberEpoch: int32,
    instanceId: string.nullable().or(null),
    rackId: string.nullable().or(null),
    rebalanceTimeoutMs: int32.or(-1),
    subscribedTopicNames: array(string).nullable().or(null),
    subscribedTopicRegex: string.from(1).nullable().or(null),
    serverAssignor: string.nullable().or(null),
    topicPartitions: array(OwnedPartitions).nullable().or(null),
  },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16,
    errorMessage: string.nullable().or(null),
    memberId: string.nullable().or(null),
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    assignment: struct({ topicPartitions: array(OwnedPartitions) })
      .nullable()
      .or(null),
  },
);

export const ConsumerGroupDescribe = api(
  'ConsumerGroupDescribe',
  69,
  [0, 1],
  0,
  { groupIds: array(string), includeAuthorizedOperations: bool },
  {
    throttleTimeMs: int32.or(0),
    groups: array({
      errorCode: int16,
      errorMessage: string.nullable().or(null),
      groupId: string,
      groupState: string,
      groupEpoch: int32,
      assignmentEpoch: int32,
      assignorName: string,
      members: array({
        memberId: string,
        instanceId: string.nullable().or(null),
        rackId: string.nullable().or(null),
        memberEpoch: int32,
        clientId: string,
        clientHost: string,
        subscribedTopicNames: array(string),
        subscribedTopicRegex: string.nullable().or(null),
        assignment: struct(DescribedAssignment),
        targetAssignment: struct(DescribedAssignment),
        memberType: int8.from(1).or(-1),
      }),
      authorizedOperations: int32.or(-2147483648),
    }),
  },
);

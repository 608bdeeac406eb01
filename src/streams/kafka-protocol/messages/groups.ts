/** Consumer groups of the classic protocol, and what lists every kind of group. See `../codec/fields.ts` for how to read the tables. */
import { api, array, bool, bytes, int8, int16, int32, string } from '../codec/fields.ts';

export const FindCoordinator = api(
  'FindCoordinator',
  10,
  [0, 6],
  3,
  { key: string.until(3), keyType: int8.from(1).or(0), coordinatorKeys: array(string).from(4) },
  {
    throttleTimeMs: int32.from(1).or(0),
    errorCode: int16.until(3),
    errorMessage: string.from(1).until(3).nullable(),
    nodeId: int32.until(3),
    host: string.until(3),
    port: int32.until(3),
    coordinators: array({
      key: string,
      nodeId: int32,
      host: string,
      port: int32,
      errorCode: int16,
      errorMessage: string.nullable(),
    }).from(4),
  },
);

export const JoinGroup = api(
  'JoinGroup',
  11,
  [0, 9],
  6,
  {
    groupId: string,
    sessionTimeoutMs: int32,
    rebalanceTimeoutMs: int32.from(1).or(-1),
    memberId: string,
    groupInstanceId: string.from(5).nullable().or(null),
    protocolType: string,
    protocols: array({ name: string, metadata: bytes }),
    reason: string.from(8).nullable().or(null),
  },
  {
    throttleTimeMs: int32.from(2).or(0),
    errorCode: int16,
    generationId: int32.or(-1),
    protocolType: string.from(7).nullable().or(null),
    protocolName: string.nullable(7),
    leader: string,
    skipAssignment: bool.from(9),
    memberId: string,
    members: array({
      memberId: string,
      groupInstanceId: string.from(5).nullable().or(null),
      metadata: bytes,
    }),
  },
);

export const SyncGroup = api(
  'SyncGroup',
  14,
  [0, 5],
  4,
  {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: string.from(3).nullable().or(null),
    protocolType: string.from(5).nullable().or(null),
    protocolName: string.from(5).nullable().or(null),
    assignments: array({ memberId: string, assignment: bytes }),
  },
  {
    throttleTimeMs: int32.from(1).or(0),
    errorCode: int16,
    protocolType: string.from(5).nullable().or(null),
    protocolName: string.from(5).nullable().or(null),
    assignment: bytes,
  },
);

export const Heartbeat = api(
  'Heartbeat',
  12,
  [0, 4],
  4,
  {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: string.from(3).nullable().or(null),
  },
  { throttleTimeMs: int32.from(1).or(0), errorCode: int16 },
);

export const LeaveGroup = api(
  'LeaveGroup',
  13,
  [0, 5],
  4,
  {
    groupId: string,
    memberId: string.until(2),
    members: array({
      memberId: string,
      groupInstanceId: string.nullable().or(null),
      reason: string.from(5).nullable().or(null),
    }).from(3),
  },
  {
    throttleTimeMs: int32.from(1).or(0),
    errorCode: int16,
    members: array({ memberId: string, groupInstanceId: string.nullable(), errorCode: int16 }).from(3),
  },
);

export const DescribeGroups = api(
  'DescribeGroups',
  15,
  [0, 6],
  5,
  { groups: array(string), includeAuthorizedOperations: bool.from(3) },
  {
    throttleTimeMs: int32.from(1).or(0),
    groups: array({
      errorCode: int16,
      errorMessage: string.from(6).nullable().or(null),
      groupId: string,
      groupState: string,
      protocolType: string,
      protocolData: string,
      members: array({
        memberId: string,
        groupInstanceId: string.from(4).nullable().or(null),
        clientId: string,
        clientHost: string,
        memberMetadata: bytes,
        memberAssignment: bytes,
      }),
      authorizedOperations: int32.from(3).or(-2147483648),
    }),
  },
);

export const ListGroups = api(
  'ListGroups',
  16,
  [0, 5],
  3,
  { statesFilter: array(string).from(4), typesFilter: array(string).from(5) },
  {
    throttleTimeMs: int32.from(1).or(0),
    errorCode: int16,
    groups: array({
      groupId: string,
      protocolType: string,
      groupState: string.from(4),
      groupType: string.from(5),
    }),
  },
);

export const DeleteGroups = api(
  'DeleteGroups',
  42,
  [0, 2],
  2,
  { groupsNames: array(string) },
  { throttleTimeMs: int32.or(0), results: array({ groupId: string, errorCode: int16 }) },
);

import {
  Heartbeat,
  JoinGroup,
  LeaveGroup,
  type RequestOf,
  SyncGroup,
} from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, KafkaError, type KafkaErrorName } from '../errors.ts';
import type { Handler, RequestContext } from '../handler.ts';
import { type ClassicJoin, type JoinResult, joinRefused } from './classic-types.ts';
import { type GroupCoordinator, hostOf, requireGroup } from './coordinator.ts';

/** Apache Kafka's bounds (`group.min.session.timeout.ms` and `.max.`). */
const SESSION_MS = { from: 6_000, to: 1_800_000 };
/** First versions of JoinGroup in which a member gets its id first, and in which a leader may be told to skip the assignment. */
const MEMBER_ID_FROM = 4;
const SKIP_ASSIGNMENT_FROM = 9;
/** From here on LeaveGroup names several members. */
const LEAVE_MANY_FROM = 3;

type JoinRequest = RequestOf<typeof JoinGroup>;

export function joinGroupHandler(coordinator: GroupCoordinator): Handler<typeof JoinGroup> {
  const join = (request: JoinRequest, context: RequestContext): Promise<JoinResult> | JoinResult => {
    requireGroup(request.groupId, context);
    const { sessionTimeoutMs } = request;
    if (sessionTimeoutMs < SESSION_MS.from || sessionTimeoutMs > SESSION_MS.to) {
      throw new KafkaError('INVALID_SESSION_TIMEOUT');
    }
    // A member that is not new has nothing to make a group for.
    const isNew = request.memberId === '';
    const group = isNew ? coordinator.holdClassic(request.groupId) : coordinator.classicDoor(request.groupId);
    return group?.join(joinOf(request, context)) ?? joinRefused('UNKNOWN_MEMBER_ID', request.memberId);
  };

  return {
    api: JoinGroup,
    async handle(request, context) {
      const result = await attempt(
        () => {
          const joining = join(request, context);
          // Who waits for others can still leave, and be heard of.
          context.proceed();
          return joining;
        },
        (error) => joinRefused(error, request.memberId),
      );
      return {
        errorCode: KAFKA_ERRORS[result.error],
        generationId: result.generation,
        protocolType: result.protocolType,
        protocolName: result.protocolName ?? (context.version < 7 ? '' : null),
        leader: result.leader,
        skipAssignment: result.skipAssignment,
        memberId: result.memberId,
        members: result.members.map(({ memberId, instanceId, metadata }) => ({
          ...{ memberId, metadata, groupInstanceId: instanceId },
        })),
      };
    },
  };
}

function joinOf(request: JoinRequest, context: RequestContext): ClassicJoin {
  const { sessionTimeoutMs, rebalanceTimeoutMs, groupInstanceId } = request;
  return {
    memberId: request.memberId,
    instanceId: groupInstanceId,
    clientId: context.clientId ?? '',
    clientHost: hostOf(context),
    sessionTimeoutMs,
    // The first version has none of its own.
    rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    protocolType: request.protocolType,
    protocols: request.protocols,
    requiresMemberId: context.version >= MEMBER_ID_FROM && groupInstanceId === null,
    canSkipAssignment: context.version >= SKIP_ASSIGNMENT_FROM,
  };
}

export function syncGroupHandler(coordinator: GroupCoordinator): Handler<typeof SyncGroup> {
  return {
    api: SyncGroup,
    async handle(request, context) {
      requireGroup(request.groupId, context);
      const group = coordinator.classicDoor(request.groupId);
      if (!group) throw new KafkaError('UNKNOWN_MEMBER_ID');
      const { memberId, groupInstanceId, generationId, protocolType, protocolName, assignments } = request;
      const syncing = group.sync({
        ...{ memberId, instanceId: groupInstanceId, generation: generationId },
        ...{ protocolType, protocolName, assignments },
      });
      context.proceed();
      const { error, ...result } = await syncing;
      return { errorCode: KAFKA_ERRORS[error], ...result };
    },
  };
}

export function heartbeatHandler(coordinator: GroupCoordinator): Handler<typeof Heartbeat> {
  return {
    api: Heartbeat,
    handle({ groupId, memberId, groupInstanceId, generationId }, context) {
      requireGroup(groupId, context);
      const identity = { memberId, instanceId: groupInstanceId, generation: generationId };
      const error = coordinator.classicDoor(groupId)?.heartbeat(identity) ?? 'UNKNOWN_MEMBER_ID';
      return { errorCode: KAFKA_ERRORS[error] };
    },
  };
}

export function leaveGroupHandler(coordinator: GroupCoordinator): Handler<typeof LeaveGroup> {
  /** An operator may remove members of either protocol; those of the newer one are named by their instance. */
  const leave = (groupId: string, memberId: string, instanceId: string | null): KafkaErrorName => {
    const consumers = coordinator.consumer(groupId);
    if (consumers) return consumers.expel(memberId, instanceId);
    return coordinator.classic(groupId)?.leave({ memberId, instanceId }) ?? 'UNKNOWN_MEMBER_ID';
  };

  return {
    api: LeaveGroup,
    handle({ groupId, memberId, members }, context) {
      requireGroup(groupId, context);
      if (context.version < LEAVE_MANY_FROM) {
        return { errorCode: KAFKA_ERRORS[leave(groupId, memberId, null)], members: [] };
      }
      return {
        errorCode: 0,
        members: members.map(({ memberId, groupInstanceId }) => ({
          ...{ memberId, groupInstanceId },
          errorCode: KAFKA_ERRORS[leave(groupId, memberId, groupInstanceId)],
        })),
      };
    },
  };
}

/** For answers that name the member also when they refuse. */
async function attempt<Result>(
  work: () => Promise<Result> | Result,
  refused: (error: KafkaErrorName) => Result,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KafkaError) return refused(error.kafkaName);
    throw error;
  }
}

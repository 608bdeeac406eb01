import {
  ConsumerGroupDescribe,
  ConsumerGroupHeartbeat,
  type RequestOf,
  type ResponseOf,
} from '../../../streams/kafka-protocol/index.ts';
import { KafkaError, kafkaErrorCode } from '../errors.ts';
import type { Handler, RequestContext } from '../handler.ts';
import { ASSIGNORS, type TopicShare } from './assignors.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import { type GroupCoordinator, hostOf, requireGroup } from './coordinator.ts';
import { groupOperations } from './group-operations.ts';

type HeartbeatRequest = RequestOf<typeof ConsumerGroupHeartbeat>;
type DescribedGroup = ResponseOf<typeof ConsumerGroupDescribe>['groups'][number];

const LEAVE = -1;
/** The first version in which members make their own ids. */
const OWN_ID_FROM = 1;
const [CLASSIC_MEMBER, CONSUMER_MEMBER] = [0, 1];

export function consumerGroupHeartbeatHandler(
  coordinator: GroupCoordinator,
): Handler<typeof ConsumerGroupHeartbeat> {
  const groupOf = ({ groupId, memberEpoch }: HeartbeatRequest): ConsumerGroup => {
    if (memberEpoch === 0) return coordinator.holdConsumer(groupId);
    const group = coordinator.consumer(groupId);
    if (group) return group;
    throw new KafkaError('GROUP_ID_NOT_FOUND', `There is no group '${groupId}' of the newer protocol.`);
  };

  return {
    api: ConsumerGroupHeartbeat,
    async handle(request, context) {
      requireGroup(request.groupId, context);
      checkHeartbeat(request, context.version);
      const maySee = (topic: string): boolean => context.permits('read', `stream/${topic}`);
      for (const topic of request.subscribedTopicNames ?? []) {
        if (!maySee(topic)) throw new KafkaError('TOPIC_AUTHORIZATION_FAILED');
      }
      const { rebalanceTimeoutMs } = request;
      const { memberId, memberEpoch, heartbeatIntervalMs, assignment } = await groupOf(request).heartbeat({
        memberId: request.memberId === '' ? coordinator.newMemberId() : request.memberId,
        memberEpoch: request.memberEpoch,
        instanceId: request.instanceId,
        rackId: request.rackId,
        clientId: context.clientId ?? '',
        clientHost: hostOf(context),
        rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? null : rebalanceTimeoutMs,
        topicNames: request.subscribedTopicNames,
        topicRegex: request.subscribedTopicRegex,
        assignor: request.serverAssignor,
        owned: request.topicPartitions,
        maySee,
      });
      const told = assignment && { topicPartitions: assignment };
      return { errorCode: 0, memberId, memberEpoch, heartbeatIntervalMs, assignment: told };
    },
  };
}

/** What a first and a later heartbeat have to say (KIP-848, "ConsumerGroupHeartbeat API"). */
function checkHeartbeat(request: HeartbeatRequest, version: number): void {
  const { memberId, memberEpoch, instanceId, rackId, serverAssignor } = request;
  const refuse = (message: string): never => {
    throw new KafkaError('INVALID_REQUEST', message);
  };
  if (memberId === '' && (version >= OWN_ID_FROM || memberEpoch !== 0)) refuse('MemberId cannot be empty.');
  if (instanceId === '') refuse('InstanceId cannot be empty.');
  if (rackId === '') refuse('RackId cannot be empty.');
  if (memberEpoch < -2) refuse(`MemberEpoch ${memberEpoch} is none.`);
  if (memberEpoch === -2 && instanceId === null) refuse('Only a static member can leave for a while.');
  if (memberEpoch <= LEAVE) return;
  if (serverAssignor !== null && !ASSIGNORS.has(serverAssignor)) {
    const known = [...ASSIGNORS.keys()].join(', ');
    throw new KafkaError('UNSUPPORTED_ASSIGNOR', `ServerAssignor ${serverAssignor} is not one of ${known}.`);
  }
  if (memberEpoch > 0) return;
  if (request.rebalanceTimeoutMs <= 0) refuse('RebalanceTimeoutMs must be provided in first request.');
  if (request.topicPartitions?.length !== 0) refuse('TopicPartitions must be empty when (re-)joining.');
  if ((request.subscribedTopicNames ?? []).length === 0 && !request.subscribedTopicRegex) {
    refuse('Either SubscribedTopicNames or SubscribedTopicRegex must be non-empty when (re-)joining.');
  }
}

export function consumerGroupDescribeHandler(
  coordinator: GroupCoordinator,
): Handler<typeof ConsumerGroupDescribe> {
  const describe = (
    groupId: string,
    context: RequestContext,
  ): Omit<DescribedGroup, 'authorizedOperations'> => {
    try {
      requireGroup(groupId, context);
      const group = coordinator.consumer(groupId);
      if (!group) throw new KafkaError('GROUP_ID_NOT_FOUND', `Group ${groupId} is not a consumer group.`);
      return { errorCode: 0, groupId, ...described(group) };
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return {
        ...{ errorCode: kafkaErrorCode(error), errorMessage: error.message, groupId, groupState: '' },
        ...{ groupEpoch: 0, assignmentEpoch: 0, assignorName: '', members: [] },
      };
    }
  };

  return {
    api: ConsumerGroupDescribe,
    handle({ groupIds, includeAuthorizedOperations }, context) {
      return {
        groups: groupIds.map((groupId) => ({
          ...describe(groupId, context),
          ...(includeAuthorizedOperations ? { authorizedOperations: groupOperations(groupId, context) } : {}),
        })),
      };
    },
  };
}

function described(
  group: ConsumerGroup,
): Omit<DescribedGroup, 'errorCode' | 'groupId' | 'authorizedOperations'> {
  const { state, groupEpoch, assignmentEpoch, assignor, members } = group.describe();
  const named = (shares: readonly TopicShare[]) => ({
    topicPartitions: shares.map((share) => ({ ...share, topicName: group.topicName(share.topicId) })),
  });
  return {
    ...{ groupState: state, groupEpoch, assignmentEpoch, assignorName: assignor },
    members: members.map(({ member, assigned, target }) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      rackId: member.rackId,
      memberEpoch: member.away ? -2 : member.epoch,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopicNames: member.topicNames,
      subscribedTopicRegex: member.topicRegex === '' ? null : member.topicRegex,
      assignment: named(assigned),
      targetAssignment: named(target),
      memberType: member.classic ? CLASSIC_MEMBER : CONSUMER_MEMBER,
    })),
  };
}

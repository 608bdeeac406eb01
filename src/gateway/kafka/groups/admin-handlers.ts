import {
  byTopic,
  DeleteGroups,
  DescribeGroups,
  FindCoordinator,
  ListGroups,
  type ResponseOf,
  writeAssignment,
  writeSubscription,
} from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, kafkaErrorCode } from '../errors.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { type GroupCoordinator, groupRefusal } from './coordinator.ts';
import { groupOperations } from './group-operations.ts';

type DescribedGroup = ResponseOf<typeof DescribeGroups>['groups'][number];
type ListedGroup = Required<ResponseOf<typeof ListGroups>['groups'][number]>;

/** Kinds of coordinator that a client looks for; that of share groups is not here. */
const [GROUP, TRANSACTION] = [0, 1];
/** From here on several are asked for at once. */
const FIND_MANY_FROM = 4;
/** From here on a group that is not there is an error, not a dead group. */
const NOT_FOUND_FROM = 6;
/** Members of the platform are shown as consumers, so that tools know how to read them. */
const PLATFORM = {
  protocolType: 'consumer',
  protocolName: 'millrace',
  clientId: 'millrace',
  host: '/127.0.0.1',
};

/** There is one broker: it coordinates everything. */
export function findCoordinatorHandler({ cluster }: Broker): Handler<typeof FindCoordinator> {
  const find = (keyType: number, key: string, context: RequestContext) => {
    const known = keyType === GROUP || keyType === TRANSACTION;
    const permitted =
      keyType === TRANSACTION
        ? context.permits('write', `transaction/${key}`)
        : context.permits('read', `group/${key}`);
    const refusal =
      keyType === TRANSACTION ? 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED' : 'GROUP_AUTHORIZATION_FAILED';
    const error = !known ? 'INVALID_REQUEST' : permitted ? 'NONE' : refusal;
    const found = error === 'NONE';
    return {
      errorCode: KAFKA_ERRORS[error],
      errorMessage: found ? null : error,
      nodeId: found ? cluster.nodeId : -1,
      host: found ? context.broker.host : '',
      port: found ? context.broker.port : -1,
    };
  };

  return {
    api: FindCoordinator,
    handle({ key, keyType, coordinatorKeys }, context) {
      const many = context.version >= FIND_MANY_FROM;
      const first = find(keyType, many ? '' : key, context);
      return {
        ...first,
        coordinators: many
          ? coordinatorKeys.map((each) => ({ key: each, ...find(keyType, each, context) }))
          : [],
      };
    },
  };
}

export function listGroupsHandler(coordinator: GroupCoordinator): Handler<typeof ListGroups> {
  const listed = (groupId: string): ListedGroup => {
    const classic = coordinator.classic(groupId);
    if (classic) {
      const { state, protocolType } = classic.describe();
      return { groupId, protocolType, groupState: state, groupType: 'classic' };
    }
    const consumer = coordinator.consumer(groupId);
    if (consumer) {
      return { groupId, protocolType: 'consumer', groupState: consumer.consumerState, groupType: 'consumer' };
    }
    const { kind, state } = coordinator.groups.find(groupId)!;
    const platform = kind === 'platform' && state !== 'empty';
    return {
      groupId,
      protocolType: kind === 'platform' ? PLATFORM.protocolType : '',
      groupState: platform ? 'Stable' : 'Empty',
      groupType: 'classic',
    };
  };

  return {
    api: ListGroups,
    handle({ statesFilter, typesFilter }, { permits }) {
      const states = new Set(statesFilter.map((state) => state.toLowerCase()));
      const types = new Set(typesFilter.map((type) => type.toLowerCase()));
      const groups = coordinator.groups
        .list()
        .filter(({ group }) => permits('read', `group/${group}`))
        .map(({ group }) => listed(group))
        .filter(({ groupState }) => states.size === 0 || states.has(groupState.toLowerCase()))
        .filter(({ groupType }) => types.size === 0 || types.has(groupType));
      return { errorCode: 0, groups };
    },
  };
}

export function describeGroupsHandler(coordinator: GroupCoordinator): Handler<typeof DescribeGroups> {
  const describe = (groupId: string, version: number): Omit<DescribedGroup, 'authorizedOperations'> => {
    const classic = coordinator.classic(groupId);
    if (classic) return { errorCode: 0, groupId, ...describeClassic(classic.describe()) };
    const info = coordinator.groups.find(groupId);
    if (!info || info.kind === 'consumer') {
      if (version < NOT_FOUND_FROM) return { ...dead(groupId), errorCode: 0 };
      const why = info ? 'is not a classic group' : 'is not there';
      return {
        ...dead(groupId),
        errorCode: KAFKA_ERRORS.GROUP_ID_NOT_FOUND,
        errorMessage: `Group ${groupId} ${why}.`,
      };
    }
    const platform = info.kind === 'platform';
    return {
      ...{ errorCode: 0, groupId, groupState: info.members.length > 0 ? 'Stable' : 'Empty' },
      protocolType: platform ? PLATFORM.protocolType : '',
      protocolData: platform ? PLATFORM.protocolName : '',
      members: info.members.map(({ memberId, instanceId, partitions }) => ({
        ...{ memberId, groupInstanceId: instanceId ?? null },
        ...{ clientId: PLATFORM.clientId, clientHost: PLATFORM.host },
        memberMetadata: writeSubscription(byTopic(partitions).map(({ topic }) => topic)),
        memberAssignment: writeAssignment(partitions),
      })),
    };
  };

  return {
    api: DescribeGroups,
    handle({ groups, includeAuthorizedOperations }, context) {
      return {
        groups: groups.map((groupId) => {
          const refused = groupRefusal(groupId, context);
          const group =
            refused === 0 ? describe(groupId, context.version) : { ...dead(groupId), errorCode: refused };
          if (!includeAuthorizedOperations) return group;
          return { ...group, authorizedOperations: groupOperations(groupId, context) };
        }),
      };
    },
  };
}

const dead = (groupId: string) => ({
  ...{ groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [] },
});

function describeClassic(
  described: ReturnType<NonNullable<ReturnType<GroupCoordinator['classic']>>['describe']>,
) {
  return {
    groupState: described.state,
    protocolType: described.protocolType,
    protocolData: described.protocolName,
    members: described.members.map(
      ({ memberId, instanceId, clientId, clientHost, metadata, assignment }) => ({
        ...{ memberId, groupInstanceId: instanceId, clientId, clientHost },
        ...{ memberMetadata: metadata, memberAssignment: assignment },
      }),
    ),
  };
}

export function deleteGroupsHandler(coordinator: GroupCoordinator): Handler<typeof DeleteGroups> {
  const remove = async (groupId: string, context: RequestContext): Promise<number> => {
    if (groupId === '') return KAFKA_ERRORS.INVALID_GROUP_ID;
    if (!context.permits('administer', `group/${groupId}`)) return KAFKA_ERRORS.GROUP_AUTHORIZATION_FAILED;
    try {
      await coordinator.groups.delete(groupId);
      return 0;
    } catch (error) {
      return kafkaErrorCode(error);
    }
  };

  return {
    api: DeleteGroups,
    async handle({ groupsNames }, context) {
      const results = await Promise.all(
        groupsNames.map(async (groupId) => ({ groupId, errorCode: await remove(groupId, context) })),
      );
      return { results };
    },
  };
}

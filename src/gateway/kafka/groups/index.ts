import type { Broker, Handler } from '../handler.ts';
import {
  deleteGroupsHandler,
  describeGroupsHandler,
  findCoordinatorHandler,
  listGroupsHandler,
} from './admin-handlers.ts';
import {
  heartbeatHandler,
  joinGroupHandler,
  leaveGroupHandler,
  syncGroupHandler,
} from './classic-handlers.ts';
import { consumerGroupDescribeHandler, consumerGroupHeartbeatHandler } from './consumer-handlers.ts';
import { GroupCoordinator } from './coordinator.ts';
import {
  offsetCommitHandler,
  offsetDeleteHandler,
  offsetFetchHandler,
  txnOffsetCommitHandler,
} from './offset-handlers.ts';

/** Everything about consumer groups, over one coordinator. */
export function groupHandlers(broker: Broker): readonly Handler[] {
  const coordinator = new GroupCoordinator(broker);
  return [
    findCoordinatorHandler(broker),
    joinGroupHandler(coordinator),
    syncGroupHandler(coordinator),
    heartbeatHandler(coordinator),
    leaveGroupHandler(coordinator),
    consumerGroupHeartbeatHandler(coordinator),
    consumerGroupDescribeHandler(coordinator),
    offsetCommitHandler(broker, coordinator),
    offsetFetchHandler(broker, coordinator),
    offsetDeleteHandler(broker, coordinator),
    txnOffsetCommitHandler(broker, coordinator),
    listGroupsHandler(coordinator),
    describeGroupsHandler(coordinator),
    deleteGroupsHandler(coordinator),
  ];
}

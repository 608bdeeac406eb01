import { CreateAcls, DeleteAcls, DescribeAcls } from './acls.ts';
import { AlterConfigs, DescribeConfigs, IncrementalAlterConfigs, ListConfigResources } from './configs.ts';
import { ConsumerGroupDescribe, ConsumerGroupHeartbeat } from './consumer-groups.ts';
import { Fetch, ListOffsets, OffsetForLeaderEpoch } from './fetch.ts';
import {
  DeleteGroups,
  DescribeGroups,
  FindCoordinator,
  Heartbeat,
  JoinGroup,
  LeaveGroup,
  ListGroups,
  SyncGroup,
} from './groups.ts';
import { ApiVersions, DescribeCluster, DescribeTopicPartitions, Metadata } from './metadata.ts';
import { OffsetCommit, OffsetDelete, OffsetFetch } from './offsets.ts';
import { Produce } from './produce.ts';
import { AlterClientQuotas, DescribeClientQuotas } from './quotas.ts';
import {
  AlterUserScramCredentials,
  DescribeUserScramCredentials,
  SaslAuthenticate,
  SaslHandshake,
} from './security.ts';
import {
  CreatePartitions,
  CreateTopics,
  DeleteRecords,
  DeleteTopics,
  DescribeLogDirs,
  ElectLeaders,
  ListPartitionReassignments,
} from './topics.ts';
import {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  DescribeProducers,
  DescribeTransactions,
  EndTxn,
  InitProducerId,
  ListTransactions,
  TxnOffsetCommit,
  WriteTxnMarkers,
} from './transactions.ts';

/** Every API that has a table, by key. */
export const APIS = [
  Produce,
  Fetch,
  ListOffsets,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  FindCoordinator,
  JoinGroup,
  Heartbeat,
  LeaveGroup,
  SyncGroup,
  DescribeGroups,
  ListGroups,
  SaslHandshake,
  ApiVersions,
  CreateTopics,
  DeleteTopics,
  DeleteRecords,
  InitProducerId,
  OffsetForLeaderEpoch,
  AddPartitionsToTxn,
  AddOffsetsToTxn,
  EndTxn,
  WriteTxnMarkers,
  TxnOffsetCommit,
  DescribeAcls,
  CreateAcls,
  DeleteAcls,
  DescribeConfigs,
  AlterConfigs,
  DescribeLogDirs,
  SaslAuthenticate,
  CreatePartitions,
  DeleteGroups,
  ElectLeaders,
  IncrementalAlterConfigs,
  ListPartitionReassignments,
  OffsetDelete,
  DescribeClientQuotas,
  AlterClientQuotas,
  DescribeUserScramCredentials,
  AlterUserScramCredentials,
  DescribeCluster,
  DescribeProducers,
  DescribeTransactions,
  ListTransactions,
  ConsumerGroupHeartbeat,
  ConsumerGroupDescribe,
  ListConfigResources,
  DescribeTopicPartitions,
] as const;

/** What consumers put into the bytes of JoinGroup and SyncGroup. */
export { ConsumerAssignment, ConsumerSubscription } from './consumer-protocol.ts';

export { compileReader, compileWriter } from './codec/compile.ts';
export {
  type AnswerOf,
  type Api,
  type CallOf,
  type FieldSpec,
  type FieldType,
  NO_UUID,
  type RequestOf,
  type ResponseOf,
  type Shape,
  type VersionRange,
} from './codec/fields.ts';
export {
  type RequestHeader,
  readRequest,
  readRequestHeader,
  readResponse,
  SIZE_BYTES,
  writeRequest,
  writeResponse,
} from './codec/frame.ts';
export { Malformed, Reader } from './codec/reader.ts';
export { Writer } from './codec/writer.ts';
export {
  byTopic,
  readAssignment,
  readOwned,
  readSubscription,
  writeAssignment,
  writeSubscription,
} from './consumer-bytes.ts';
export { KAFKA_ERRORS } from './errors.ts';
export { CreateAcls, DeleteAcls, DescribeAcls } from './messages/acls.ts';
export {
  AlterConfigs,
  DescribeConfigs,
  IncrementalAlterConfigs,
  ListConfigResources,
} from './messages/configs.ts';
export { ConsumerGroupDescribe, ConsumerGroupHeartbeat } from './messages/consumer-groups.ts';
export {
  CONSUMER_PROTOCOL_VERSIONS,
  ConsumerAssignment,
  ConsumerSubscription,
} from './messages/consumer-protocol.ts';
export { Fetch, ListOffsets, OffsetForLeaderEpoch } from './messages/fetch.ts';
export {
  DeleteGroups,
  DescribeGroups,
  FindCoordinator,
  Heartbeat,
  JoinGroup,
  LeaveGroup,
  ListGroups,
  SyncGroup,
} from './messages/groups.ts';
export { APIS } from './messages/index.ts';
export { ApiVersions, DescribeCluster, DescribeTopicPartitions, Metadata } from './messages/metadata.ts';
export { OffsetCommit, OffsetDelete, OffsetFetch } from './messages/offsets.ts';
export { Produce } from './messages/produce.ts';
export { AlterClientQuotas, DescribeClientQuotas } from './messages/quotas.ts';
export {
  AlterUserScramCredentials,
  DescribeUserScramCredentials,
  SaslAuthenticate,
  SaslHandshake,
} from './messages/security.ts';
export {
  CreatePartitions,
  CreateTopics,
  DeleteRecords,
  DeleteTopics,
  DescribeLogDirs,
  ElectLeaders,
  ListPartitionReassignments,
} from './messages/topics.ts';
export {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  DescribeProducers,
  DescribeTransactions,
  EndTxn,
  InitProducerId,
  ListTransactions,
  TxnOffsetCommit,
  WriteTxnMarkers,
} from './messages/transactions.ts';

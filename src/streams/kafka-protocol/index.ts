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
export { KAFKA_ERRORS } from './errors.ts';
export { DescribeConfigs, IncrementalAlterConfigs } from './messages/configs.ts';
export {
  CONSUMER_PROTOCOL_VERSIONS,
  ConsumerAssignment,
  ConsumerSubscription,
} from './messages/consumer-protocol.ts';
export { Fetch, ListOffsets } from './messages/fetch.ts';
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
export { ApiVersions, Metadata } from './messages/metadata.ts';
export { OffsetCommit, OffsetDelete, OffsetFetch } from './messages/offsets.ts';
export { Produce } from './messages/produce.ts';
export { SaslAuthenticate, SaslHandshake } from './messages/security.ts';
export {
  CreatePartitions,
  CreateTopics,
  DeleteRecords,
  DeleteTopics,
  DescribeLogDirs,
} from './messages/topics.ts';
export {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  EndTxn,
  InitProducerId,
  ListTransactions,
  TxnOffsetCommit,
} from './messages/transactions.ts';

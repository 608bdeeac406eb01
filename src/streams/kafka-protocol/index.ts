export type { AnswerOf, Api, CallOf } from './codec/fields.ts';
export { readResponse, SIZE_BYTES, writeRequest } from './codec/frame.ts';
export { Reader } from './codec/reader.ts';
export { Writer } from './codec/writer.ts';
export { KAFKA_ERRORS } from './errors.ts';
export { DescribeConfigs, IncrementalAlterConfigs } from './messages/configs.ts';
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
  TxnOffsetCommit,
} from './messages/transactions.ts';

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
export { KAFKA_ERRORS } from './errors.ts';
export {
  CONSUMER_PROTOCOL_VERSIONS,
  ConsumerAssignment,
  ConsumerSubscription,
} from './messages/consumer-protocol.ts';
export { Fetch, ListOffsets } from './messages/fetch.ts';
export { FindCoordinator, Heartbeat } from './messages/groups.ts';
export { APIS } from './messages/index.ts';
export { ApiVersions, Metadata } from './messages/metadata.ts';
export { Produce } from './messages/produce.ts';

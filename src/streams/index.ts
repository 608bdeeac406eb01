export { streamsSection } from './config.ts';
export {
  createCommitOrder,
  type GroupChange,
  Groups,
  KeyedState,
  keyedMutex,
  normalisePosition,
  ProducerStates,
  type Share,
  type TransactionChange,
  type TransactionEnd,
  Transactions,
} from './coordination/index.ts';
export { createDecompress } from './decompress.ts';
export { DEFAULT_STREAM_SETTINGS, type StreamSettings } from './definitions/settings.ts';
export { streamsDeployable } from './deployable.ts';
export type { Disk, DiskFile } from './disk.port.ts';
export { createFacts, FACT_STREAMS } from './facts.ts';
export { requireJson } from './json/check.ts';
export {
  createEmbeddedLog,
  DEFAULT_LOG_TUNING,
  type EmbeddedLog,
  type EmbeddedLogOptions,
  type LogTuning,
} from './log/index.ts';
export {
  type AppendInput,
  type AppendResult,
  type Assignment,
  type Commit,
  type CommitResult,
  type Damage,
  DEFAULT_TOPIC_CONFIG,
  type FetchRequest,
  type FetchResult,
  type GroupAdmin,
  type GroupHolder,
  type GroupInfo,
  type GroupKind,
  type JoinOptions,
  type LogStore,
  type Membership,
  type OffsetCommit,
  type PartitionBounds,
  type Position,
  type ProducerAdmin,
  type ProducerIdentity,
  type StateView,
  type StateWrite,
  type TopicAdmin,
  type TopicConfig,
  type TopicInfo,
  type TopicPartition,
  type TransactionInfo,
  type VerifyProgress,
  type VerifyReport,
} from './port.ts';
export {
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  type BatchHeader,
  type BatchOptions,
  type BatchRecord,
  type BatchRecordHeader,
  type BatchSpan,
  batchSizeAt,
  COMPRESSIONS,
  type Compression,
  crc32c,
  crcMatches,
  type DecodedRecord,
  type Decompress,
  decodeBatch,
  decodeBatches,
  decompressRecords,
  encodeBatch,
  encodeMarker,
  murmur2,
  partitionOfKey,
  RecordCursor,
  readBatchHeader,
  readMarker,
  setAppendTime,
  setBaseOffset,
  splitBatches,
} from './record-batch/index.ts';
export { subsetProblem } from './schema/compatibility.ts';
export { type CompiledSchema, createSchemaCompiler, type SchemaCompiler } from './schema/compile.ts';
export { compilePattern } from './schema/pattern.ts';
export { RegistryError } from './schema-registry/errors.ts';
export { createSchemaRegistry } from './schema-registry/registry.ts';
export type {
  Deleted,
  RegistrySettings,
  SchemaDraft,
  SchemaRegistry,
  SubjectVersion,
} from './schema-registry/service.ts';
export { readLevel, readMode } from './schema-registry/settings.ts';
export { SCHEMA_TYPES, type SchemaReference, type SchemaType } from './schema-registry/types.ts';
export type {
  FollowOptions,
  PublishOptions,
  PublishRecord,
  PublishResult,
  ReadOptions,
  ReadRecord,
  ReadResult,
  RecordHeader,
  SchemaVersion,
  StreamDefinition,
  StreamDescription,
  StreamGroup,
  Streams,
} from './service.ts';
export { createStreams, type StreamsParts } from './streams.ts';

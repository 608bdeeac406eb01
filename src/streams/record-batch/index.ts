export {
  compressNow,
  type Decompress,
  decompressNow,
  decompressRecords,
  MAX_DECOMPRESSED_BYTES,
} from './compression.ts';
export { payloadStart } from './confluent-frame.ts';
export { crc32c } from './crc32c.ts';
export { type DecodedRecord, decodeBatch, decodeBatches, RecordCursor, readMarker } from './decode.ts';
export {
  type BatchOptions,
  type BatchRecord,
  type BatchRecordHeader,
  encodeBatch,
  encodeMarker,
  keepRecords,
  packBatch,
  repackBatch,
  writeBatchHeader,
} from './encode.ts';
export {
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  type BatchHeader,
  type BatchSpan,
  batchSizeAt,
  COMPRESSIONS,
  type Compression,
  crcMatches,
  readBatchHeader,
  setAppendTime,
  setBaseOffset,
  setProducer,
  splitBatches,
} from './header.ts';
export { isMergeable, mergeBatches } from './merge.ts';
export { murmur2, partitionOfKey } from './murmur2.ts';
export { BatchWriter, type UnsealedBatch, WriterBuffers } from './writer.ts';

import { MillraceError } from '../../kernel/index.ts';
import { KAFKA_ERRORS } from '../../streams/kafka-protocol/index.ts';

export { KAFKA_ERRORS };

export type KafkaErrorName = keyof typeof KAFKA_ERRORS;

/** An error of the protocol: handlers throw it or put its code where the API has a place for one. */
export class KafkaError extends Error {
  readonly code: number;
  readonly kafkaName: KafkaErrorName;

  constructor(name: KafkaErrorName, message: string = name) {
    super(message);
    this.name = 'KafkaError';
    this.kafkaName = name;
    this.code = KAFKA_ERRORS[name];
  }
}

/** What clients of the protocol understand by the platform's own errors. */
const OF_PLATFORM: { readonly [code: string]: KafkaErrorName } = {
  STREAM_NOT_FOUND: 'UNKNOWN_TOPIC_OR_PARTITION',
  PARTITION_NOT_FOUND: 'UNKNOWN_TOPIC_OR_PARTITION',
  STREAM_EXISTS: 'TOPIC_ALREADY_EXISTS',
  NAME_TAKEN: 'POLICY_VIOLATION',
  STREAM_NAME_INVALID: 'INVALID_TOPIC_EXCEPTION',
  PARTITION_COUNT_INVALID: 'INVALID_PARTITIONS',
  STREAM_CONFIG_INVALID: 'INVALID_CONFIG',
  OFFSET_OUT_OF_RANGE: 'OFFSET_OUT_OF_RANGE',
  BATCH_INVALID: 'CORRUPT_MESSAGE',
  DATA_DAMAGED: 'KAFKA_STORAGE_ERROR',
  RECORD_TOO_LARGE: 'MESSAGE_TOO_LARGE',
  RECORD_INVALID: 'INVALID_RECORD',
  SEQUENCE_OUT_OF_ORDER: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  PRODUCER_FENCED: 'INVALID_PRODUCER_EPOCH',
  PRODUCER_UNKNOWN: 'UNKNOWN_PRODUCER_ID',
  TRANSACTION_STATE: 'INVALID_TXN_STATE',
  DISK_FULL: 'KAFKA_STORAGE_ERROR',
  DISK_FAILED: 'KAFKA_STORAGE_ERROR',
  GROUP_FENCED: 'ILLEGAL_GENERATION',
  GROUP_NOT_EMPTY: 'NON_EMPTY_GROUP',
  GROUP_NOT_FOUND: 'GROUP_ID_NOT_FOUND',
  UNAVAILABLE: 'COORDINATOR_NOT_AVAILABLE',
  UNAUTHENTICATED: 'SASL_AUTHENTICATION_FAILED',
  FORBIDDEN: 'CLUSTER_AUTHORIZATION_FAILED',
  INVALID_INPUT: 'INVALID_REQUEST',
  BAD_REQUEST: 'INVALID_REQUEST',
};

/** The protocol's name for any error; UNKNOWN_SERVER_ERROR where none of its own fits. */
export function kafkaErrorName(error: unknown): KafkaErrorName {
  if (error instanceof KafkaError) return error.kafkaName;
  const own = error instanceof MillraceError ? OF_PLATFORM[error.code] : undefined;
  return own ?? 'UNKNOWN_SERVER_ERROR';
}

export const kafkaErrorCode = (error: unknown): number => KAFKA_ERRORS[kafkaErrorName(error)];

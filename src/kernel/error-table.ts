/**
 * The one table of errors. `status` is the HTTP status, `action` tells a program what to do: `fix` the request,
 * `retry` later, or `stop` because only an operator can help. `docs/errors.md` is checked against this table.
 */
export interface ErrorEntry {
  readonly status: number;
  readonly action: 'fix' | 'retry' | 'stop';
  readonly title: string;
}

export const ERROR_TABLE = {
  // Requests
  BAD_REQUEST: { status: 400, action: 'fix', title: 'The request cannot be understood' },
  BAD_JSON: { status: 400, action: 'fix', title: 'The body is not valid JSON' },
  BAD_ENCODING: { status: 400, action: 'fix', title: 'The body is not valid UTF-8' },
  UNAUTHENTICATED: { status: 401, action: 'fix', title: 'A valid token is needed' },
  FORBIDDEN: { status: 403, action: 'fix', title: 'This is not permitted' },
  NOT_FOUND: { status: 404, action: 'fix', title: 'There is nothing at this address' },
  METHOD_NOT_ALLOWED: { status: 405, action: 'fix', title: 'This method does not apply here' },
  CONFLICT: { status: 409, action: 'fix', title: 'The request conflicts with what is there' },
  REQUEST_TIMEOUT: { status: 408, action: 'retry', title: 'The request did not arrive in time' },
  PAYLOAD_TOO_LARGE: { status: 413, action: 'fix', title: 'The body is larger than the limit' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, action: 'fix', title: 'This content type is not understood' },
  INVALID_INPUT: { status: 422, action: 'fix', title: 'The input does not fit its schema' },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    action: 'fix',
    title: 'This idempotency key came with another request',
  },
  TOO_MANY_REQUESTS: { status: 429, action: 'retry', title: 'More requests than the limit allows' },
  HEADERS_TOO_LARGE: { status: 431, action: 'fix', title: 'The headers are larger than the limit' },
  INTERNAL: { status: 500, action: 'stop', title: 'A fault in the platform' },
  UNAVAILABLE: { status: 503, action: 'retry', title: 'Not available at the moment' },

  // Configuration and the data folder
  CONFIG_INVALID: { status: 500, action: 'fix', title: 'The configuration is not valid' },
  CONFIG_UNSAFE: { status: 500, action: 'fix', title: 'The configuration would open a door unprotected' },
  PORT_IN_USE: { status: 500, action: 'fix', title: 'The port is taken' },
  DATA_FOLDER_LOCKED: { status: 500, action: 'fix', title: 'Another program uses this data folder' },
  DATA_FOLDER_FORMAT: {
    status: 500,
    action: 'stop',
    title: 'The data folder has a format that this version cannot read',
  },
  DISK_FULL: { status: 507, action: 'retry', title: 'The disk is full' },
  DISK_FAILED: { status: 503, action: 'stop', title: 'The disk reported an error' },
  DATA_DAMAGED: { status: 500, action: 'stop', title: 'Stored data is damaged' },

  // State and blobs
  STATE_CONFLICT: { status: 409, action: 'retry', title: 'The entry changed in the meantime' },
  BLOB_NOT_FOUND: { status: 404, action: 'fix', title: 'There is no such blob' },

  // Streams
  STREAM_NOT_FOUND: { status: 404, action: 'fix', title: 'There is no such stream' },
  STREAM_EXISTS: { status: 409, action: 'fix', title: 'A stream with this name exists' },
  STREAM_NAME_INVALID: { status: 422, action: 'fix', title: 'The name cannot be used for a stream' },
  STREAM_CONFIG_INVALID: {
    status: 422,
    action: 'fix',
    title: 'The configuration of the stream is not valid',
  },
  PARTITION_NOT_FOUND: { status: 404, action: 'fix', title: 'The stream has no such partition' },
  PARTITION_COUNT_INVALID: { status: 422, action: 'fix', title: 'The number of partitions is not possible' },
  OFFSET_OUT_OF_RANGE: { status: 416, action: 'fix', title: 'The offset is not in the log' },
  RECORD_TOO_LARGE: { status: 413, action: 'fix', title: 'The record is larger than the stream allows' },
  RECORD_INVALID: { status: 422, action: 'fix', title: 'The record does not fit the schema of the stream' },
  BATCH_INVALID: { status: 422, action: 'fix', title: 'The record batch is malformed' },
  SCHEMA_INVALID: { status: 422, action: 'fix', title: 'The schema cannot be used' },
  SCHEMA_INCOMPATIBLE: { status: 409, action: 'fix', title: 'The schema breaks the compatibility mode' },
  PRODUCER_FENCED: { status: 409, action: 'stop', title: 'A newer producer has taken over' },
  SEQUENCE_OUT_OF_ORDER: { status: 409, action: 'fix', title: 'The producer skipped a sequence number' },
  PRODUCER_UNKNOWN: { status: 409, action: 'fix', title: 'The producer id is not known' },
  TRANSACTION_STATE: {
    status: 409,
    action: 'fix',
    title: 'The transaction is not in a state that allows this',
  },
  GROUP_NOT_FOUND: { status: 404, action: 'fix', title: 'There is no such consumer group' },
  GROUP_NOT_EMPTY: { status: 409, action: 'fix', title: 'The consumer group still has members' },
  GROUP_FENCED: { status: 409, action: 'retry', title: 'The consumer group has moved on' },

  // Apps and functions
  APP_NOT_FOUND: { status: 404, action: 'fix', title: 'There is no such app' },
  APP_INVALID: { status: 422, action: 'fix', title: 'The app cannot be built' },
  VERSION_NOT_FOUND: { status: 404, action: 'fix', title: 'There is no such version' },
  NAME_TAKEN: { status: 409, action: 'fix', title: 'The name belongs to another app' },
  REFERENCE_MISSING: { status: 409, action: 'fix', title: 'The app refers to something that is not there' },
  DEPLOY_REFUSED: { status: 409, action: 'fix', title: 'The deployment would break something' },
  FUNCTION_NOT_FOUND: { status: 404, action: 'fix', title: 'There is no such function' },
  FUNCTION_FAILED: { status: 500, action: 'fix', title: 'The function failed' },
  FUNCTION_TIMED_OUT: { status: 504, action: 'retry', title: 'The function did not answer in time' },
  FUNCTION_CRASHED: { status: 502, action: 'retry', title: 'The instance of the function ended' },
  RESULT_INVALID: { status: 500, action: 'fix', title: 'The result of the function cannot be sent' },
  INVOCATION_NOT_FOUND: { status: 404, action: 'fix', title: 'There is no such invocation' },
  MODEL_NOT_FOUND: { status: 404, action: 'fix', title: 'There is no such model' },
  MODEL_INCOMPATIBLE: { status: 409, action: 'fix', title: 'The model would change what its users get' },
  DEPTH_EXCEEDED: { status: 508, action: 'fix', title: 'Functions call each other too deeply' },

  // Models
  MODEL_INVALID: { status: 422, action: 'fix', title: 'The model is broken' },
  MODEL_UNSUPPORTED: {
    status: 422,
    action: 'fix',
    title: 'The model needs what this evaluator does not have',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_TABLE;

import type { Json } from '../kernel/index.ts';

/**
 * What the dispatcher and an instance say to each other. Messages are flat tuples, because cloning an object costs the
 * names of all its properties each time: 2.0 µs a message there and back as tuples, 3.2 as objects, in batches of 32.
 *
 * JSON travels as text while it is small and as bytes beyond `TEXT_LIMIT_BYTES`: small texts clone by copying, large
 * buffers are transferred. Never a view of a larger buffer: cloning a view clones all that lies behind it.
 */
export const TEXT_LIMIT_BYTES = 16 * 1024;

/** Largest input, result or record: `LIMITS.bodyBytes`, told here so that an instance need not load the kernel. */
export const PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024;

/** What one invocation may hold back for the commit of its records: values of emits and of state. */
export const HELD_LIMIT_BYTES = 32 * 1024 * 1024;

/** Calls of one invocation that may wait for the platform's answer. */
export const CALL_LIMIT = 10_000;

/** Captured output of one invocation; what comes after is replaced by one line that says so. */
export const LOG_LIMITS = { lines: 1000, bytes: 256 * 1024, lineBytes: 16 * 1024 } as const;

/** Bytes of a streamed body that may be on the way before the reader has taken any. */
export const BODY_WINDOW_BYTES = 256 * 1024;

export type Payload = string | Uint8Array | undefined;

export type WireEvent = WireDirect | WireHttp | WireTick | WireRecords;

export type WireDirect = readonly [kind: 'direct', input: Payload];

/**
 * Objects and small buffers cost more to clone than all the rest of a request: headers go as a flat list, empty objects are
 * left out, and a small body goes as text of one character a byte (latin1).
 */
export type WireHttp = readonly [
  kind: 'http',
  method: string,
  url: string,
  route: string,
  params: { readonly [name: string]: string } | undefined,
  query: { readonly [name: string]: Json } | undefined,
  /** Name, value, name, value, … */
  headers: readonly string[],
  clientIp: string,
  /** True: it comes in chunks. */
  body: Uint8Array | string | true | undefined,
];

export type WireTick = readonly [kind: 'tick', scheduledMs: number, missed: number];

/** `states` holds the names whose packed values (`StateValues`) stand at the same place in `stateValues`. */
export type WireRecords = readonly [
  kind: 'records',
  stream: string,
  partition: number,
  batches: Uint8Array,
  records: number,
  asBatch: boolean,
  states: readonly string[],
  stateValues: readonly Uint8Array[],
];

export type RunMessage = readonly [
  kind: 'run',
  id: number,
  event: WireEvent,
  invocationId: string,
  traceId: string,
  /** Left out where it is the id of the invocation. */
  idempotencyKey: string | undefined,
  attempt: number,
  deadlineMs: number,
];

export type ToInstance =
  | RunMessage
  /** The deadline has passed, or the caller has gone: `ctx.signal` fires. */
  | readonly [kind: 'cancel', id: number, reason: 'deadline' | 'gone']
  /** Answer to a `call`. */
  | readonly [kind: 'answer', callId: number, value: Json | Uint8Array | undefined]
  | readonly [kind: 'refusal', callId: number, code: string, message: string]
  /** Request body. */
  | readonly [kind: 'chunk', id: number, bytes: Uint8Array]
  | readonly [kind: 'chunkEnd', id: number, error: string | undefined]
  /** The reader of a response body took so many bytes, or has gone. */
  | readonly [kind: 'credit', id: number, bytes: number]
  | readonly [kind: 'bodyGone', id: number];

export type WireError = readonly [
  code: WireErrorCode,
  name: string,
  message: string,
  stack: string | undefined,
];
export type WireErrorCode = 'FUNCTION_FAILED' | 'RESULT_INVALID' | 'INVALID_INPUT';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type WireHeaders = readonly (readonly [name: string, value: string])[];

export type EmitRow = readonly [
  stream: string,
  key: string | undefined,
  position: number,
  sizeBytes: number,
  causeOffset: number | undefined,
  headers: WireHeaders | undefined,
];

/**
 * Emits of one event as one table, for the same reason as state writes: five numbers a row, index into `streams`, position
 * and size of the value, offset of the record it came from (NaN: the whole batch), index into `headers` (-1: none). `keys`
 * holds one a row, or nothing when no emit has one.
 */
export type WireEmits = readonly [
  streams: readonly string[],
  keys: readonly (string | undefined)[],
  headers: readonly WireHeaders[],
  rows: Float64Array,
];

/** `sizeBytes` is -1 for an entry to remove. */
export type StateWriteRow = readonly [state: string, offset: number, position: number, sizeBytes: number];

/**
 * State writes of one event as one table, because an array for each would be cloned one by one: four numbers a row, index
 * into `states`, offset of the record, position and size of the value.
 */
export type WireStateWrites = readonly [states: readonly string[], rows: Float64Array];

/**
 * An argument for a provider: JSON as text, bytes as they are. Rows of numbers, which is what models are asked, go as one table: writing
 * numbers as text and reading them costs more than most models take to answer.
 */
export type WireArgument = string | Uint8Array | WireNumbers;

/** Rows of `width` finite numbers each, one after the other. */
export type WireNumbers = readonly [width: number, values: Float64Array];

/** What an invocation asks of the platform; the answer is JSON (a provider's: its text), or bytes for `state` and where a provider gives them. */
export type CallOperation =
  | readonly [
      operation: 'emit',
      stream: string,
      value: Payload,
      key: string | undefined,
      headers: WireHeaders | undefined,
    ]
  | readonly [operation: 'invoke', fn: string, input: Payload]
  | readonly [operation: 'state', state: string]
  | readonly [operation: 'read', stream: string, cursor: Json | undefined, limit: Json | undefined]
  | readonly [operation: 'secret', name: string]
  | readonly [
      operation: 'provider',
      provider: string,
      resource: string,
      method: string,
      args: readonly WireArgument[],
    ];

export type FromInstance =
  | readonly [kind: 'ready']
  | readonly [kind: 'failed', error: WireError]
  | readonly [kind: 'ok', id: number, json: Payload]
  | readonly [
      kind: 'reply',
      id: number,
      statusCode: number,
      headers: readonly (readonly [string, string])[],
      body: string | Uint8Array | undefined,
      streams: boolean,
    ]
  /** Values of emits and of state writes lie in `bytes`. */
  | readonly [
      kind: 'records',
      id: number,
      failed: readonly (readonly [offset: number, error: WireError])[],
      skipped: readonly number[],
      emits: WireEmits,
      state: WireStateWrites,
      bytes: Uint8Array,
    ]
  | readonly [kind: 'error', id: number, error: WireError]
  | readonly [kind: 'call', callId: number, id: number, operation: CallOperation]
  | readonly [
      kind: 'log',
      id: number,
      invocationId: string,
      traceId: string,
      level: LogLevel,
      message: string,
      attributes: string | undefined,
    ]
  /** Response body. */
  | readonly [kind: 'chunk', id: number, bytes: Uint8Array]
  | readonly [kind: 'chunkEnd', id: number, error: string | undefined]
  /** The handler took so many bytes of the request's body. */
  | readonly [kind: 'credit', id: number, bytes: number];

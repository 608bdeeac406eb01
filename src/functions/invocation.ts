import type { RecordHeader } from '../streams/index.ts';

/**
 * What happens to a function, whoever caused it. Triggers (edge port, streams, schedules, by name) make events and hand
 * them to the `Dispatcher`; the dispatcher queues within bounds, picks or starts an instance, enforces the deadline and
 * gives the outcome back.
 */
export type InvocationEvent = DirectEvent | HttpEvent | TickEvent | RecordsEvent;

export interface DirectEvent {
  readonly kind: 'direct';
  /** JSON text; undefined when nothing was sent. */
  readonly input: Uint8Array | undefined;
}

export interface HttpEvent {
  readonly kind: 'http';
  readonly method: string;
  /** Path and query as received. */
  readonly url: string;
  readonly route: string;
  readonly params: { readonly [name: string]: string };
  readonly query: { readonly [name: string]: string | readonly string[] };
  /** Lower-case names. */
  readonly headers: { readonly [name: string]: string };
  readonly clientIp: string;
  /** Whole bytes, or a stream when the trigger says `streamBody`. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined;
}

export interface TickEvent {
  readonly kind: 'tick';
  readonly scheduledMs: number;
  /** Ticks that were due while the platform was down and are folded into this one. */
  readonly missed: number;
}

/** Records of one partition, as the log holds them; the instance decodes them, the main thread does not. */
export interface RecordsEvent {
  readonly kind: 'records';
  readonly stream: string;
  readonly partition: number;
  /** RecordBatch v2 bytes, uncompressed, back to back. */
  readonly batches: Uint8Array;
  /** Offsets inside `batches` that this invocation is to handle, ascending; undefined: all from `firstOffset` on. */
  readonly offsets: readonly number[] | undefined;
  readonly firstOffset: number;
  /** Whether the handler takes an array (the function asked for batches) or one record. */
  readonly asBatch: boolean;
  /** Committed (or pending) values of keyed state the instance is likely to read: store → record key → JSON bytes. */
  readonly state: ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>;
}

export interface InvocationContext {
  readonly invocationId: string;
  /** W3C trace context of the caller, if there was one. */
  readonly traceparent?: string;
  readonly idempotencyKey: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** How many functions stand above this one in a chain of `ctx.invoke`. */
  readonly depth: number;
  readonly trigger: 'http' | 'stream' | 'schedule' | 'invoke' | 'lambda';
  /** Fires when the caller has gone; the handler's `ctx.signal` fires too. */
  readonly signal?: AbortSignal;
}

/** What came of it. Failures of the function are outcomes, not exceptions. */
export type InvocationOutcome =
  | {
      readonly status: 'ok';
      readonly value: InvocationValue;
      readonly durationMs: number;
      readonly cold: boolean;
    }
  | {
      readonly status: 'error';
      readonly error: FunctionError;
      readonly durationMs: number;
      readonly cold: boolean;
    };

export type InvocationValue =
  | { readonly kind: 'json'; readonly json: Uint8Array | undefined }
  | { readonly kind: 'http'; readonly response: HttpReply }
  | { readonly kind: 'records'; readonly result: RecordsResult };

export interface HttpReply {
  readonly statusCode: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined;
}

/** What a stream function wants committed. */
export interface RecordsResult {
  /** Offsets that failed, with why; all others are done. */
  readonly failed: readonly { readonly offset: number; readonly error: FunctionError }[];
  readonly emits: readonly Emit[];
  readonly state: readonly {
    readonly store: string;
    readonly key: string;
    readonly value: Uint8Array | null;
  }[];
}

export interface Emit {
  readonly stream: string;
  readonly value: Uint8Array;
  readonly key: string | undefined;
  readonly headers: readonly RecordHeader[];
  /** Offset of the record whose handling emitted it, where the handler takes one record. */
  readonly causeOffset: number | undefined;
}

export interface FunctionError {
  readonly code:
    | 'FUNCTION_FAILED'
    | 'FUNCTION_TIMED_OUT'
    | 'FUNCTION_CRASHED'
    | 'RESULT_INVALID'
    | 'INVALID_INPUT';
  /** Name of the thrown error's class. */
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

export interface Dispatcher {
  /**
   * Runs the active version of `fn`, or `version`. Throws FUNCTION_NOT_FOUND; TOO_MANY_REQUESTS with a retry time when
   * its queue is full; UNAVAILABLE while stopping.
   */
  dispatch(
    fn: string,
    event: InvocationEvent,
    context: InvocationContext,
    version?: string,
  ): Promise<InvocationOutcome>;
}

import type { Json } from '../kernel/index.ts';
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
  /** Text, or an array of text where a name came twice; by the schema's types where the route has one. */
  readonly query: { readonly [name: string]: Json };
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
  /** What the handler is told; for a dead letter that was given again, the stream it first came from. */
  readonly stream: string;
  readonly partition: number;
  /**
   * RecordBatch v2 bytes, uncompressed, back to back: exactly the records to handle, in order, with gaps between their
   * offsets where others were left out. Their CRCs do not hold. The bytes are given away: they sit alone in their
   * ArrayBuffer and may be transferred.
   */
  readonly batches: Uint8Array;
  /** How many records `batches` holds. */
  readonly records: number;
  /**
   * Whether the handler takes an array (the function asked for batches) or one record. For one record the instance
   * calls the handler for each on its own, at most `perInstance` at a time, records of one key one after the other; a
   * record that fails keeps later ones of its key from being tried (`skipped`). Records without a key have no order.
   * Each such call's idempotency key is `<context.idempotencyKey>/<offset>`.
   */
  readonly asBatch: boolean;
  /** Keyed state the function is known to read: its name in the manifest → values as `StateValues` says. */
  readonly state: ReadonlyMap<string, StateValues>;
  /** For a state that is not in `state`: the same for all records of this event. Asked once per name and event. */
  readonly readState: StateReader;
}

/**
 * The values of one keyed state for the records of an event, packed so that they cross to the instance as one
 * transferable buffer. For every record in order an int32, little-endian: the length of the value's JSON bytes, which
 * follow; -1 where the record's key has no value; -2 where an earlier record of the event has the same key.
 */
export type StateValues = Uint8Array;

export type StateReader = (state: string) => Promise<StateValues>;

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
  /** Called with each line that the invocation writes before it ends. */
  readonly onLog?: (line: LogLine) => void;
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly timeMs: number;
  readonly message: string;
  readonly attributes?: { readonly [name: string]: unknown };
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
  /** Offsets that failed, with why; all others that are not skipped are done. */
  readonly failed: readonly { readonly offset: number; readonly error: FunctionError }[];
  /** Offsets that were not tried: an earlier record of their key failed, or the time was nearly over. They come again. */
  readonly skipped: readonly number[];
  readonly emits: readonly Emit[];
  /** In the order of the writes; the last one of a record is enough. Writes of records that failed are ignored. */
  readonly state: readonly StateChange[];
}

/** A write to keyed state: the key is that of the record at `offset`. */
export interface StateChange {
  /** Its name in the manifest. */
  readonly state: string;
  readonly offset: number;
  /** JSON bytes; null removes the entry. */
  readonly value: Uint8Array | null;
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

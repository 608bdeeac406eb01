import type { Stream } from './stream.ts';
import type { CronSchedule, HttpRoute, HttpShape, Schedule } from './triggers.ts';

/** A record of a stream, as a handler gets it. */
export interface StreamRecord<out Value = unknown, out Name extends string = string> {
  readonly kind: 'record';
  readonly stream: Name;
  readonly partition: number;
  readonly offset: number;
  /** Undefined for a record without a key. */
  readonly key: string | undefined;
  readonly value: Value;
  /** When it was published, milliseconds since the Unix epoch. */
  readonly time: number;
  readonly headers: { readonly [name: string]: string | undefined };
}

/** A request on the edge port. */
export interface HttpRequest<out Shape extends HttpShape = HttpShape> {
  readonly kind: 'http';
  readonly method: Shape['method'];
  /** Path and query as received. */
  readonly url: string;
  /** The trigger's path, such as `/payments/:id`. */
  readonly route: Shape['path'];
  readonly params: Shape['params'];
  readonly query: Shape['query'];
  /** Lower-case names. */
  readonly headers: { readonly [name: string]: string | undefined };
  /**
   * By the schema's type; without a schema what the content type says: JSON as a value, text as a string, anything else
   * as bytes, undefined without a body. With `stream: true` the chunks as they arrive.
   */
  readonly body: Shape['body'];
  readonly clientIp: string;
  bytes(): Promise<Uint8Array>;
  text(): Promise<string>;
  json(): Promise<unknown>;
}

/** A tick of `every` or `cron`. */
export interface Tick {
  readonly kind: 'tick';
  /** When it was due, milliseconds since the Unix epoch. */
  readonly scheduledMs: number;
  /** How many earlier ticks were missed while the platform was down and are folded into this one. */
  readonly missed: number;
}

/** What a handler of an HTTP trigger returns; nothing means 204. A web `Response` will do too. */
export interface HttpResponse {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: { readonly [name: string]: string | readonly string[] };
  /** Text and bytes go out as they are, streams as they come, anything else as JSON. */
  readonly body?: unknown;
}

/** What a handler of batches may return: only these are tried again. */
export interface BatchResult {
  /** Indexes into the batch. */
  readonly failed?: readonly number[];
}

type OneOf<On> = On extends readonly (infer Each)[] ? Each : On;

type EventOfTrigger<Trigger, Batch, Input> = Trigger extends undefined
  ? Input
  : Trigger extends Stream<infer Name, infer Value>
    ? Batch extends undefined
      ? StreamRecord<Value, Name>
      : StreamRecord<Value, Name>[]
    : Trigger extends HttpRoute<infer Shape>
      ? HttpRequest<Shape>
      : Trigger extends Schedule | CronSchedule
        ? Tick
        : never;

/** What the handler gets: a union over the triggers, told apart by `kind` (a batch is an array). */
export type EventOf<On, Batch, Input> = EventOfTrigger<OneOf<On>, Batch, Input>;

type InputOfTrigger<Trigger, Input> = Trigger extends undefined
  ? Input
  : Trigger extends Stream<string, infer Value>
    ? Value
    : Trigger extends HttpRoute<infer Shape>
      ? Shape['body']
      : undefined;

/**
 * What a caller by name passes in. A function with triggers gets it as its first trigger would bring it: as a record's
 * value, a request's body, or a tick.
 */
export type InputOf<On, Input> = On extends readonly [infer First, ...unknown[]]
  ? InputOfTrigger<First, Input>
  : InputOfTrigger<OneOf<On>, Input>;

type ResultOfTrigger<Trigger, Batch> = Trigger extends undefined
  ? unknown
  : Trigger extends Stream
    ? Batch extends undefined
      ? undefined
      : BatchResult | undefined
    : Trigger extends HttpRoute
      ? HttpResponse | Response | undefined
      : unknown;

/** The type of a handler that returns nothing. */
type Nothing = ReturnType<() => void>;

/** What the handler may return. */
export type ResultOf<On, Batch> = ResultOfTrigger<OneOf<On>, Batch> | Nothing;

export type HasStream<On> = Extract<OneOf<On>, Stream> extends never ? false : true;

import type { StreamRecord } from './events.ts';
import type { Model, ModelCalls } from './model.ts';
import type { FunctionResource } from './resources.ts';
import type { State } from './state.ts';
import type { Stream } from './stream.ts';

export interface EmitOptions {
  /** Only for streams without a key path. */
  readonly key?: string;
  readonly headers?: { readonly [name: string]: string };
}

export interface StateCell<Value> {
  /** Undefined when there is none, or when it is past its TTL. */
  get(): Promise<Value | undefined>;
  set(value: Value): Promise<void>;
  delete(): Promise<void>;
}

export interface Log {
  debug(message: string, attributes?: { readonly [name: string]: unknown }): void;
  info(message: string, attributes?: { readonly [name: string]: unknown }): void;
  warn(message: string, attributes?: { readonly [name: string]: unknown }): void;
  error(message: string, attributes?: { readonly [name: string]: unknown }): void;
}

/** A function that `ctx.invoke` can call, with the types of what it takes and gives. */
export interface Fn<Name extends string = string, in Input = never, out Output = unknown>
  extends FunctionResource {
  readonly name: Name;
  /** For the type checker only; never there at run time. */
  readonly '~call'?: (input: Input) => Output;
}

/** Where a reader of a stream stands, one offset per partition; plain JSON, to be kept and handed in again. */
export interface Cursor {
  readonly stream: string;
  readonly offsets: readonly number[];
}

export interface ReadOptions {
  /** Most records of one page, 1 to 10,000; default 1,000. */
  readonly limit?: number;
}

export interface ReadPage<Value> {
  readonly records: readonly StreamRecord<Value>[];
  readonly cursor: Cursor;
  /** Whether there were records after this page when it was read. */
  readonly more: boolean;
}

/** What every handler has. */
export interface Context<Env = { readonly [name: string]: string }, SecretName extends string = string> {
  /** In a stream function it takes effect with the commit of its records; elsewhere it resolves when durable. */
  emit<Value>(stream: Stream<string, Value>, value: NoInfer<Value>, options?: EmitOptions): Promise<void>;
  /** Calls a function by its handle and waits for its result. */
  invoke<Input, Output>(
    fn: Fn<string, Input, Output>,
    ...input: undefined extends Input ? [input?: NoInfer<Input>] : [input: NoInfer<Input>]
  ): Promise<Output>;
  /**
   * Reads a stream from its start, or on from where an earlier call ended: a read model folds the whole history once and
   * afterwards what has come since. It belongs to no consumer group and moves nobody's position.
   */
  read<Value>(stream: Stream<string, Value>, after?: Cursor, options?: ReadOptions): Promise<ReadPage<Value>>;
  /** A model, to predict with: the version that is in production, or the one that its release picks. */
  model<Row, Prediction>(model: Model<string, Row, Prediction>): ModelCalls<NoInfer<Row>, Prediction>;
  readonly log: Log;
  /** Fires at the deadline, and when the caller has gone. */
  readonly signal: AbortSignal;
  /** Milliseconds since the Unix epoch. */
  readonly deadline: number;
  /** 1 for the first. */
  readonly attempt: number;
  readonly invocationId: string;
  /** The same for every attempt: hand it to the outside world to do things once. */
  readonly idempotencyKey: string;
  readonly traceId: string;
  /** What the function's `env` says, and nothing of the platform's environment. */
  readonly env: Env;
  /** A secret that the function's `secrets` names. */
  secret(name: SecretName): Promise<string>;
}

/** What handlers of streams have besides. */
export interface StreamContext<Env = { readonly [name: string]: string }, SecretName extends string = string>
  extends Context<Env, SecretName> {
  /** The state of the record's key. */
  state<Value>(handle: State<Value>, record: StreamRecord): StateCell<Value>;
}

import type { Context, Fn, StreamContext } from './context.ts';
import type { EventOf, HasStream, InputOf, ResultOf } from './events.ts';
import type { Duration, Size, StandardSchema, ValueOf } from './schema.ts';
import type { Stream } from './stream.ts';
import type { CronSchedule, HttpRoute, Schedule } from './triggers.ts';

/** What may stand in `on`. */
export type TriggerHandle = Stream | HttpRoute | Schedule | CronSchedule;

export interface BatchOptions {
  /** Most records of one call, 1 to 10,000; default 100. */
  readonly size?: number;
  /** How long a batch that is not full waits for more; default 0. */
  readonly wait?: Duration;
}

export interface FunctionOptions {
  /** Where a group that is new begins to read; default `'end'`. */
  readonly from?: 'start' | 'end';
  /** How many instances there are at least and at most; default 0 and 10. */
  readonly instances?: { readonly min?: number; readonly max?: number };
  /** How many invocations one instance takes at once, 1 to 1,000; default 80. */
  readonly perInstance?: number;
  /** `'1ms'` to `'900s'`; default `'30s'`. */
  readonly timeout?: Duration;
  /** `'128mb'` to `'10240mb'`; default `'128mb'`. */
  readonly memory?: Size;
  /** Cores, 0.1 to 16; default 1. */
  readonly cpu?: number;
  /** Room for temporary files, up to `'10gb'`; default `'512mb'`. */
  readonly tmp?: Size;
  /** How often a record or a tick is tried (default 5) and the first pause (default `'200ms'`), which doubles. */
  readonly retry?: { readonly attempts?: number; readonly backoff?: Duration };
}

type ContextOf<On, Env, SecretName extends string> =
  HasStream<On> extends true ? StreamContext<Env, SecretName> : Context<Env, SecretName>;

/**
 * Declares a function. `on` is one trigger or several (the event's `kind` tells them apart); without it the function is
 * invoked by name and gets the input, which `input` may describe. With `batch` a stream brings an array of records.
 */
export function fn<
  const Name extends string,
  const On extends TriggerHandle | readonly TriggerHandle[] | undefined = undefined,
  const Batch extends BatchOptions | undefined = undefined,
  Input extends StandardSchema | undefined = undefined,
  const Env extends { readonly [name: string]: string } = Record<never, never>,
  const SecretNames extends readonly string[] = [],
  Result extends ResultOf<On, Batch> = ResultOf<On, Batch>,
>(
  name: Name,
  options: FunctionOptions & {
    readonly on?: On;
    readonly batch?: Batch;
    readonly input?: Input;
    readonly env?: Env;
    readonly secrets?: SecretNames;
  },
  handler: (
    event: EventOf<On, Batch, ValueOf<Input>>,
    ctx: ContextOf<On, { readonly [Key in keyof Env]: string }, SecretNames[number]>,
  ) => Result | Promise<Result>,
): Fn<Name, InputOf<On, ValueOf<Input>>, Result> {
  return { millrace: 1, kind: 'function', name, options: { ...options }, handler };
}

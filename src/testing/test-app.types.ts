import type { Duration, Fn, Stream, StreamRecord } from '../sdk/index.ts';

/** What a module of an app looks like to `testApp`: `import('./app.ts')`, its promise, or several of them. */
export type AppModule = object;

/** A running platform in memory with one app or several deployed, on a clock that the test moves. */
export interface TestApp extends AsyncDisposable {
  readonly clock: {
    /** Milliseconds since the Unix epoch; begins at 2026-01-01T00:00:00Z. */
    now(): number;
    /** Moves time forward, fires what comes due on the way, and resolves when that work is done. */
    advance(by: Duration): Promise<void>;
  };
  /** Publishes and resolves when stored; throws RECORD_INVALID and the like. */
  emit<Value>(
    stream: Stream<string, Value>,
    value: NoInfer<Value>,
    options?: { readonly key?: string; readonly headers?: { readonly [name: string]: string } },
  ): Promise<void>;
  emit(stream: string, value: unknown, options?: { readonly key?: string }): Promise<void>;
  /** A request to the edge port. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  invoke<Input, Output>(
    fn: Fn<string, Input, Output>,
    ...input: undefined extends Input ? [input?: Input] : [input: Input]
  ): Promise<Awaited<Output>>;
  invoke(fn: string, input?: unknown): Promise<unknown>;
  /**
   * Resolves when nothing is left to do at this moment: every stream function has read to the end, no invocation runs, no
   * retry waits. Retries that wait are brought forward by moving the clock.
   */
  idle(): Promise<void>;
  /** All records of a stream, by partition and offset. */
  records<Value, Name extends string>(stream: Stream<Name, Value>): Promise<StreamRecord<Value, Name>[]>;
  records(stream: string): Promise<StreamRecord[]>;
  /** Lines that functions logged so far. */
  logs(): readonly { readonly fn: string; readonly level: string; readonly message: string }[];
}

export interface TestAppOptions {
  /** Values for the secrets that functions name. */
  readonly secrets?: { readonly [name: string]: string };
  /** Name of the app; else from the package.json above the test file. */
  readonly app?: string;
}

/** Starts the real platform in memory and deploys the app. Dispose it: `await using app = await testApp(import('./app.ts'))`. */
export type TestAppFunction = (
  app: AppModule | Promise<AppModule>,
  options?: TestAppOptions,
) => Promise<TestApp>;

import type { Json } from './state-store.ts';

/** Who calls from inside a function. */
export interface ContextCaller {
  readonly app: string;
  readonly fn: string;
  readonly invocationId: string;
  readonly traceId: string;
}

/**
 * A capability inside `ctx` that another room offers (`model`, `kv`, `bucket`, `table`). The functions room carries
 * the calls and knows nothing of what they do. `main.ts` hands the providers in.
 */
export interface ContextProvider {
  /** The property on `ctx`. */
  readonly name: string;
  /** `resource` is the handle's name, `method` what was called on it. Binary values travel as Uint8Array. */
  call(
    caller: ContextCaller,
    resource: string,
    method: string,
    args: readonly (Json | Uint8Array)[],
  ): Promise<Json | Uint8Array | undefined>;
}

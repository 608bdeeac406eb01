import type { StateResource } from './resources.ts';
import type { Duration, StandardSchema, ValueOf } from './schema.ts';

/** Keyed state as a handle: what `ctx.state(handle, record)` takes. */
export interface State<out Value = unknown> extends StateResource {
  /** For the type checker only; never there at run time. */
  readonly '~value'?: Value;
}

/**
 * Declares keyed state. Each stream function that uses it has its own; its key is the record's key. It is written in
 * the same commit as the function's progress and emits. `ttl`: entries vanish this long after they were last written.
 */
export function state<Schema extends StandardSchema>(
  name: string,
  options: { readonly schema: Schema; readonly ttl?: Duration },
): State<ValueOf<Schema>>;
/** Without a schema the type is the caller's word: `state<{ count: number }>('counts')`. */
export function state<Value = unknown>(
  name: string,
  options?: { readonly schema?: undefined; readonly ttl?: Duration },
): State<Value>;
export function state(name: string, options: object = {}): State {
  const made: State = { millrace: 1, kind: 'state', name, options: { ...options } };
  note(made);
  return made;
}

/**
 * Handles of states need not be exported, so nothing that an app exports leads to them. They are noted under a symbol
 * that all copies of this module share, where tests that load an app into their own process find them.
 */
const NOTED = Symbol.for('millrace.states');

function note(made: State): void {
  const shared = globalThis as { [NOTED]?: State[] };
  (shared[NOTED] ??= []).push(made);
}

import type { Service } from '../lifecycle.ts';

/**
 * Small documents under ordered keys, with optimistic concurrency: registry, schedules, invocations, leases.
 *
 * Invariants every adapter keeps:
 * S1 `transact` is atomic and durable before it resolves; either every operation took effect or none.
 * S2 keys order by their UTF-8 bytes; `list` pages through a table without missing entries that were there throughout.
 * S3 `version` grows with every write of a key and is never used again for that key, deletion in between included.
 * S4 an entry past `expiresAtMs` is not returned; its removal may be lazy.
 * Must not leak: SQL, connections, rows, the number of writers.
 */
export interface StateStore extends Service {
  get(table: string, key: string): Promise<StateEntry | undefined>;
  list(table: string, range?: StateRange): Promise<readonly StateEntry[]>;
  /** Throws STATE_CONFLICT, with the key in its message, when an `expect` does not hold. */
  transact(operations: readonly StateOperation[]): Promise<void>;
  /**
   * Takes or renews the lease `name` for `owner`. Resolves to its fencing token (grows with every change of owner), or
   * undefined while another owner holds it.
   */
  acquireLease(name: string, owner: string, ttlMs: number): Promise<number | undefined>;
  releaseLease(name: string, owner: string): Promise<void>;
}

/** Any JSON value; `undefined` is not one. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface StateEntry {
  readonly key: string;
  readonly value: Json;
  readonly version: number;
  readonly expiresAtMs?: number;
}

export interface StateRange {
  readonly prefix?: string;
  /** Exclusive lower bound (upper bound when reversed): pass the last key of the page before. */
  readonly after?: string;
  /** At most 10,000; 1,000 unless told. */
  readonly limit?: number;
  readonly reverse?: boolean;
}

export type StateOperation =
  | {
      readonly kind: 'put';
      readonly table: string;
      readonly key: string;
      readonly value: Json;
      readonly expiresAtMs?: number;
      /** 0: must be absent; n: must be at that version; left out: whatever is there. */
      readonly expect?: number;
    }
  | { readonly kind: 'delete'; readonly table: string; readonly key: string; readonly expect?: number }
  | { readonly kind: 'check'; readonly table: string; readonly key: string; readonly expect: number };

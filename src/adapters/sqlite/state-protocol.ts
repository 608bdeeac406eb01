import type { ErrorCode } from '../../kernel/index.ts';

/** What travels between the state store and its worker. Values stay JSON text on the way. */
export type StateRead =
  | { readonly kind: 'get'; readonly table: string; readonly key: string }
  | {
      readonly kind: 'list';
      readonly table: string;
      readonly prefix: string;
      readonly after: string | undefined;
      readonly limit: number;
      readonly reverse: boolean;
    };

export interface StateRow {
  readonly key: string;
  readonly text: string;
  readonly version: number;
  readonly expiresAtMs: number | undefined;
}

export type StateWrite =
  | { readonly kind: 'transact'; readonly operations: readonly EncodedOperation[] }
  | { readonly kind: 'acquire'; readonly name: string; readonly owner: string; readonly ttlMs: number }
  | { readonly kind: 'release'; readonly name: string; readonly owner: string };

export interface EncodedOperation {
  readonly kind: 'put' | 'delete' | 'check';
  readonly table: string;
  readonly key: string;
  readonly expect: number | undefined;
  /** JSON; empty unless the kind is put. */
  readonly text: string;
  readonly expiresAtMs: number | undefined;
}

export type WriteOutcome = { readonly token: number | undefined } | { readonly conflict: string };

/** One turn: all reads that wait, then all writes that wait in one transaction. */
export interface StateTurn {
  readonly nowMs: number;
  readonly reads: readonly StateRead[];
  readonly writes: readonly StateWrite[];
}

export interface WorkerFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Reads are answered before the sync, so they come in a message of their own. */
export type StateReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'reads'; readonly results: readonly (readonly StateRow[] | WorkerFailure)[] }
  | { readonly kind: 'writes'; readonly results: readonly WriteOutcome[] | WorkerFailure }
  | { readonly kind: 'failed'; readonly failure: WorkerFailure };

import type { ValueSpec, Values } from '../../models/inference.port.ts';

/** What the engine and its threads say to each other. */
export type ToThread =
  | { readonly kind: 'load'; readonly call: number; readonly session: number; readonly bytes: Uint8Array }
  | { readonly kind: 'run'; readonly call: number; readonly session: number; readonly inputs: Values }
  | { readonly kind: 'close'; readonly call: number; readonly session: number };

export type FromThread =
  | { readonly call: number; readonly ok: true; readonly result: unknown }
  | { readonly call: number; readonly ok: false; readonly failure: Failure };

export interface Failure {
  readonly code: 'MODEL_INVALID' | 'MODEL_UNSUPPORTED' | 'INVALID_INPUT';
  readonly message: string;
}

export interface LoadedSession {
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
}

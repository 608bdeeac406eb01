import type { Json } from './state-store.ts';

/** System streams that carry the platform's own facts. */
export type FactStream =
  | 'millrace.deployments'
  | 'millrace.decisions'
  | 'millrace.alerts'
  | 'millrace.incidents'
  | 'millrace.audit'
  | 'millrace.models'
  | 'millrace.drift';

/** Writes what happened on the platform into the log, where users' functions and other nodes read it. */
export interface Facts {
  /** Resolves when the fact is durable. `key` decides its partition and therefore its order. */
  record(
    stream: FactStream,
    key: string,
    fact: { readonly type: string; readonly [field: string]: Json },
  ): Promise<void>;
}

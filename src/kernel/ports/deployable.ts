import type { Manifest } from '../manifest.ts';

/** What an engine wants to say about a change before it happens. */
export interface PlannedChange {
  /** `stream/payments`, `function/score`, … */
  readonly resource: string;
  readonly action: 'create' | 'update' | 'detach' | 'remove' | 'keep';
  /** Readable differences, one a line: `partitions 4 → 8`. */
  readonly details: readonly string[];
  /** Why it cannot be done, with the remedy. */
  readonly refusal?: string;
  /** The error a refused deployment answers with; DEPLOY_REFUSED unless told. */
  readonly code?: 'REFERENCE_MISSING' | 'SCHEMA_INCOMPATIBLE' | 'NAME_TAKEN';
}

/** One version of an app, with its files at hand. */
export interface AppVersion {
  readonly app: string;
  readonly version: string;
  readonly manifest: Manifest;
  /** Local folder that holds the artifact's files, read only. */
  readonly folder: string;
}

/**
 * An engine that runs a kind of resource. Delivery drives engines only through this. Steps are idempotent: after a
 * crash they are done again from the start.
 */
export interface Deployable {
  readonly kind: string;
  /** Looks only. `current` is undefined for a first deployment, `next` for a removal. */
  plan(current: AppVersion | undefined, next: AppVersion | undefined): Promise<readonly PlannedChange[]>;
  /** Makes ready next to what runs (create streams, load code, warm instances); what serves stays untouched. */
  prepare(current: AppVersion | undefined, next: AppVersion | undefined): Promise<void>;
  /** Switches new work to `next` at once; work in flight finishes on the version it began on. */
  activate(current: AppVersion | undefined, next: AppVersion | undefined): Promise<void>;
  /** Undoes `prepare` when the deployment is given up. */
  abandon(current: AppVersion | undefined, next: AppVersion | undefined): Promise<void>;
}

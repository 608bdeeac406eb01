import type { SchemaReference, SchemaType } from './types.ts';

export const COMPATIBILITY_LEVELS = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const;
export type CompatibilityLevel = (typeof COMPATIBILITY_LEVELS)[number];

export const REGISTRY_MODES = ['READWRITE', 'READONLY', 'IMPORT'] as const;
export type RegistryMode = (typeof REGISTRY_MODES)[number];

export interface SchemaDraft {
  readonly type: SchemaType;
  readonly text: string;
  readonly references: readonly SchemaReference[];
}

export interface SubjectVersion extends SchemaDraft {
  readonly subject: string;
  readonly version: number;
  readonly id: number;
}

export interface RegistrySettings {
  readonly compatibility?: CompatibilityLevel;
  readonly normalize?: boolean;
}

/** Which versions count: those that are there, with those deleted for now, or these alone. */
export type Deleted = 'without' | 'with' | 'only';

/**
 * Schemas under subjects, as Confluent's registry has them: ids that mean one schema for ever, versions counted per subject, a new
 * version checked against the ones before. Every method throws RegistryError, with the number that clients know.
 *
 * A subject `<stream>-value` belongs to the stream where that has a schema: its versions are versions of the subject too,
 * the stream's mode is its level unless it has its own, and only JSON Schema goes there. What is registered there changes nothing of what the
 * stream takes.
 */
export interface SchemaRegistry {
  subjects(options?: { readonly prefix?: string; readonly deleted?: Deleted }): Promise<readonly string[]>;
  versions(subject: string, deleted?: Deleted): Promise<readonly number[]>;
  /** `version`: a number, `latest`, or -1 for the same. */
  version(subject: string, version: string, deleted?: Deleted): Promise<SubjectVersion>;
  /** Idempotent: the same schema again gives the same id and makes no version. */
  register(
    subject: string,
    draft: SchemaDraft,
    options?: { readonly normalize?: boolean; readonly id?: number; readonly version?: number },
  ): Promise<number>;
  lookup(
    subject: string,
    draft: SchemaDraft,
    options?: { readonly normalize?: boolean; readonly deleted?: Deleted },
  ): Promise<SubjectVersion>;
  deleteSubject(subject: string, permanent: boolean): Promise<readonly number[]>;
  deleteVersion(subject: string, version: string, permanent: boolean): Promise<number>;
  schema(id: number): Promise<SchemaDraft>;
  /** The base64 of the descriptor of a Protobuf schema. */
  serialized(schema: SchemaDraft): Promise<string>;
  placesOf(
    id: number,
    deleted?: Deleted,
  ): Promise<readonly { readonly subject: string; readonly version: number }[]>;
  /** Ids of schemas that refer to this version. */
  referencedBy(subject: string, version: string): Promise<readonly number[]>;
  /** Why the schema could not be registered; none when it could. `version`: the one to check against, all that count if left out. */
  problemsWith(
    subject: string,
    draft: SchemaDraft,
    options?: { readonly version?: string; readonly normalize?: boolean },
  ): Promise<readonly string[]>;
  /** Of the registry without `subject`. `inherited`: what holds for the subject where it has none of its own. */
  config(
    subject?: string,
    inherited?: boolean,
  ): Promise<RegistrySettings & { readonly compatibility: CompatibilityLevel }>;
  setConfig(subject: string | undefined, settings: RegistrySettings): Promise<void>;
  deleteConfig(subject: string | undefined): Promise<CompatibilityLevel>;
  mode(subject?: string, inherited?: boolean): Promise<RegistryMode>;
  setMode(subject: string | undefined, mode: RegistryMode): Promise<void>;
  deleteMode(subject: string): Promise<RegistryMode>;
}

import type { Json } from './ports/state-store.ts';

/**
 * What `build` makes of an app's source, in plain JSON: all that the platform needs to route, check, scale and run it
 * without running its code. Durations are milliseconds, sizes bytes.
 */
export interface Manifest {
  readonly format: 1;
  readonly app: string;
  /** Hash of everything below. */
  readonly version: string;
  readonly streams: readonly StreamManifest[];
  readonly functions: readonly FunctionManifest[];
  readonly states: readonly StateManifest[];
  /** What the app only imports from other apps. */
  readonly references: readonly Reference[];
  readonly files: readonly ArtifactFile[];
}

export interface ArtifactFile {
  /** Relative to the artifact's folder, with `/`. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Reference {
  readonly kind: 'stream' | 'function';
  readonly name: string;
  /** JSON Schema the app was compiled against; checked at deploy. */
  readonly schema?: JsonSchema;
}

export type JsonSchema = boolean | { readonly [keyword: string]: Json };

/** How a stream's schema may change from one deployment to the next. */
export const COMPATIBILITY_MODES = [
  'none',
  'backward',
  'backward-transitive',
  'forward',
  'forward-transitive',
  'full',
  'full-transitive',
] as const;

export type CompatibilityMode = (typeof COMPATIBILITY_MODES)[number];

export interface StreamManifest {
  readonly name: string;
  readonly partitions: number;
  /** Path of the key inside the value, as JSON Pointer; left out: the publisher gives the key. */
  readonly keyPath?: string;
  readonly schema?: JsonSchema;
  readonly compatibility: CompatibilityMode;
  /** What happens to a record that does not fit the schema: refused, or diverted to `<stream>.invalid`. */
  readonly onInvalid: 'refuse' | 'divert';
  readonly retentionMs: number | null;
  readonly retentionBytes: number | null;
  readonly cleanup: 'delete' | 'compact' | 'compact,delete';
  readonly maxRecordBytes: number;
}

/** Keyed state belongs to the function that uses it; `name` is unique in the app. */
export interface StateManifest {
  readonly name: string;
  readonly schema?: JsonSchema;
  /** Entries vanish this long after they were last written; null: never. */
  readonly ttlMs: number | null;
}

export interface FunctionManifest {
  readonly name: string;
  /** Hash of its code chunk with all that it imports, and of its configuration. */
  readonly version: string;
  /** Module inside the artifact that holds the handler, with `/`. */
  readonly entry: string;
  readonly exportName: string;
  readonly runtime: 'worker';
  readonly triggers: readonly Trigger[];
  readonly from: 'start' | 'end';
  readonly batch: { readonly size: number; readonly waitMs: number } | null;
  readonly instances: { readonly min: number; readonly max: number };
  readonly perInstance: number;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly cpu: number;
  readonly tmpBytes: number;
  readonly retry: { readonly attempts: number; readonly backoffMs: number };
  readonly env: { readonly [name: string]: string };
  readonly secrets: readonly string[];
  /** JSON Schema of the input of a function without triggers. */
  readonly input?: JsonSchema;
}

export type Trigger = StreamTrigger | HttpTrigger | EveryTrigger | CronTrigger;

export interface StreamTrigger {
  readonly kind: 'stream';
  readonly stream: string;
}

export interface HttpTrigger {
  readonly kind: 'http';
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** `/payments/:id`; a last segment `*rest` takes everything. */
  readonly path: string;
  readonly body?: JsonSchema;
  readonly query?: JsonSchema;
  /** Whether the handler reads the body as a stream instead of a value. */
  readonly streamBody: boolean;
  readonly maxBodyBytes: number;
  readonly cors?: {
    readonly origins: readonly string[];
    readonly headers: readonly string[];
    readonly maxAgeMs: number;
    readonly credentials: boolean;
  };
  /** Names of secrets, any of which is a valid `Authorization: Bearer` or `X-Api-Key`. */
  readonly keys?: readonly string[];
  readonly rateLimit?: {
    readonly requests: number;
    readonly perMs: number;
    readonly by: 'ip' | 'key' | 'route';
  };
  /** CIDR ranges that may call. */
  readonly allow?: readonly string[];
  readonly cache?: { readonly ttlMs: number; readonly vary: readonly string[] };
}

export interface EveryTrigger {
  readonly kind: 'every';
  readonly everyMs: number;
}

export interface CronTrigger {
  readonly kind: 'cron';
  readonly expression: string;
  readonly timezone: string;
}

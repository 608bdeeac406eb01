import type { ModelOperations } from './model-operations.ts';
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
  /** Left out by apps without models. */
  readonly models?: readonly ModelManifest[];
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
  readonly kind: 'stream' | 'function' | 'model';
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

/** A model that the app brings, and how it is served. */
export interface ModelManifest {
  readonly name: string;
  /** The ONNX file inside the artifact, with `/`; left out where versions are only trained or uploaded. */
  readonly file?: string;
  readonly serving: ModelServing;
  /** Markdown: what it is for, what it was trained on, where it fails. */
  readonly card?: string;
  readonly tags: { readonly [name: string]: string };
  /** How it is watched, released and retrained; left out: by the defaults. */
  readonly operations?: ModelOperations;
  /** How its versions are trained: the algorithm and all it is told; `from` is `{ stream }` or `{ file }`. */
  readonly training?: { readonly algorithm: string; readonly [option: string]: Json };
}

/** How rows become a model's inputs and how it is run. Belongs to a version: a change makes another version. */
export interface ModelServing {
  /** JSON Schema of one row. */
  readonly input?: JsonSchema;
  /** JSON Schema of one prediction. */
  readonly output?: JsonSchema;
  /** Names of the columns of a model that takes one matrix, in its order. */
  readonly features?: readonly string[];
  /** What turns bytes or text of a row into an input, by the input's name. */
  readonly preprocess?: { readonly [input: string]: Preprocessing };
  /** Whether null and NaN are values that the model knows as missing; else they are refused. */
  readonly missing: boolean;
  /** Most rows that run together, and how long a batch that is not full waits while others run. */
  readonly batch: { readonly size: number; readonly waitMs: number };
  /** Predictions that are remembered; null: none. */
  readonly cache: {
    readonly ttlMs: number;
    readonly entries: number;
    /** Field of the row that is the key; left out: the whole row. */
    readonly key?: string;
  } | null;
}

export type Preprocessing = ImagePreprocessing | TextPreprocessing;

/** A JPEG or PNG to a tensor of one image. */
export interface ImagePreprocessing {
  readonly kind: 'image';
  /** Field of the row with the bytes, or their base64 text. */
  readonly from: string;
  readonly width: number;
  readonly height: number;
  /** `fill` stretches, `cover` crops what stands over. */
  readonly fit: 'fill' | 'cover';
  readonly channels: 1 | 3;
  readonly layout: 'nchw' | 'nhwc';
  /** (pixel × scale − mean) / std, by channel. */
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export type TextPreprocessing = HashedText | WordPieceText | TokenizedText;

/** Counts of hashed n-grams: a matrix of `size` columns. */
export interface HashedText {
  readonly kind: 'hashed-ngrams';
  readonly from: string;
  readonly size: number;
  readonly words: readonly [min: number, max: number];
  readonly lowercase: boolean;
}

/** BERT's tokens: ids of `vocabulary`, cut and filled to `length`. */
export interface WordPieceText {
  readonly kind: 'wordpiece';
  readonly from: string;
  readonly vocabulary: readonly string[];
  readonly length: number;
  readonly lowercase: boolean;
  /** What the input gets of it. */
  readonly part: 'ids' | 'mask' | 'types';
}

/** Tokens by a tokenizer of Hugging Face's format, cut and filled to `length`. */
export interface TokenizedText {
  readonly kind: 'tokenizer';
  readonly from: string;
  /** tokenizer.json, as text: it is read in workers. */
  readonly tokenizer: string;
  readonly length: number;
  /** What the input gets of it. */
  readonly part: 'ids' | 'mask' | 'types';
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

import type { ModelOperationsOptions } from './model-operations.ts';
import type { ModelResource } from './resources.ts';
import type { Duration, StandardSchema, ValueOf } from './schema.ts';
import type { TrainingDeclaration } from './training.ts';

/** A JPEG or PNG in a row becomes an input: decoded, brought to size, `(pixel × scale − mean) / std` by channel. */
export interface ImageInput {
  readonly kind: 'image';
  /** Field of the row with the bytes, or with their base64 text. */
  readonly from: string;
  readonly width: number;
  readonly height: number;
  /** `'fill'` (default) stretches, `'cover'` crops what stands over. */
  readonly fit?: 'fill' | 'cover';
  /** 3 (default): red, green, blue; 1: grey. */
  readonly channels?: 1 | 3;
  /** Default `'nchw'`: all of a channel together. */
  readonly layout?: 'nchw' | 'nhwc';
  /** Default 1/255. */
  readonly scale?: number;
  /** By channel; default 0. */
  readonly mean?: readonly number[];
  /** By channel; default 1. */
  readonly std?: readonly number[];
}

/** A text in a row becomes counts of hashed n-grams of its words. */
export interface NgramInput {
  readonly kind: 'hashed-ngrams';
  readonly from: string;
  /** Columns of the input. */
  readonly size: number;
  /** Shortest and longest n-gram; default `[1, 2]`. */
  readonly words?: readonly [min: number, max: number];
  /** Default true. */
  readonly lowercase?: boolean;
}

/** A text in a row becomes BERT's tokens. */
export interface WordPieceInput {
  readonly kind: 'wordpiece';
  readonly from: string;
  /** Path of `vocab.txt`, from the app's folder: one piece a line. */
  readonly vocabulary: string;
  /** Longer texts are cut, shorter ones filled up. */
  readonly length: number;
  /** Default true. */
  readonly lowercase?: boolean;
  /** Which of the inputs of such a model this is; default `'ids'`. */
  readonly part?: 'ids' | 'mask' | 'types';
}

/** A text in a row becomes tokens by a tokenizer of Hugging Face's format: byte-pair encoding, WordPiece or Unigram. */
export interface TokenizerInput {
  readonly kind: 'tokenizer';
  readonly from: string;
  /** Path of `tokenizer.json`, from the app's folder. */
  readonly file: string;
  /** Longer texts are cut, shorter ones filled up; default 128. */
  readonly length?: number;
  /** Which of the inputs of such a model this is; default `'ids'`. */
  readonly part?: 'ids' | 'mask' | 'types';
}

export interface ModelOptions extends ModelOperationsOptions {
  /** Path of the ONNX file, from the app's folder. Without it versions come by upload or training. */
  readonly file?: string;
  /** How versions are trained (`millrace train`): `boostedTrees({ label, from })` and the others. */
  readonly train?: TrainingDeclaration;
  /** Names of the columns of a model that takes one matrix; default: those of `input`, in their order. */
  readonly features?: readonly string[];
  /** What turns pictures and texts into inputs, by the input's name. */
  readonly inputs?: { readonly [input: string]: ImageInput | NgramInput | WordPieceInput | TokenizerInput };
  /** The model knows null and NaN as values that are missing; else they are refused. Default false. */
  readonly missing?: boolean;
  /** Most rows that run together (default 256), and how long a batch waits for more while others run (default 0). */
  readonly batch?: { readonly size?: number; readonly wait?: Duration };
  /** Remembers predictions by a field of the row, or by the whole row. */
  readonly cache?: {
    readonly ttl: Duration;
    /** Default 10,000. */
    readonly entries?: number;
    readonly key?: string;
  };
  /** Markdown: what it is for, what it was trained on, where it fails. */
  readonly card?: string;
  readonly tags?: { readonly [name: string]: string };
}

/** What a model says about a row, by the names of its outputs, where no `output` schema says more. */
export interface AnyPrediction {
  readonly [output: string]: number | string | boolean | null | object;
}

/** A model as its app exports it. */
export interface Model<Name extends string = string, in Row = never, out Prediction = unknown>
  extends ModelResource {
  readonly name: Name;
  /** For the type checker only; never there at run time. */
  readonly '~predict'?: (row: Row) => Prediction;
}

export interface PredictOptions {
  /** The same key gets the same version while traffic is split between several. */
  readonly key?: string;
  /** One a row: what labels are joined by when they come. */
  readonly keys?: readonly string[];
  /** A version, its number or an alias; left out: what is in production. */
  readonly version?: string;
  /** Adds to each prediction how much each feature contributed, as `explanation`. */
  readonly explain?: boolean;
}

/** What `ctx.model(fraud)` gives. */
export interface ModelCalls<Row, Prediction> {
  /** One prediction a row, in their order. Many rows in one call cost little more than one. */
  predict(rows: readonly Row[], options?: PredictOptions): Promise<Prediction[]>;
}

/**
 * Declares a model: `input` describes a row and gives `ctx.model(m).predict(rows)` its type, `output` a prediction. The file
 * travels with the app; each deployment that changes it registers a version.
 */
export function model<
  const Name extends string,
  Input extends StandardSchema | undefined = undefined,
  Output extends StandardSchema | undefined = undefined,
>(
  name: Name,
  options: ModelOptions & { readonly input?: Input; readonly output?: Output },
): Model<Name, ValueOf<Input>, Output extends undefined ? AnyPrediction : ValueOf<Output>> {
  return { millrace: 1, kind: 'model', name, options: { ...options } };
}

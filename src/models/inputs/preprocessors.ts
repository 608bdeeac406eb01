import {
  type HashedText,
  type ImagePreprocessing,
  isMillraceError,
  type ModelServing,
  type Preprocessing,
  sha256,
  siblingModule,
  type TokenizedText,
  type WordPieceText,
  type Workers,
} from '../../kernel/index.ts';
import type { Preprocessor } from '../rows/encode.ts';
import type { TensorData } from '../tensor.ts';
import { countNgrams } from './hashed-ngrams.ts';
import type { ImageJob } from './image.ts';
import type { Tokenized, TokenizeInput } from './tokenizer/tokenize.ts';
import { createWordPieces } from './wordpiece.ts';

/** What a version's inputs go through, by the input's name. Pictures are decoded in platform workers. */
export function createPreprocessors(
  { preprocess = {} }: ModelServing,
  workers: Workers,
): ReadonlyMap<string, Preprocessor> {
  return new Map(Object.entries(preprocess).map(([input, each]) => [input, preprocessorOf(each, workers)]));
}

function preprocessorOf(declared: Preprocessing, workers: Workers): Preprocessor {
  if (declared.kind === 'image') return imagePreprocessor(declared, workers);
  if (declared.kind === 'tokenizer') return tokenizerPreprocessor(declared, workers);
  return declared.kind === 'wordpiece' ? wordPiecePreprocessor(declared) : ngramPreprocessor(declared);
}

const TOKENIZE = siblingModule(import.meta.url, './tokenizer/tokenize');

/** Throws INVALID_INPUT where a tokenizer is none, or needs what is not there. */
export async function checkPreprocessing({ preprocess = {} }: ModelServing, workers: Workers): Promise<void> {
  for (const each of Object.values(preprocess)) {
    if (each.kind !== 'tokenizer') continue;
    await workers.run({ module: TOKENIZE, task: 'checkTokenizer' }, each.tokenizer);
  }
}

/** The vocabulary goes to a worker once, and the texts after it. */
function tokenizerPreprocessor(
  { from, tokenizer, length, part }: TokenizedText,
  workers: Workers,
): Preprocessor {
  const key = sha256(tokenizer);
  const run = (input: TokenizeInput): Promise<Tokenized | null> =>
    workers.run<Tokenized | null>({ module: TOKENIZE, task: 'tokenize' }, input);
  return {
    dims: [length],
    from,
    put(data, at, value) {
      const problem = textProblem(value);
      if (problem !== undefined) return problem;
      const input = { key, text: value as string, length };
      const found = run(input).then((known) => known ?? run({ ...input, tokenizer }));
      return found.then((tokens) => fill(data, at, length, part, tokens!));
    },
  };
}

const MUST_BE_TEXT = 'must be text';
const LONGEST_TEXT = 1_000_000;

function textProblem(value: unknown): string | undefined {
  if (typeof value !== 'string') return MUST_BE_TEXT;
  return value.length > LONGEST_TEXT ? `is longer than ${LONGEST_TEXT} characters` : undefined;
}

function ngramPreprocessor(declared: HashedText): Preprocessor {
  return {
    dims: [declared.size],
    from: declared.from,
    put(data, at, value) {
      const problem = textProblem(value);
      if (problem !== undefined) return problem;
      const counts = data as Float32Array;
      countNgrams(value as string, declared, (column) => void counts[at + column]!++);
      return undefined;
    },
  };
}

function wordPiecePreprocessor({ from, vocabulary, length, lowercase, part }: WordPieceText): Preprocessor {
  const pieces = createWordPieces(vocabulary, lowercase);
  return {
    dims: [length],
    from,
    put(data, at, value) {
      const problem = textProblem(value);
      if (problem !== undefined) return problem;
      const ids = pieces.encode(value as string, length);
      fill(data, at, length, part, { ids, types: [], padding: pieces.padding });
      return undefined;
    },
  };
}

/** Writes what an input gets of the tokens of a text, filled up to its length. */
function fill(
  data: TensorData,
  at: number,
  length: number,
  part: TokenizedText['part'],
  { ids, types, padding }: Tokenized,
): undefined {
  const numberAt = {
    ids: (index: number): number => ids[index] ?? padding,
    mask: (index: number): number => (index < ids.length ? 1 : 0),
    types: (index: number): number => types[index] ?? 0,
  }[part];
  for (let index = 0; index < length; index++) {
    if (data instanceof BigInt64Array) data[at + index] = BigInt(numberAt(index));
    else (data as Int32Array)[at + index] = numberAt(index);
  }
}

function imagePreprocessor(declared: ImagePreprocessing, workers: Workers): Preprocessor {
  const { channels, height, width, layout, from } = declared;
  const task = { module: siblingModule(import.meta.url, './image'), task: 'imageToTensor' };
  return {
    dims: layout === 'nchw' ? [channels, height, width] : [height, width, channels],
    from,
    put(data, at, value) {
      const bytes = bytesOf(value);
      if (!bytes) return 'must be the bytes of a JPEG or PNG, as base64 where they travel in JSON';
      const job: ImageJob = { bytes, to: declared };
      return workers.run<Float32Array>(task, job).then(
        (pixels) => void (data as Float32Array).set(pixels, at),
        (error: unknown) => {
          if (isMillraceError(error, 'INVALID_INPUT')) return error.message;
          throw error;
        },
      );
    },
  };
}

/** Bytes as they are, or out of base64 text; a copy, because it goes to another thread. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (typeof value !== 'string' || value === '') return undefined;
  const text = value.startsWith('data:') ? value.slice(value.indexOf(',') + 1) : value;
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  return bytes.length === 0 ? undefined : bytes;
}

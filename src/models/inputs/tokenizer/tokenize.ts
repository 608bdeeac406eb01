import type { Json } from '../../../kernel/index.ts';
import { unusable } from './json.ts';
import { createTokenizer, type Encoding, type Tokenizer } from './tokenizer.ts';

/** Tasks of the platform's workers: reading a vocabulary of 50,000 pieces takes tens of milliseconds, a long text too. */

export interface TokenizeInput {
  /** Names the tokenizer; what was read of it is kept. */
  readonly key: string;
  /** tokenizer.json; left out where the worker may know it. */
  readonly tokenizer?: string;
  readonly text: string;
  readonly length: number;
}

/** Ids, which part of the input each is of, and what fills up. */
export interface Tokenized extends Encoding {
  readonly padding: number;
}

const MOST_KEPT = 4;
const kept = new Map<string, Tokenizer>();

/** Null where the tokenizer is not known yet: ask again with it. */
export function tokenize({ key, tokenizer, text, length }: TokenizeInput): Tokenized | null {
  const known = kept.get(key) ?? (tokenizer === undefined ? undefined : read(tokenizer));
  if (!known) return null;
  kept.delete(key);
  kept.set(key, known);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  return { ...known.encode(text, length), padding: known.padding };
}

/** Throws INVALID_INPUT for a tokenizer that cannot be used here. */
export function checkTokenizer(tokenizer: string): null {
  read(tokenizer);
  return null;
}

function read(tokenizer: string): Tokenizer {
  let json: Json;
  try {
    json = JSON.parse(tokenizer) as Json;
  } catch {
    throw unusable('it is not JSON');
  }
  return createTokenizer(json);
}

import { type Json, MillraceError } from '../../../kernel/index.ts';

/** Parts of a tokenizer.json (https://huggingface.co/docs/tokenizers/pipeline), read with care: it may be anybody's. */
export type Fields = { readonly [field: string]: Json };

export const isFields = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function fieldsOf(value: Json | undefined, what: string): Fields {
  if (isFields(value)) return value;
  throw unusable(`${what} is no object`);
}

export function listOf(value: Json | undefined, what: string): readonly Json[] {
  if (Array.isArray(value)) return value as readonly Json[];
  throw unusable(`${what} is no list`);
}

export function textOf(value: Json | undefined, what: string): string {
  if (typeof value === 'string') return value;
  throw unusable(`${what} is no text`);
}

export function wholeOf(value: Json | undefined, what: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw unusable(`${what} is no whole number from 0`);
}

/** A pattern as the file has it: a text, or a regular expression. */
export function patternOf(value: Json | undefined, what: string): RegExp {
  const { String: exact, Regex: source } = fieldsOf(value, what);
  const text = typeof exact === 'string' ? RegExp.escape(exact) : textOf(source, what);
  try {
    return new RegExp(text, 'gu');
  } catch (error) {
    throw unusable(`${what} is no regular expression here: ${(error as Error).message}`);
  }
}

export function unusable(what: string): MillraceError {
  return new MillraceError('INVALID_INPUT', `The tokenizer cannot be used: ${what}.`, {
    errors: [{ path: '/tokenizer', message: what }],
  });
}

import type { Json } from '../../../kernel/index.ts';
import { createPieces } from '../wordpiece.ts';
import { createBpe, type Encode, vocabularyOf } from './bpe.ts';
import { type Framed, frameOf } from './frame.ts';
import { type Fields, fieldsOf, isFields, listOf, textOf, unusable, wholeOf } from './json.ts';
import { normalizerOf } from './normalize.ts';
import { splitterOf } from './split.ts';
import { createUnigram } from './unigram.ts';

/** A text as a model takes it. */
export interface Encoding {
  readonly ids: readonly number[];
  /** Which part of the input a token belongs to. */
  readonly types: readonly number[];
}

export interface Tokenizer {
  /** With the tokens that stand around every text; cut to `length` and not filled. */
  encode(text: string, length: number): Encoding;
  readonly padding: number;
}

/** Words that are kept with their ids: texts repeat them. */
const MOST_WORDS = 20_000;
const LONGEST_KEPT = 64;

/**
 * A tokenizer of Hugging Face's format (https://huggingface.co/docs/tokenizers): a text is cut at added tokens, normalised, cut
 * into words, and each word written in pieces of the vocabulary. Throws INVALID_INPUT for one that is none, or needs what is
 * not there.
 */
export function createTokenizer(json: Json): Tokenizer {
  const file = fieldsOf(json, 'it');
  const model = fieldsOf(file.model, 'model');
  const normalize = normalizerOf(file.normalizer);
  const split = splitterOf(file.pre_tokenizer);
  const encodeWord = remembering(encoderOf(model));
  const added = addedTokens(file.added_tokens);
  const frame = frameOf(file.post_processor);
  const room = frame.filter((each) => !('text' in each)).length;

  const idsOf = (text: string, most: number): number[] => {
    const ids: number[] = [];
    for (const [at, part] of added.cut(text).entries()) {
      if (typeof part === 'number') ids.push(part);
      else {
        for (const word of split(normalize(part), at === 0)) {
          for (const id of encodeWord(word)) ids.push(id);
          if (ids.length >= most) break;
        }
      }
      if (ids.length >= most) break;
    }
    return ids.slice(0, most);
  };

  return {
    padding: paddingOf(file, added.ids),
    encode(text, length) {
      const inner = idsOf(text, Math.max(0, length - room));
      const ids: number[] = [];
      const types: number[] = [];
      for (const each of frame) {
        const these = isText(each) ? inner : [each.id];
        for (const id of these) {
          ids.push(id);
          types.push(each.type);
        }
      }
      return { ids: ids.slice(0, length), types: types.slice(0, length) };
    },
  };
}

const isText = (framed: Framed): framed is Extract<Framed, { text: true }> => 'text' in framed;

function encoderOf(model: Fields): Encode {
  // Files from before the type was written are of BPE where there are merges.
  const type = model.type ?? (model.merges ? 'BPE' : 'WordPiece');
  if (type === 'BPE') return createBpe(model);
  if (type === 'Unigram') return createUnigram(model);
  if (type === 'WordPiece') return createWordPieceModel(model);
  throw unusable(`its model is of the type ${JSON.stringify(type)}; there is BPE, WordPiece and Unigram`);
}

function createWordPieceModel(model: Fields): Encode {
  const ids = vocabularyOf(model.vocab);
  const prefix = textOf(model.continuing_subword_prefix ?? '##', 'model.continuing_subword_prefix');
  const most = wholeOf(model.max_input_chars_per_word ?? 100, 'model.max_input_chars_per_word');
  const unknown = ids.get(textOf(model.unk_token ?? '[UNK]', 'model.unk_token'));
  if (unknown === undefined) throw unusable('its vocabulary lacks the token for what is unknown');
  return createPieces(ids, { prefix, most, unknown });
}

function remembering(encode: Encode): Encode {
  const known = new Map<string, readonly number[]>();
  return (word) => {
    const found = known.get(word);
    if (found) return found;
    const ids = encode(word);
    if (word.length > LONGEST_KEPT) return ids;
    if (known.size >= MOST_WORDS) known.clear();
    known.set(word, ids);
    return ids;
  };
}

interface AddedTokens {
  readonly ids: ReadonlyMap<string, number>;
  /** Texts, and ids of the added tokens between them. */
  cut(text: string): readonly (string | number)[];
}

/** Tokens that are found in a text before anything else is done with it; the longest where several begin. */
function addedTokens(declared: Json | undefined): AddedTokens {
  const ids = new Map<string, number>();
  const left = new Set<string>();
  const right = new Set<string>();
  for (const each of declared == null ? [] : listOf(declared, 'added_tokens')) {
    const { content, id, lstrip, rstrip, single_word: single } = fieldsOf(each, 'an added token');
    const text = textOf(content, 'an added token');
    if (single === true) throw unusable(`its added token ${JSON.stringify(text)} is of whole words only`);
    if (text === '') continue;
    ids.set(text, wholeOf(id, 'the id of an added token'));
    if (lstrip === true) left.add(text);
    if (rstrip === true) right.add(text);
  }
  if (ids.size === 0) return { ids, cut: (text) => [text] };
  const longestFirst = [...ids.keys()].sort((a, b) => b.length - a.length).map((text) => RegExp.escape(text));
  const pattern = new RegExp(longestFirst.join('|'), 'gu');
  return {
    ids,
    cut(text) {
      const parts: (string | number)[] = [];
      let end = 0;
      for (const { 0: found, index } of text.matchAll(pattern)) {
        const before = text.slice(end, index);
        const kept = left.has(found) ? before.trimEnd() : before;
        if (kept !== '') parts.push(kept);
        parts.push(ids.get(found)!);
        end = index + found.length;
        if (right.has(found)) while (/\s/.test(text[end] ?? '')) end++;
      }
      if (end < text.length) parts.push(text.slice(end));
      return parts;
    },
  };
}

function paddingOf({ padding }: Fields, added: ReadonlyMap<string, number>): number {
  if (isFields(padding)) return wholeOf(padding.pad_id ?? 0, 'padding.pad_id');
  return added.get('[PAD]') ?? added.get('<pad>') ?? 0;
}

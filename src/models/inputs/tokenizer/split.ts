import type { Json } from '../../../kernel/index.ts';
import { byteLetters, GPT2_WORDS } from './byte-level.ts';
import { type Fields, fieldsOf, listOf, patternOf, textOf, unusable } from './json.ts';

/** Cuts a text into words, and may write them in other letters. `first` is whether nothing stands before it. */
export type Split = (text: string, first: boolean) => readonly string[];

const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/gu;

/** Words and runs of signs; what a word is made of as Unicode's Technical Standard 18 says, annex C. */
const WORDS_AND_SIGNS =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;

const SPLITTERS: { readonly [type: string]: (fields: Fields) => Split } = {
  ByteLevel: byteLevel,
  BertPreTokenizer: () => (text) =>
    text.split(/\p{White_Space}+/u).flatMap((word) => cut(word, PUNCTUATION, 'Isolated')),
  Whitespace: () => (text) => text.match(WORDS_AND_SIGNS) ?? [],
  WhitespaceSplit: () => (text) => text.split(/\p{White_Space}+/u).filter((word) => word !== ''),
  Digits: ({ individual_digits: single }) => {
    const digits = single === true ? /\p{N}/gu : /\p{N}+/gu;
    return (text) => cut(text, digits, 'Isolated');
  },
  Punctuation: ({ behavior }) => {
    const how = behaviorOf(behavior ?? 'Isolated');
    return (text) => cut(text, PUNCTUATION, how);
  },
  Split: (fields) => {
    const pattern = patternOf(fields.pattern, 'pre_tokenizer.pattern');
    const how = behaviorOf(fields.behavior);
    if (fields.invert === true) {
      if (how !== 'Removed') throw unusable("an inverted split can only be 'Removed' here");
      return (text) => (text.match(pattern) ?? []).filter((word) => word !== '');
    }
    return (text) => cut(text, pattern, how);
  },
  Metaspace: metaspace,
  Sequence: ({ pretokenizers }) => {
    const all = listOf(pretokenizers, 'pretokenizers').map(splitterOf);
    return (text, first) =>
      all.reduce<readonly string[]>(
        (words, each) => words.flatMap((word, at) => each(word, first && at === 0)),
        [text],
      );
  },
};

export function splitterOf(declared: Json | undefined): Split {
  if (declared === null || declared === undefined) return (text) => (text === '' ? [] : [text]);
  const fields = fieldsOf(declared, 'pre_tokenizer');
  const type = textOf(fields.type, 'pre_tokenizer.type');
  const make = SPLITTERS[type];
  if (!make)
    throw unusable(`there is no pre_tokenizer '${type}' here; there is ${Object.keys(SPLITTERS).join(', ')}`);
  return make(fields);
}

function behaviorOf(value: Json | undefined): 'Isolated' | 'Removed' {
  if (value === 'Isolated' || value === 'Removed') return value;
  throw unusable(`a split can be 'Isolated' or 'Removed' here, not ${JSON.stringify(value)}`);
}

/** What matches and what lies between; what matches is left out where it is to be removed. */
function cut(text: string, pattern: RegExp, how: 'Isolated' | 'Removed'): string[] {
  const words: string[] = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(pattern)) {
    if (index > end) words.push(text.slice(end, index));
    if (how === 'Isolated' && found !== '') words.push(found);
    end = index + found.length;
  }
  if (end < text.length) words.push(text.slice(end));
  return words;
}

function byteLevel({ add_prefix_space: prefix, use_regex: useRegex }: Fields): Split {
  return (text) => {
    const begun = prefix === true && !text.startsWith(' ') && text !== '' ? ` ${text}` : text;
    const words = useRegex === false ? [begun] : (begun.match(GPT2_WORDS) ?? []);
    return words.filter((word) => word !== '').map(byteLetters);
  };
}

/** SentencePiece's: spaces become a letter, and each word begins with it. */
function metaspace({ replacement, prepend_scheme: scheme, add_prefix_space: prefix, split }: Fields): Split {
  const letter = textOf(replacement ?? '▁', 'pre_tokenizer.replacement');
  const when = scheme ?? (prefix === false ? 'never' : 'always');
  const words = new RegExp(`(?=${RegExp.escape(letter)})`, 'u');
  return (text, first) => {
    let spaced = text.replaceAll(' ', letter);
    const begins = when === 'always' || (when === 'first' && first);
    if (begins && spaced !== '' && !spaced.startsWith(letter)) spaced = letter + spaced;
    if (split === false || letter === '') return spaced === '' ? [] : [spaced];
    return spaced.split(words).filter((word) => word !== '');
  };
}

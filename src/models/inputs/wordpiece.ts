/**
 * BERT's tokenizer (https://github.com/google-research/bert#tokenization): text is split at white space and around
 * punctuation and CJK characters, then each word is taken apart greedily into the longest pieces of the vocabulary, later
 * pieces with `##` in front. A word that cannot be taken apart is `[UNK]`.
 */
export interface WordPieces {
  /** `[CLS] … [SEP]`, cut to `length` and not filled. */
  encode(text: string, length: number): readonly number[];
  readonly padding: number;
}

const LONGEST_WORD = 100;
const CJK = /([\u2e80-\u2fdf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2fa1f}])/gu;
const PUNCTUATION = /([\p{P}$+<=>^`|~])/gu;

/** Ids of one word: the longest piece that it begins with, and so on. */
export function createPieces(
  ids: ReadonlyMap<string, number>,
  { prefix, most, unknown }: { readonly prefix: string; readonly most: number; readonly unknown: number },
): (word: string) => readonly number[] {
  return (word) => {
    const letters = [...word];
    if (letters.length > most) return [unknown];
    const found: number[] = [];
    for (let start = 0; start < letters.length; ) {
      let end = letters.length;
      let id: number | undefined;
      for (; end > start; end--) {
        const piece = letters.slice(start, end).join('');
        id = ids.get(start === 0 ? piece : `${prefix}${piece}`);
        if (id !== undefined) break;
      }
      if (id === undefined) return [unknown];
      found.push(id);
      start = end;
    }
    return found;
  };
}

export function createWordPieces(vocabulary: readonly string[], lowercase: boolean): WordPieces {
  const ids = new Map(vocabulary.map((piece, id) => [piece, id]));
  const idOf = (name: string): number => ids.get(name) ?? 0;
  const piecesOf = createPieces(ids, { prefix: '##', most: LONGEST_WORD, unknown: idOf('[UNK]') });

  return {
    padding: idOf('[PAD]'),
    encode(text, length) {
      const clean = text.replaceAll(/[\0\ufffd\p{Cc}]/gu, (letter) => (/\s/.test(letter) ? ' ' : ''));
      const plain = lowercase
        ? clean
            .toLowerCase()
            .normalize('NFD')
            .replaceAll(/\p{Mn}/gu, '')
        : clean;
      const words = plain.replaceAll(CJK, ' $1 ').replaceAll(PUNCTUATION, ' $1 ').split(/\s+/);
      const found = [idOf('[CLS]')];
      for (const word of words) {
        if (word !== '') found.push(...piecesOf(word));
        if (found.length >= length - 1) break;
      }
      return [...found.slice(0, length - 1), idOf('[SEP]')];
    },
  };
}

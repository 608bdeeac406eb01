import type { Json } from '../../../kernel/index.ts';
import { type Fields, fieldsOf, listOf, patternOf, textOf, unusable } from './json.ts';

export type Normalize = (text: string) => string;

const CJK = /([\u2e80-\u2fdf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2fa1f}])/gu;

const stripAccents: Normalize = (text) => text.normalize('NFD').replaceAll(/\p{Mn}/gu, '');

const NORMALIZERS: { readonly [type: string]: (fields: Fields) => Normalize } = {
  NFC: () => (text) => text.normalize('NFC'),
  NFD: () => (text) => text.normalize('NFD'),
  NFKC: () => (text) => text.normalize('NFKC'),
  NFKD: () => (text) => text.normalize('NFKD'),
  Lowercase: () => (text) => text.toLowerCase(),
  // Marks that stand for themselves alone: who wants them off letters decomposes first.
  StripAccents: () => (text) => text.replaceAll(/\p{Mn}/gu, ''),
  Strip:
    ({ strip_left: left, strip_right: right }) =>
    (text) => {
      const begun = left === false ? text : text.trimStart();
      return right === false ? begun : begun.trimEnd();
    },
  Prepend: ({ prepend }) => {
    const before = textOf(prepend, 'normalizer.prepend');
    return (text) => (text === '' ? text : before + text);
  },
  Replace: ({ pattern, content }) => {
    const found = patternOf(pattern, 'normalizer.pattern');
    const by = textOf(content, 'normalizer.content');
    return (text) => text.replaceAll(found, () => by);
  },
  BertNormalizer: bertNormalizer,
  Sequence: ({ normalizers }) => {
    const all = listOf(normalizers, 'normalizers').map(normalizerOf);
    return (text) => all.reduce((changed, each) => each(changed), text);
  },
};

export function normalizerOf(declared: Json | undefined): Normalize {
  if (declared === null || declared === undefined) return (text) => text;
  const fields = fieldsOf(declared, 'normalizer');
  const type = textOf(fields.type, 'normalizer.type');
  const make = NORMALIZERS[type];
  if (!make)
    throw unusable(`there is no normalizer '${type}' here; there is ${Object.keys(NORMALIZERS).join(', ')}`);
  return make(fields);
}

/** https://github.com/google-research/bert (`BasicTokenizer`); accents go with the case where nothing else is said. */
function bertNormalizer(fields: Fields): Normalize {
  const lowercase = fields.lowercase !== false;
  const accents = fields.strip_accents === true || (fields.strip_accents !== false && lowercase);
  return (text) => {
    let plain = text;
    if (fields.clean_text !== false) {
      plain = plain.replaceAll(/[\0\ufffd\p{C}]/gu, (letter) => (/[\t\n\r]/.test(letter) ? ' ' : ''));
      plain = plain.replaceAll(/\p{White_Space}/gu, ' ');
    }
    if (fields.handle_chinese_chars !== false) plain = plain.replaceAll(CJK, ' $1 ');
    if (accents) plain = stripAccents(plain);
    return lowercase ? plain.toLowerCase() : plain;
  };
}

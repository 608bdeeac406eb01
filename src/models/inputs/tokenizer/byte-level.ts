/**
 * GPT-2's letters for bytes (https://github.com/openai/gpt-2/blob/master/src/encoder.py, `bytes_to_unicode`): printable bytes
 * stand for themselves, the others for the letters from U+0100 on, in their order.
 */
const LETTERS: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCodePoint(printable ? byte : next++);
  });
})();

const ENCODER = new TextEncoder();

export function byteLetters(text: string): string {
  let letters = '';
  for (const byte of ENCODER.encode(text)) letters += LETTERS[byte]!;
  return letters;
}

/** GPT-2's words: contractions, letters, digits and signs, each with the space before; runs of white space but their last. */
export const GPT2_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

import type { HashedText } from '../../kernel/index.ts';

/**
 * Counts hashed n-grams of words. Words are runs of letters and digits; an n-gram is n of them, parted by one space. Its column
 * is the 32-bit FNV-1a hash of its UTF-8 bytes (http://www.isthe.com/chongo/tech/comp/fnv/), finished as MurmurHash3 does so
 * that low bits are as good as high ones, modulo `size`. Training and serving share this function.
 */
export function countNgrams(
  text: string,
  { size, words: [min, max], lowercase }: Pick<HashedText, 'size' | 'words' | 'lowercase'>,
  count: (column: number) => void,
): void {
  const plain = text.normalize('NFC');
  const words = (lowercase ? plain.toLowerCase() : plain).match(/[\p{L}\p{N}]+/gu) ?? [];
  for (let start = 0; start < words.length; start++) {
    let ngram = '';
    for (let length = 1; length <= max && start + length <= words.length; length++) {
      const word = words[start + length - 1]!;
      ngram = length === 1 ? word : `${ngram} ${word}`;
      if (length >= min) count(hashOf(ngram) % size);
    }
  }
}

const encoder = new TextEncoder();

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

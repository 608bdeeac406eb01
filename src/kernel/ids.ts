import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

/** Makes identifiers that sort by the time they were made. */
export interface Ids {
  /** 26 characters of Crockford base 32: 48 bits of milliseconds, 80 random bits (the ULID layout). */
  next(): string;
  /** 32 lower-case hexadecimal digits, never all zero (a W3C trace id). */
  traceId(): string;
  /** 16 lower-case hexadecimal digits, never all zero (a W3C span id). */
  spanId(): string;
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Random bytes are drawn in blocks: one system call per 4 KB, not one per identifier. */
function pool(random: Random, blockBytes = 4096): (length: number) => Uint8Array {
  let block: Uint8Array = new Uint8Array(0);
  let position = 0;
  return (length) => {
    if (position + length > block.length) {
      block = random.bytes(blockBytes);
      position = 0;
    }
    position += length;
    return block.subarray(position - length, position);
  };
}

function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += (byte < 16 ? '0' : '') + byte.toString(16);
  return text;
}

export function createIds(clock: Clock, random: Random): Ids {
  const take = pool(random);
  const hexId = (length: number): string => {
    const text = hex(take(length));
    return /[^0]/.test(text) ? text : `${text.slice(1)}1`;
  };
  return {
    next() {
      let time = clock.now();
      let prefix = '';
      for (let digit = 0; digit < 10; digit++) {
        prefix = ALPHABET[time % 32] + prefix;
        time = Math.floor(time / 32);
      }
      let suffix = '';
      for (const byte of take(16)) suffix += ALPHABET[byte & 31];
      return prefix + suffix;
    },
    traceId: () => hexId(16),
    spanId: () => hexId(8),
  };
}

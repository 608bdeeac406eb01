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

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
/** Two digits at a time: the 1,024 pairs of the alphabet. */
const PAIRS = Array.from(ALPHABET, (first) => Array.from(ALPHABET, (second) => first + second)).flat();

function hex(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index++) text += HEX[bytes[index]!];
  return text;
}

/** The ten digits of a time; the same for all that is made within a millisecond. */
function timePrefix(timeMs: number): string {
  let time = timeMs;
  let prefix = '';
  for (let pair = 0; pair < 5; pair++) {
    prefix = PAIRS[time % 1024]! + prefix;
    time = Math.floor(time / 1024);
  }
  return prefix;
}

export function createIds(clock: Clock, random: Random): Ids {
  const take = pool(random);
  const hexId = (length: number): string => {
    const text = hex(take(length));
    return /[^0]/.test(text) ? text : `${text.slice(1)}1`;
  };
  let [prefixMs, prefix] = [-1, ''];
  return {
    next() {
      const timeMs = clock.now();
      if (timeMs !== prefixMs) [prefixMs, prefix] = [timeMs, timePrefix(timeMs)];
      const bytes = take(16);
      let text = prefix;
      for (let index = 0; index < 16; index += 2) {
        text += PAIRS[((bytes[index]! & 31) << 5) | (bytes[index + 1]! & 31)];
      }
      return text;
    },
    traceId: () => hexId(16),
    spanId: () => hexId(8),
  };
}

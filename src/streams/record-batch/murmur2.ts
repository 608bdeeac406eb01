/**
 * Kafka's default partitioner: murmur2 (Austin Appleby, public domain; 32 bits, seed 0x9747b28c) of the key, sign bit
 * cleared, modulo the number of partitions. Records keyed by other clients land on the same partitions.
 */
const MULTIPLIER = 0x5bd1e995;

export function murmur2(key: Uint8Array): number {
  const length = key.length;
  let hash = 0x9747b28c ^ length;
  const whole = length & ~3;
  for (let at = 0; at < whole; at += 4) {
    let word = key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24);
    word = Math.imul(word, MULTIPLIER);
    word = Math.imul(word ^ (word >>> 24), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ word;
  }
  const rest = length & 3;
  if (rest === 3) hash ^= key[whole + 2]! << 16;
  if (rest >= 2) hash ^= key[whole + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ key[whole]!, MULTIPLIER);
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

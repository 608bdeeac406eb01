/** Answers of at most this size together wait for clients to take them, and a quarter of what is left for each new one. */
const TOTAL_BYTES = 256 * 1024 * 1024;
const LEAST_BYTES = 64 * 1024;

/** Bytes of answers that clients have not taken yet, of all connections together. */
export class Outgoing {
  #bytes = 0;

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  taken(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** What one more answer should not exceed: the more waits, the less, so that the sum stays bounded. */
  get mostBytes(): number {
    return Math.max(LEAST_BYTES, Math.floor((TOTAL_BYTES - this.#bytes) / 4));
  }
}

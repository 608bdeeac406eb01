import { Buffer } from 'node:buffer';

/** Bytes as they arrived; whole frames are taken out without copying where one chunk holds them. */
export class Chunks {
  #chunks: Buffer[] = [];
  #first = 0;
  #offset = 0;
  #bytes = 0;

  get sizeBytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next bytes in one piece; there must be that many. */
  take(size: number): Buffer {
    const head = this.#chunks[this.#first]!;
    if (size <= head.length - this.#offset) {
      const taken = head.subarray(this.#offset, this.#offset + size);
      this.#drop(size);
      return taken;
    }
    const joined = Buffer.allocUnsafeSlow(size);
    let filled = 0;
    while (filled < size) {
      const chunk = this.#chunks[this.#first]!;
      const part = Math.min(size - filled, chunk.length - this.#offset);
      chunk.copy(joined, filled, this.#offset, this.#offset + part);
      filled += part;
      this.#drop(part);
    }
    return joined;
  }

  /** Passes over bytes of the first chunk. */
  #drop(size: number): void {
    this.#bytes -= size;
    this.#offset += size;
    if (this.#offset < this.#chunks[this.#first]!.length) return;
    this.#offset = 0;
    this.#chunks[this.#first++] = EMPTY;
    if (this.#bytes > 0 && this.#first < 64) return;
    this.#chunks = this.#chunks.slice(this.#first);
    this.#first = 0;
  }
}

const EMPTY = Buffer.alloc(0);

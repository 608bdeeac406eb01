import { Buffer } from 'node:buffer';

/**
 * Bytes as they arrived; whole frames are taken out without copying where one chunk holds them. Chunks that were copied
 * are given back at once: left to the collector, a fast producer's would have it run all the time.
 */
export class Chunks {
  readonly #allocate: (bytes: number) => Buffer;
  #chunks: Buffer[] = [];
  #first = 0;
  #offset = 0;
  #bytes = 0;
  /** A frame is a view of the first chunk. */
  #isShared = false;

  constructor(allocate: (bytes: number) => Buffer = Buffer.allocUnsafeSlow) {
    this.#allocate = allocate;
  }

  get sizeBytes(): number {
    return this.#bytes;
  }

  /** The chunk is given away: nobody else may look at its memory. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next four bytes as a number; they must be there. */
  takeInt32(): number {
    const head = this.#chunks[this.#first]!;
    if (head.length - this.#offset < 4) return this.take(4).readInt32BE(0);
    const value = head.readInt32BE(this.#offset);
    this.#drop(4);
    return value;
  }

  /** The next bytes in one piece; there must be that many. */
  take(size: number): Buffer {
    const head = this.#chunks[this.#first]!;
    if (size <= head.length - this.#offset) {
      const taken = head.subarray(this.#offset, this.#offset + size);
      this.#isShared = true;
      this.#drop(size);
      return taken;
    }
    const joined = this.#allocate(size);
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
    const chunk = this.#chunks[this.#first]!;
    if (this.#offset < chunk.length) return;
    if (!this.#isShared) release(chunk);
    this.#isShared = false;
    this.#offset = 0;
    this.#chunks[this.#first++] = EMPTY;
    if (this.#bytes > 0 && this.#first < 64) return;
    this.#chunks = this.#chunks.slice(this.#first);
    this.#first = 0;
  }
}

const EMPTY = Buffer.alloc(0);

/** Frees the memory of a chunk that has it to itself; small ones are parts of a pool. */
function release(chunk: Buffer): void {
  const { buffer } = chunk;
  if (buffer.byteLength === chunk.length && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

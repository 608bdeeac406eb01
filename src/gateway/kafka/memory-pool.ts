import { Buffer } from 'node:buffer';

/** Smaller pieces come and go with everything else; larger ones are rare. */
const LEAST_BYTES = 32 * 1024;
const MOST_BYTES = 8 * 1024 * 1024;
/** What lies here unused at most: as much as the log has in memory at its busiest. */
const FREE_BYTES = 80 * 1024 * 1024;

/**
 * Memory for large frames, used again. Memory outside its heap is what V8 sets the pace of its full collections by: with
 * a fresh piece for every frame, a producer of 100 MB/s has the whole heap marked six times a second.
 *
 * What was taken may be given back when nobody looks at it any more, and need not be: then it is garbage as any other.
 */
export class MemoryPool {
  /** By size. */
  readonly #free = new Map<number, ArrayBufferLike[]>();
  readonly #ours = new WeakSet<ArrayBufferLike>();
  #freeBytes = 0;
  #isBusy = false;

  /** Bytes with anything in them. */
  take(size: number): Buffer {
    if (size < LEAST_BYTES || size > MOST_BYTES) return Buffer.allocUnsafeSlow(size);
    this.#isBusy = true;
    const bytes = sizeClassOf(size);
    let memory = this.#free.get(bytes)?.pop();
    if (memory) this.#freeBytes -= bytes;
    else {
      memory = Buffer.allocUnsafeSlow(bytes).buffer;
      this.#ours.add(memory);
    }
    return Buffer.from(memory, 0, size);
  }

  owns({ buffer }: Uint8Array): boolean {
    return this.#ours.has(buffer);
  }

  /** Nobody may look at these bytes, or give them, again. What was not taken here is left alone. */
  give({ buffer }: Uint8Array): void {
    const bytes = buffer.byteLength;
    if (!this.#ours.has(buffer) || this.#freeBytes + bytes > FREE_BYTES) return;
    const free = this.#free.get(bytes);
    if (free) free.push(buffer);
    else this.#free.set(bytes, [buffer]);
    this.#freeBytes += bytes;
  }

  /** Lets go of what is unused when nothing was taken since the last call. */
  trim(): void {
    if (!this.#isBusy) {
      this.#free.clear();
      this.#freeBytes = 0;
    }
    this.#isBusy = false;
  }
}

/** The least of 4, 5, 6 or 7 times a power of two that is not below: a quarter is wasted at most. */
function sizeClassOf(size: number): number {
  const step = 2 ** (Math.floor(Math.log2(size - 1)) - 2);
  return Math.ceil(size / step) * step;
}

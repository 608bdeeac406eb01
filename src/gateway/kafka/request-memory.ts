import type { Buffer } from 'node:buffer';
import type { MemoryPool } from './memory-pool.ts';

/**
 * Memory of one request and its answer, which the pool gets back: the request's when it is answered and all who held it are
 * done, the answer's when the client has taken it.
 *
 * M1 A request that nobody held keeps its memory: handlers of most requests keep views of it for as long as they like.
 */
export class RequestMemory {
  readonly #pool: MemoryPool;
  readonly #frame: Buffer;
  readonly #lent: Uint8Array[] = [];
  /** The request itself is one of them until it is answered. */
  #holders = 1;
  #isHeld = false;

  constructor(pool: MemoryPool, frame: Buffer) {
    this.#pool = pool;
    this.#frame = frame;
  }

  /** What it gives ends the hold; undefined where the memory is not the pool's. */
  hold(): (() => void) | undefined {
    if (!this.#pool.owns(this.#frame)) return undefined;
    this.#isHeld = true;
    this.#holders++;
    return () => this.#done();
  }

  /** Memory for bytes of the answer. */
  lend(bytes: number): Uint8Array {
    const lent = this.#pool.take(bytes);
    this.#lent.push(lent);
    return lent;
  }

  answered(): void {
    this.#done();
  }

  /** The system has the bytes of the answer. */
  taken(): void {
    for (const lent of this.#lent.splice(0)) this.#pool.give(lent);
  }

  #done(): void {
    this.#holders--;
    if (this.#holders === 0 && this.#isHeld) this.#pool.give(this.#frame);
  }
}

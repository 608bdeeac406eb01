import type { Clock } from '../../kernel/index.ts';
import type { StateView, StateWrite } from '../port.ts';

export interface StateEntryBytes {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly expiresAtMs?: number;
}

/** A piece of memory with values one after the other, and what of it still counts. */
interface Chunk {
  readonly bytes: Uint8Array;
  used: number;
  live: number;
  /** Of every value written into it, superseded ones too. */
  readonly places: Place[];
}

/** Where the value of a key lies. */
interface Place {
  /** Undefined once the key is gone. */
  chunk: Chunk | undefined;
  at: number;
  size: number;
  /** 0: never. */
  expiresAtMs: number;
}

const LEAST_CHUNK_BYTES = 4 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** Memory is kept for at most this many times what lives: so a value is moved about once for each time one is written. */
const SPARE = 2;
/** Chunks that one write moves at most: a thread is never held for longer than that takes. */
const MOVED_AT_ONCE = 2;

/**
 * The committed state of one store of a group in one partition. Entries past their time are as if absent.
 *
 * Values lie one after the other in chunks, because a buffer for each would cost several times its bytes and most of the
 * collector's time, and one buffer for all would be moved as a whole. What was written once stays as it is, so what `get` gave out does not
 * change: when too much of the chunks is superseded, what lives in the emptiest of them is written anew and the chunk
 * let go (a log-structured store; Rosenblum and Ousterhout, 1992).
 */
export class KeyedState implements StateView {
  readonly #places = new Map<string, Place>();
  readonly #chunks = new Set<Chunk>();
  readonly #clock: Clock;
  #head: Chunk | undefined;
  #used = 0;
  #live = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: Uint8Array | string): Uint8Array | undefined {
    const place = this.#places.get(typeof key === 'string' ? key : nameOf(key));
    return place && !this.#expired(place) ? valueAt(place) : undefined;
  }

  get size(): number {
    return this.#places.values().reduce((count, place) => count + (this.#expired(place) ? 0 : 1), 0);
  }

  /** Of memory that values take, superseded ones included. */
  get memoryBytes(): number {
    return this.#chunks.values().reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  *entries(): Generator<StateEntryBytes, void, undefined> {
    for (const [name, place] of this.#places) {
      if (this.#expired(place)) continue;
      const { expiresAtMs } = place;
      const key = Buffer.from(name, 'latin1');
      const value = valueAt(place);
      yield { key, value, ...(expiresAtMs === 0 ? {} : { expiresAtMs }) };
    }
  }

  /** Copies the value; the caller may go on using its buffers. */
  apply({
    key,
    keyText,
    value,
    expiresAtMs,
  }: Pick<StateWrite, 'key' | 'keyText' | 'value' | 'expiresAtMs'>): void {
    const name = keyText ?? nameOf(key);
    let place = this.#places.get(name);
    if (place) this.#release(place);
    if (value === null) {
      this.#places.delete(name);
      return;
    }
    if (!place) this.#places.set(name, (place = { chunk: undefined, at: 0, size: 0, expiresAtMs: 0 }));
    place.expiresAtMs = expiresAtMs ?? 0;
    this.#put(place, value);
    for (let moved = 0; moved < MOVED_AT_ONCE && this.#used > this.#live * SPARE + CHUNK_BYTES; moved++) {
      this.#moveEmptiest();
    }
  }

  /** Frees the memory of entries whose time is over and answers with their keys, for the changelog. */
  removeExpired(): Uint8Array[] {
    const expired = [...this.#places].filter(([, place]) => this.#expired(place));
    for (const [name, place] of expired) {
      this.#places.delete(name);
      this.#release(place);
    }
    return expired.map(([name]) => Buffer.from(name, 'latin1'));
  }

  #expired({ expiresAtMs }: Place): boolean {
    return expiresAtMs !== 0 && expiresAtMs <= this.#clock.now();
  }

  #put(place: Place, value: Uint8Array): void {
    const chunk = this.#chunkFor(value.length);
    chunk.bytes.set(value, chunk.used);
    place.chunk = chunk;
    place.at = chunk.used;
    place.size = value.length;
    chunk.places.push(place);
    chunk.used += value.length;
    chunk.live += value.length;
    this.#used += value.length;
    this.#live += value.length;
  }

  #chunkFor(size: number): Chunk {
    const head = this.#head;
    if (head && head.used + size <= head.bytes.length) return head;
    // Small stores have small chunks: there may be thousands of them.
    const length = Math.max(size, LEAST_CHUNK_BYTES, Math.min(CHUNK_BYTES, this.#live));
    const chunk: Chunk = { bytes: new Uint8Array(length), used: 0, live: 0, places: [] };
    this.#chunks.add(chunk);
    this.#head = chunk;
    if (head?.live === 0) this.#drop(head);
    return chunk;
  }

  /** Its value does not count any more. */
  #release(place: Place): void {
    const { chunk, size } = place;
    place.chunk = undefined;
    if (!chunk) return;
    chunk.live -= size;
    this.#live -= size;
    if (chunk.live === 0 && chunk !== this.#head) this.#drop(chunk);
  }

  #drop(chunk: Chunk): void {
    if (this.#chunks.delete(chunk)) this.#used -= chunk.used;
  }

  #moveEmptiest(): void {
    let emptiest: Chunk | undefined;
    for (const chunk of this.#chunks) {
      if (chunk !== this.#head && (!emptiest || chunk.live < emptiest.live)) emptiest = chunk;
    }
    if (!emptiest) return;
    this.#drop(emptiest);
    for (const place of emptiest.places) {
      if (place.chunk !== emptiest) continue;
      const value = valueAt(place);
      this.#live -= place.size;
      this.#put(place, value);
    }
  }
}

function valueAt({ chunk, at, size }: Place): Uint8Array {
  return chunk!.bytes.subarray(at, at + size);
}

/** One character a byte: the cheapest key of a Map that tells all byte strings apart. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

import type { Clock } from '../../kernel/index.ts';
import type { StateView, StateWrite } from '../port.ts';

export interface StateEntryBytes {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly expiresAtMs?: number;
}

/** Where a value lies; Infinity for one whose time never ends. */
interface Place {
  at: number;
  size: number;
  expiresAtMs: number;
}

const LEAST_BYTES = 16 * 1024;
/** A buffer is made for this many times what lives, so that moving to the next costs a write at most. */
const SPARE = 2;

/**
 * The committed state of one store of a group in one partition. Entries past their time are as if absent.
 *
 * Values lie one after the other in one buffer, because a buffer for each would cost several times its bytes and most of
 * the collector's time. What was written once stays as it is: when the buffer is full, what is
 * not superseded moves to a new one, so what `get` gave out does not change.
 */
export class KeyedState implements StateView {
  readonly #places = new Map<string, Place>();
  readonly #clock: Clock;
  #bytes = new Uint8Array(0);
  #used = 0;
  #live = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: Uint8Array | string): Uint8Array | undefined {
    const place = this.#places.get(typeof key === 'string' ? key : nameOf(key));
    return place && !this.#expired(place) ? this.#valueAt(place) : undefined;
  }

  get size(): number {
    return this.#places.values().reduce((count, place) => count + (this.#expired(place) ? 0 : 1), 0);
  }

  *entries(): Generator<StateEntryBytes, void, undefined> {
    for (const [name, place] of this.#places) {
      if (this.#expired(place)) continue;
      const { expiresAtMs } = place;
      const key = Buffer.from(name, 'latin1');
      const value = this.#valueAt(place);
      yield { key, value, ...(expiresAtMs === Number.POSITIVE_INFINITY ? {} : { expiresAtMs }) };
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
    const before = this.#places.get(name);
    if (before) this.#live -= before.size;
    if (value === null) {
      this.#places.delete(name);
      return;
    }
    // Not counted as live any more, but still there: making room must not move it.
    if (before) before.size = 0;
    const place = before ?? { at: 0, size: 0, expiresAtMs: 0 };
    this.#reserve(value.length);
    place.at = this.#used;
    place.size = value.length;
    place.expiresAtMs = expiresAtMs ?? Number.POSITIVE_INFINITY;
    this.#bytes.set(value, this.#used);
    this.#used += value.length;
    this.#live += value.length;
    if (!before) this.#places.set(name, place);
  }

  /** Frees the memory of entries whose time is over and answers with their keys, for the changelog. */
  removeExpired(): Uint8Array[] {
    const expired = [...this.#places].filter(([, place]) => this.#expired(place));
    for (const [name, { size }] of expired) {
      this.#places.delete(name);
      this.#live -= size;
    }
    return expired.map(([name]) => Buffer.from(name, 'latin1'));
  }

  #valueAt({ at, size }: Place): Uint8Array {
    return this.#bytes.subarray(at, at + size);
  }

  #expired({ expiresAtMs }: Place): boolean {
    return expiresAtMs !== Number.POSITIVE_INFINITY && expiresAtMs <= this.#clock.now();
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#bytes.length) return;
    const next = new Uint8Array(Math.max(LEAST_BYTES, (this.#live + bytes) * SPARE));
    let used = 0;
    for (const place of this.#places.values()) {
      next.set(this.#valueAt(place), used);
      place.at = used;
      used += place.size;
    }
    this.#bytes = next;
    this.#used = used;
  }
}

/** One character a byte: the cheapest key of a Map that tells all byte strings apart. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

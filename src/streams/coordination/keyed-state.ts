import type { Clock } from '../../kernel/index.ts';
import type { StateView, StateWrite } from '../port.ts';

export interface StateEntryBytes {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly expiresAtMs?: number;
}

/** The committed state of one store of a group in one partition. Entries past their time are as if absent. */
export class KeyedState implements StateView {
  readonly #entries = new Map<string, StateEntryBytes>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const entry = this.#entries.get(nameOf(key));
    return entry && !this.#expired(entry) ? entry.value : undefined;
  }

  get size(): number {
    return this.#entries.values().reduce((count, entry) => count + (this.#expired(entry) ? 0 : 1), 0);
  }

  *entries(): Generator<StateEntryBytes, void, undefined> {
    for (const entry of this.#entries.values()) if (!this.#expired(entry)) yield entry;
  }

  apply({ key, value, expiresAtMs }: Pick<StateWrite, 'key' | 'value' | 'expiresAtMs'>): void {
    const name = nameOf(key);
    if (value === null) this.#entries.delete(name);
    else this.#entries.set(name, { key, value, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) });
  }

  /** Frees the memory of entries whose time is over and answers with their keys, for the changelog. */
  removeExpired(): Uint8Array[] {
    const expired = [...this.#entries].filter(([, entry]) => this.#expired(entry));
    for (const [name] of expired) this.#entries.delete(name);
    return expired.map(([, entry]) => entry.key);
  }

  #expired(entry: StateEntryBytes): boolean {
    return entry.expiresAtMs !== undefined && entry.expiresAtMs <= this.#clock.now();
  }
}

/** One character a byte: the cheapest key of a Map that tells all byte strings apart. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

import {
  type Clock,
  checkLease,
  checkStateKey,
  checkStateOperations,
  checkStateRange,
  encodeStateValue,
  type Json,
  type StateEntry,
  type StateOperation,
  type StateRange,
  type StateStore,
  stateConflict,
} from '../../kernel/index.ts';

/** Values are kept as JSON text, so that neither side can change the other's objects. */
interface Stored {
  readonly text: string;
  readonly version: number;
  readonly expiresAtMs: number | undefined;
}

interface Table {
  readonly entries: Map<string, Stored>;
  /** Ascending by UTF-8 bytes. */
  readonly keys: string[];
}

interface Lease {
  readonly owner: string | undefined;
  readonly token: number;
  readonly expiresAtMs: number;
}

type Undo = () => void;

const SWEEP_EVERY_MS = 1000;

/** Code units order like UTF-8 bytes but for surrogates, which stand for what lies above the rest. */
const rank = (unit: number): number =>
  unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;

function compareUtf8(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const difference = rank(left.charCodeAt(index)) - rank(right.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Index of the first key that is not below `key` (`orEqual`: not at or below it). */
function lowerBound(keys: readonly string[], key: string, orEqual = false): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareUtf8(keys[middle]!, key);
    if (order < 0 || (orEqual && order === 0)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function setEntry(table: Table, key: string, stored: Stored | undefined): Undo {
  const before = table.entries.get(key);
  if (stored) {
    if (!before) table.keys.splice(lowerBound(table.keys, key), 0, key);
    table.entries.set(key, stored);
  } else if (before) {
    table.keys.splice(lowerBound(table.keys, key), 1);
    table.entries.delete(key);
  }
  return () => void setEntry(table, key, before);
}

function toEntry(key: string, { text, version, expiresAtMs }: Stored): StateEntry {
  const value = JSON.parse(text) as Json;
  return { key, value, version, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) };
}

/** The state store for tests and for programs that keep nothing: one process, gone at its end. */
export function memoryStateStore({ clock }: { readonly clock: Clock }): StateStore {
  return new MemoryStateStore(clock);
}

class MemoryStateStore implements StateStore {
  readonly name = 'state';
  readonly #clock: Clock;
  readonly #tables = new Map<string, Table>();
  readonly #leases = new Map<string, Lease>();
  #lastVersion = 0;
  #lastSweepMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get(table: string, key: string): Promise<StateEntry | undefined> {
    checkStateKey(table, key);
    const stored = this.#tables.get(table)?.entries.get(key);
    return this.#live(stored) ? toEntry(key, stored) : undefined;
  }

  async list(table: string, range: StateRange = {}): Promise<readonly StateEntry[]> {
    const { prefix, after, limit, reverse } = checkStateRange(table, range);
    const { keys, entries } = this.#table(table);
    const step = reverse ? -1 : 1;
    const found: StateEntry[] = [];
    let index = reverse ? keys.length - 1 : lowerBound(keys, prefix);
    if (after !== undefined && reverse) index = lowerBound(keys, after) - 1;
    else if (after !== undefined) index = Math.max(index, lowerBound(keys, after, true));
    for (; index >= 0 && index < keys.length && found.length < limit; index += step) {
      const key = keys[index]!;
      const stored = entries.get(key);
      if (key.startsWith(prefix) && this.#live(stored)) found.push(toEntry(key, stored));
      else if (!key.startsWith(prefix) && compareUtf8(key, prefix) * step > 0) break;
    }
    return found;
  }

  async transact(operations: readonly StateOperation[]): Promise<void> {
    checkStateOperations(operations);
    this.#sweep();
    const undo: Undo[] = [];
    try {
      for (const operation of operations) undo.push(this.#apply(operation));
    } catch (error) {
      for (const each of undo.toReversed()) each();
      throw error;
    }
  }

  async acquireLease(name: string, owner: string, ttlMs: number): Promise<number | undefined> {
    checkLease(name, owner, ttlMs);
    const lease = this.#leases.get(name);
    const held = lease?.owner !== undefined && lease.expiresAtMs > this.#clock.now();
    if (held && lease.owner !== owner) return undefined;
    const token = lease?.owner === owner ? lease.token : (lease?.token ?? 0) + 1;
    this.#leases.set(name, { owner, token, expiresAtMs: this.#clock.now() + ttlMs });
    return token;
  }

  async releaseLease(name: string, owner: string): Promise<void> {
    const lease = this.#leases.get(name);
    if (lease?.owner === owner)
      this.#leases.set(name, { owner: undefined, token: lease.token, expiresAtMs: 0 });
  }

  #table(name: string): Table {
    let table = this.#tables.get(name);
    if (!table) this.#tables.set(name, (table = { entries: new Map(), keys: [] }));
    return table;
  }

  #live(stored: Stored | undefined): stored is Stored {
    return (
      stored !== undefined && (stored.expiresAtMs === undefined || stored.expiresAtMs > this.#clock.now())
    );
  }

  #sweep(): void {
    if (Math.abs(this.#clock.now() - this.#lastSweepMs) < SWEEP_EVERY_MS) return;
    this.#lastSweepMs = this.#clock.now();
    for (const table of this.#tables.values()) {
      for (const [key, stored] of table.entries) if (!this.#live(stored)) setEntry(table, key, undefined);
    }
  }

  #apply(operation: StateOperation): Undo {
    const table = this.#table(operation.table);
    const current = table.entries.get(operation.key);
    const version = this.#live(current) ? current.version : 0;
    if (operation.expect !== undefined && operation.expect !== version) {
      throw stateConflict(operation.table, operation.key, operation.expect, version);
    }
    if (operation.kind === 'check') return () => undefined;
    if (operation.kind === 'delete') return setEntry(table, operation.key, undefined);
    const { expiresAtMs } = operation;
    const text = encodeStateValue(operation.value);
    return setEntry(table, operation.key, { text, version: ++this.#lastVersion, expiresAtMs });
  }
}

/** A prediction that waits for its label. */
export interface PendingPrediction {
  readonly key: string;
  readonly score: number;
  readonly timeMs: number;
  /** Place in the table of versions, and in that of groups. */
  readonly version: number;
  readonly group: number;
}

export type Waiting = Omit<PendingPrediction, 'key'>;

/**
 * Predictions that wait for their labels, the latest so many of them: a ring of numbers (22 bytes each), found by a hash of 53
 * bits of their keys through a table of numbers. Half a million entries of a Map would be ten times as many bytes, of which the
 * collector looks at each, and would hold the thread for tens of milliseconds whenever the Map grows. What is
 * pushed out before its label came is counted in `forgotten`.
 */
export interface PendingPredictions {
  add(prediction: PendingPrediction): void;
  /** Takes the prediction of this key, if one waits. */
  take(key: string): Waiting | undefined;
  readonly size: number;
  readonly forgotten: number;
  /** Parts of the ring that changed since they were given last, to be stored, each copied when its turn comes; `load` takes them back. */
  changed(): Generator<{ readonly part: number; readonly bytes: Uint8Array }, void, undefined>;
  load(part: number, bytes: Uint8Array): void;
}

/** Slots of a part that is stored together. */
const PART = 8192;
const SLOT_BYTES = 8 + 8 + 4 + 1 + 1;

export function createPending(capacity: number): PendingPredictions {
  const parts = Math.max(1, Math.ceil(capacity / PART));
  const slots = parts * PART;
  const buffers: (DataView | undefined)[] = [];
  const places = createPlaces(slots, (slot) => {
    const { view, offset } = at(slot);
    return view.getFloat64(offset);
  });
  const dirty = new Set<number>();
  let next = 0;
  let forgotten = 0;

  const viewOf = (part: number): DataView => {
    buffers[part] ??= new DataView(new ArrayBuffer(PART * SLOT_BYTES));
    return buffers[part];
  };
  const at = (slot: number): { view: DataView; offset: number } => ({
    view: viewOf(Math.floor(slot / PART)),
    offset: (slot % PART) * SLOT_BYTES,
  });
  const clear = (slot: number): void => {
    const { view, offset } = at(slot);
    view.setFloat64(offset, 0);
    dirty.add(Math.floor(slot / PART));
  };

  return {
    get size() {
      return places.size;
    },
    get forgotten() {
      return forgotten;
    },
    add({ key, score, timeMs, version, group }) {
      const hash = hashOf(key);
      const before = places.get(hash);
      if (before >= 0) {
        places.delete(hash);
        clear(before);
      }
      const { view, offset } = at(next);
      const old = view.getFloat64(offset);
      if (old !== 0) {
        places.delete(old);
        forgotten++;
      }
      view.setFloat64(offset, hash);
      view.setFloat64(offset + 8, timeMs);
      view.setFloat32(offset + 16, score);
      view.setUint8(offset + 20, version);
      view.setUint8(offset + 21, group);
      places.set(hash, next);
      dirty.add(Math.floor(next / PART));
      next = (next + 1) % slots;
    },
    take(key) {
      const hash = hashOf(key);
      const slot = places.get(hash);
      if (slot < 0) return undefined;
      places.delete(hash);
      const { view, offset } = at(slot);
      const waiting = {
        timeMs: view.getFloat64(offset + 8),
        score: view.getFloat32(offset + 16),
        version: view.getUint8(offset + 20),
        group: view.getUint8(offset + 21),
      };
      clear(slot);
      return waiting;
    },
    *changed() {
      for (const part of [...dirty]) {
        dirty.delete(part);
        yield { part, bytes: new Uint8Array(viewOf(part).buffer.slice(0)) };
      }
    },
    load(part, bytes) {
      if (part >= parts || bytes.length !== PART * SLOT_BYTES) return;
      const view = new DataView(bytes.slice().buffer);
      buffers[part] = view;
      let newestMs = Number.NEGATIVE_INFINITY;
      const newestSoFar = next === 0 ? newestMs : at(next - 1).view.getFloat64(at(next - 1).offset + 8);
      for (let slot = 0; slot < PART; slot++) {
        const hash = view.getFloat64(slot * SLOT_BYTES);
        if (hash === 0) continue;
        const timeMs = view.getFloat64(slot * SLOT_BYTES + 8);
        const before = places.get(hash);
        if (before >= 0) {
          // The platform was killed when one part was stored and the other was not: the newer one waits.
          const { view: other, offset } = at(before);
          const older = other.getFloat64(offset + 8) < timeMs ? before : part * PART + slot;
          if (older === before) places.delete(hash);
          clear(older);
          if (older !== before) continue;
        }
        places.set(hash, part * PART + slot);
        // The ring goes on behind the newest of all.
        if (timeMs >= newestMs && timeMs >= newestSoFar) {
          newestMs = timeMs;
          next = (part * PART + slot + 1) % slots;
        }
      }
    },
  };
}

/** Which slot a hash is in. Never grows: nothing waits for a table to be made anew. */
interface Places {
  readonly size: number;
  /** -1: in none. */
  get(hash: number): number;
  /** A hash that is in none. */
  set(hash: number, slot: number): void;
  delete(hash: number): void;
}

/**
 * A table with linear probing, at most half full, and deletion by moving up what comes behind (Knuth, The Art of Computer
 * Programming 3, 6.4, algorithm R). It holds slots only: `hashAt` tells the hash of each. Memory is taken as it is first touched.
 */
function createPlaces(slots: number, hashAt: (slot: number) => number): Places {
  const cells = 2 ** Math.ceil(Math.log2(slots * 2));
  const mask = cells - 1;
  /** Slot + 1; 0: empty. */
  const table = new Int32Array(cells);
  const homeOf = (hash: number): number => (hash >>> 0) & mask;
  let size = 0;

  /** Where the hash is, or the empty cell where it would be. */
  const find = (hash: number): number => {
    let cell = homeOf(hash);
    while (table[cell] !== 0 && hashAt(table[cell]! - 1) !== hash) cell = (cell + 1) & mask;
    return cell;
  };

  return {
    get size() {
      return size;
    },
    get: (hash) => table[find(hash)]! - 1,
    set(hash, slot) {
      table[find(hash)] = slot + 1;
      size++;
    },
    delete(hash) {
      let hole = find(hash);
      if (table[hole] === 0) return;
      size--;
      for (let cell = (hole + 1) & mask; table[cell] !== 0; cell = (cell + 1) & mask) {
        const home = homeOf(hashAt(table[cell]! - 1));
        // What lies between its home and where it is without passing the hole stays.
        if (((cell - home) & mask) < ((cell - hole) & mask)) continue;
        table[hole] = table[cell]!;
        hole = cell;
      }
      table[hole] = 0;
    },
  };
}

/** cyrb53 (bryc, public domain): 53 bits, never 0. */
function hashOf(key: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0) || 1;
}

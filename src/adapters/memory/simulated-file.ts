import type { Random } from '../../kernel/index.ts';

/** Disks write whole sectors: what a power loss tears is torn between them. */
const SECTOR_BYTES = 512;

/** One change that is not known to be on the platter, with what it covered, so that it can be taken back. */
interface Unsynced {
  readonly position: number;
  /** undefined for a change of size alone. */
  readonly bytes: Uint8Array | undefined;
  readonly before: Uint8Array;
  readonly sizeBefore: number;
  readonly sizeAfter: number;
  /** A sync that covered it failed: the system forgot that it has to be written, only writing it again helps (D2). */
  readonly forgotten?: boolean;
}

/** The content of one file: what programs see, and which part of that a power loss may take away. */
export class SimulatedFile {
  #content = new Uint8Array(0);
  #size = 0;
  #unsynced: Unsynced[] = [];
  readonly #tracked: boolean;

  constructor(tracked: boolean) {
    this.#tracked = tracked;
  }

  get size(): number {
    return this.#size;
  }

  read(target: Uint8Array, position: number): number {
    const end = Math.min(this.#size, position + target.length);
    if (end <= position) return 0;
    target.set(this.#content.subarray(position, end));
    return end - position;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#change(position, bytes, Math.max(this.#size, position + bytes.length));
  }

  truncate(bytes: number): void {
    this.#change(Math.min(bytes, this.#size), undefined, bytes);
  }

  flip(position: number, mask: number): void {
    this.#content[position]! ^= mask;
  }

  sync(): void {
    const written = this.#unsynced.filter((change) => !change.forgotten);
    const forgotten = this.#unsynced.filter((change) => change.forgotten);
    this.#unsynced = forgotten.flatMap((change) => written.reduce(withoutWritten, [change]));
  }

  failSync(): void {
    this.#unsynced = this.#unsynced.map((change) => ({ ...change, forgotten: true }));
  }

  /** The same content with the same unsynced changes: what is left when only the process dies. */
  clone(): SimulatedFile {
    const copy = new SimulatedFile(this.#tracked);
    copy.#content = this.#content.slice(0, this.#size);
    copy.#size = this.#size;
    copy.#unsynced = [...this.#unsynced];
    return copy;
  }

  /** What is left after a power loss: each unsynced change kept, lost, or torn between sectors. */
  afterPowerLoss(random: Random): SimulatedFile {
    const left = this.clone();
    const pending = left.#unsynced;
    left.#unsynced = [];
    for (const change of pending.toReversed()) left.#undo(change);
    for (const change of pending) left.#redo(change, random);
    left.#unsynced = [];
    return left;
  }

  #undo(change: Unsynced): void {
    this.#resize(change.sizeBefore);
    this.#content.set(change.before, change.position);
  }

  #redo(change: Unsynced, random: Random): void {
    const fate = random.integer(3);
    if (fate === 0) return;
    const { position, bytes } = change;
    if (!bytes) this.truncate(change.sizeAfter);
    else if (fate === 1) this.write(bytes, position);
    else this.#redoTorn(bytes, position, random);
  }

  #redoTorn(bytes: Uint8Array, position: number, random: Random): void {
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + SECTOR_BYTES - ((position + from) % SECTOR_BYTES));
      if (random.integer(2) === 0) this.write(bytes.subarray(from, to), position + from);
      from = to;
    }
  }

  #change(position: number, bytes: Uint8Array | undefined, sizeAfter: number): void {
    if (this.#tracked) {
      const end = bytes ? Math.min(this.#size, position + bytes.length) : this.#size;
      const before = this.#content.slice(position, Math.max(position, end));
      this.#unsynced.push({
        position,
        bytes: bytes?.slice(),
        before,
        sizeBefore: this.#size,
        sizeAfter,
      });
    }
    this.#resize(sizeAfter);
    if (bytes) this.#content.set(bytes, position);
  }

  #resize(bytes: number): void {
    if (bytes > this.#content.length) {
      const grown = new Uint8Array(Math.max(bytes, this.#content.length * 2, 1024));
      grown.set(this.#content.subarray(0, this.#size));
      this.#content = grown;
    } else if (bytes < this.#size) {
      this.#content.fill(0, bytes, this.#size);
    }
    this.#size = bytes;
  }
}

/** What is left of forgotten changes after a later write over some of their bytes became durable. */
function withoutWritten(changes: Unsynced[], { position, bytes, sizeAfter }: Unsynced): Unsynced[] {
  const end = position + (bytes?.length ?? 0);
  return changes.flatMap((change) => {
    const sizeBefore = Math.max(change.sizeBefore, bytes ? end : sizeAfter);
    if (!change.bytes) return [{ ...change, sizeBefore, sizeAfter: Math.max(change.sizeAfter, sizeBefore) }];
    const piece = (from: number, to: number): Unsynced[] => {
      if (from >= to) return [];
      const [start, stop] = [from - change.position, to - change.position];
      const [part, before] = [change.bytes!.subarray(start, stop), change.before.subarray(start, stop)];
      return [{ ...change, position: from, bytes: part, before, sizeBefore }];
    };
    const changeEnd = change.position + change.bytes.length;
    if (end <= change.position || position >= changeEnd) return piece(change.position, changeEnd);
    return [
      ...piece(change.position, Math.max(change.position, position)),
      ...piece(Math.min(end, changeEnd), changeEnd),
    ];
  });
}

import { readInt32, readInt64, writeInt32, writeInt64 } from '../record-batch/bytes.ts';
import { crc32c } from '../record-batch/index.ts';

/** Bytes of log between two entries. */
export const INDEX_EVERY_BYTES = 64 * 1024;
const ENTRY_BYTES = 28;

/**
 * The sparse index of one segment, by offset and by time. An entry says: the batch with base offset `offset` begins at
 * `position`, and every record before it has a time of at most `maxTimeBefore`.
 *
 * X1 The index is a hint: a reader checks that the batch at `position` has that base offset, and builds the index anew
 *    from the log when it does not.
 *
 * On disk, per entry: 0 offset int64   8 position uint32   12 maxTimeBefore int64   20 zero   24 CRC-32C of bytes 0-23.
 */
export class SparseIndex {
  #offsets = new Float64Array(8);
  #positions = new Float64Array(8);
  #times = new Float64Array(8);
  #count = 0;
  /** Entries that the file on disk holds. */
  savedCount = 0;

  get count(): number {
    return this.#count;
  }

  get lastPosition(): number {
    return this.#count === 0 ? 0 : this.#positions[this.#count - 1]!;
  }

  /** The latest time before the last entry. */
  get lastTimeMs(): number {
    return this.#count === 0 ? -1 : this.#times[this.#count - 1]!;
  }

  get memoryBytes(): number {
    return this.#offsets.length * 24;
  }

  /** Notes a batch; keeps it when it is far enough from the last entry. */
  add(offset: number, position: number, maxTimeBefore: number): void {
    if (this.#count > 0 && position - this.lastPosition < INDEX_EVERY_BYTES) return;
    if (this.#count === this.#offsets.length) this.#grow();
    this.#offsets[this.#count] = offset;
    this.#positions[this.#count] = position;
    this.#times[this.#count] = maxTimeBefore;
    this.#count++;
  }

  #grow(): void {
    const wider = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const grown = new Float64Array(old.length * 2);
      grown.set(old);
      return grown;
    };
    this.#offsets = wider(this.#offsets);
    this.#positions = wider(this.#positions);
    this.#times = wider(this.#times);
  }

  /** The last entry at or before `offset`; position 0 when there is none. */
  floor(offset: number): { readonly position: number; readonly offset: number | undefined } {
    const at = this.#lastWhere((index) => this.#offsets[index]! <= offset);
    return at < 0
      ? { position: 0, offset: undefined }
      : { position: this.#positions[at]!, offset: this.#offsets[at]! };
  }

  /** Where to begin looking for the first record with a time of at least `timeMs`. */
  floorOfTime(timeMs: number): number {
    const at = this.#lastWhere((index) => this.#times[index]! < timeMs);
    return at < 0 ? 0 : this.#positions[at]!;
  }

  /** The first entry behind `position`, where reading can go on past damage. */
  after(position: number): { readonly position: number; readonly offset: number } | undefined {
    const at = this.#lastWhere((index) => this.#positions[index]! <= position) + 1;
    return at < this.#count ? { position: this.#positions[at]!, offset: this.#offsets[at]! } : undefined;
  }

  #lastWhere(holds: (index: number) => boolean): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(middle)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The entries that the file does not hold yet, as bytes for its end. */
  encodeUnsaved(): Uint8Array {
    const bytes = new Uint8Array((this.#count - this.savedCount) * ENTRY_BYTES);
    for (let index = this.savedCount, at = 0; index < this.#count; index++, at += ENTRY_BYTES) {
      writeInt64(bytes, at, this.#offsets[index]!);
      writeInt32(bytes, at + 8, this.#positions[index]!);
      writeInt64(bytes, at + 12, this.#times[index]!);
      writeInt32(bytes, at + 24, crc32c(bytes, at, at + 24));
    }
    return bytes;
  }

  get savedBytes(): number {
    return this.savedCount * ENTRY_BYTES;
  }

  /** Takes entries from a file as long as they are intact, ascending and within `limitBytes` of log. False: some were not. */
  load(bytes: Uint8Array, limitBytes: number): boolean {
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      if (crc32c(bytes, at, at + 24) !== readInt32(bytes, at + 24) >>> 0) return false;
      const position = readInt32(bytes, at + 8) >>> 0;
      if (position >= limitBytes) break; // of a tail that was written again after a crash
      if (this.#count > 0 && position <= this.lastPosition) return false;
      this.add(readInt64(bytes, at), position, readInt64(bytes, at + 12));
    }
    this.savedCount = this.#count;
    return true;
  }
}

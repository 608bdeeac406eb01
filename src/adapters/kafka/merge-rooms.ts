/** Merged batches of a megabyte with their growth fit, unless their records are tiny. */
const ROOM_BYTES = 1_280 * 1024;
const LEAST_BYTES = 32 * 1024;
const MOST_FREE = 8;

/** Memory that batches are merged into, used again: fresh pages cost as much as the copy that fills them. */
export class MergeRooms {
  readonly #free: Uint8Array[] = [];
  readonly #own = new WeakSet<ArrayBufferLike>();

  /** None where so little would waste it. */
  take(bytes: number): Uint8Array | undefined {
    if (bytes < LEAST_BYTES || bytes > ROOM_BYTES) return undefined;
    const free = this.#free.pop();
    if (free) return free;
    const room = new Uint8Array(Buffer.allocUnsafeSlow(ROOM_BYTES).buffer);
    this.#own.add(room.buffer);
    return room;
  }

  /** A batch that nobody reads any more. Nothing happens if it stands elsewhere. */
  give({ buffer }: Uint8Array): void {
    if (this.#own.has(buffer) && this.#free.length < MOST_FREE) this.#free.push(new Uint8Array(buffer));
  }
}

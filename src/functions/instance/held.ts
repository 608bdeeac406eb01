import {
  type EmitRow,
  HELD_LIMIT_BYTES,
  PAYLOAD_LIMIT_BYTES,
  type StateWriteRow,
  type WireHeaders,
} from '../protocol.ts';
import { tooLarge } from './payload.ts';
import { PlatformError } from './platform-error.ts';

/** The buffer of the arena that was taken last, for the next: growing one from small to large for each event tears the heap apart. */
let spare: Buffer | undefined;
const FIRST_BYTES = 4096;
const SPARE_BYTES = 1024 * 1024;

/** Bytes that are collected into one buffer, so that they cross to the platform as one. */
export class Arena {
  #bytes: Buffer;
  #used = 0;

  constructor() {
    this.#bytes = spare ?? Buffer.allocUnsafeSlow(FIRST_BYTES);
    spare = undefined;
  }

  /** Writes text as UTF-8 and returns where it lies. Throws PAYLOAD_TOO_LARGE. */
  write(text: string, what: string): readonly [position: number, sizeBytes: number] {
    // Three bytes for a UTF-16 unit are the most; counting exactly pays only when that does not fit.
    if (this.#used + text.length * 3 > this.#bytes.length) this.#grow(Buffer.byteLength(text), what);
    const position = this.#used;
    const sizeBytes = this.#bytes.write(text, position);
    this.#used += sizeBytes;
    return [position, sizeBytes];
  }

  /** Exactly what was written, alone in its buffer. The arena is done for afterwards. */
  take(): Uint8Array {
    const taken = Buffer.allocUnsafeSlow(this.#used);
    this.#bytes.copy(taken, 0, 0, this.#used);
    if (this.#bytes.length <= SPARE_BYTES) spare = this.#bytes;
    return new Uint8Array(taken.buffer);
  }

  #grow(sizeBytes: number, what: string): void {
    if (sizeBytes > PAYLOAD_LIMIT_BYTES) throw tooLarge(what, sizeBytes);
    const needed = this.#used + sizeBytes;
    if (needed > HELD_LIMIT_BYTES) {
      throw new PlatformError(
        'PAYLOAD_TOO_LARGE',
        `One invocation may hold ${HELD_LIMIT_BYTES} bytes of emits and state until its commit. Use smaller batches.`,
      );
    }
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes = larger;
  }
}

export interface StateSlot {
  /** JSON text; null when removed. */
  text: string | null;
  readonly write: [state: string, offset: number, position: number, sizeBytes: number];
  readonly held: Held;
}

/**
 * What one call of a handler wants committed: nothing of it leaves the instance unless the call succeeds. State that it
 * wrote is visible to later calls of the same key at once, and taken back if it fails.
 */
export class Held {
  readonly emits: EmitRow[] = [];
  readonly writes: StateWriteRow[] = [];
  readonly #arena: Arena;
  readonly #undo: (() => void)[] | undefined;
  #closed = false;

  /** `undoable`: other calls of the same event see its state, so that it can be taken back when the call fails. */
  constructor(arena: Arena, { undoable }: { readonly undoable: boolean }) {
    this.#arena = arena;
    this.#undo = undoable ? [] : undefined;
  }

  emit(
    stream: string,
    text: string,
    key: string | undefined,
    headers: WireHeaders | undefined,
    causeOffset: number | undefined,
  ): void {
    this.#checkOpen();
    const [position, sizeBytes] = this.#arena.write(text, `A record for '${stream}'`);
    this.emits.push([stream, key, position, sizeBytes, causeOffset, headers]);
  }

  /** Writes into `slots`; an earlier write of the same call to the same record is replaced. */
  write(
    slots: Map<number, StateSlot>,
    slot: number,
    state: string,
    offset: number,
    text: string | null,
  ): void {
    this.#checkOpen();
    const [position, sizeBytes] = text === null ? [0, -1] : this.#arena.write(text, `State '${state}'`);
    const before = slots.get(slot);
    if (before?.held === this && before.write[1] === offset) {
      before.text = text;
      before.write[2] = position;
      before.write[3] = sizeBytes;
      return;
    }
    const write: StateSlot['write'] = [state, offset, position, sizeBytes];
    this.writes.push(write);
    this.#undo?.push(() => (before ? slots.set(slot, before) : slots.delete(slot)));
    slots.set(slot, { text, write, held: this });
  }

  /** The call has ended: what it still tries comes too late. */
  close(): void {
    this.#closed = true;
  }

  takeBack(): void {
    this.close();
    for (const undo of this.#undo?.toReversed() ?? []) undo();
  }

  #checkOpen(): void {
    if (!this.#closed) return;
    throw new PlatformError(
      'CONFLICT',
      'The invocation has ended: what it emits or writes now would not be part of its commit. Await it in the handler.',
    );
  }
}

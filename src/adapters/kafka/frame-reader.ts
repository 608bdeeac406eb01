import { SIZE_BYTES } from '../../streams/kafka-protocol/index.ts';

/** A broker that announces more than this does not speak the protocol. */
const MOST_BYTES = 512 * 1024 * 1024;

/** Cuts what a socket gives into frames. A frame that came in one piece is handed on as it is, others are copied once. */
export class FrameReader {
  readonly #onFrame: (frame: Buffer) => void;
  #size = Buffer.alloc(0);
  #frame: Buffer | undefined;
  #filled = 0;

  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  add(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) rest = this.#frame ? this.#fill(rest) : this.#begin(rest);
  }

  #begin(chunk: Buffer): Buffer {
    const all = this.#size.length > 0 ? Buffer.concat([this.#size, chunk]) : chunk;
    if (all.length < SIZE_BYTES) {
      this.#size = Buffer.from(all);
      return all.subarray(all.length);
    }
    this.#size = Buffer.alloc(0);
    const sizeBytes = all.readInt32BE(0) + SIZE_BYTES;
    if (sizeBytes < SIZE_BYTES || sizeBytes > MOST_BYTES) throw new Error(`a frame has ${sizeBytes} bytes`);
    if (all.length >= sizeBytes) {
      this.#onFrame(all.subarray(0, sizeBytes));
      return all.subarray(sizeBytes);
    }
    this.#frame = Buffer.allocUnsafe(sizeBytes);
    this.#filled = 0;
    return all;
  }

  #fill(chunk: Buffer): Buffer {
    const frame = this.#frame!;
    const taken = Math.min(chunk.length, frame.length - this.#filled);
    chunk.copy(frame, this.#filled, 0, taken);
    this.#filled += taken;
    if (this.#filled === frame.length) {
      this.#frame = undefined;
      this.#onFrame(frame);
    }
    return chunk.subarray(taken);
  }
}

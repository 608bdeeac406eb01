import { BODY_WINDOW_BYTES } from '../protocol.ts';
import type { Link } from './link.ts';

const encoder = new TextEncoder();

/** The request's body as it arrives. The platform sends at most a window of bytes ahead of what was read. */
export class IncomingBody implements AsyncIterable<Uint8Array> {
  readonly #link: Link;
  readonly #id: number;
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(link: Link, id: number) {
    this.#link = link;
    this.#id = id;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#wake?.();
  }

  end(error: string | undefined): void {
    this.#ended = true;
    if (error !== undefined) this.#error = new Error(error);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.#link.send(['credit', this.#id, chunk.length]);
        yield chunk;
      } else if (this.#error) throw this.#error;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** Sends a response's body in pieces, never more than a window ahead of what the client has taken. */
export class OutgoingBody {
  readonly #link: Link;
  readonly #id: number;
  #credit = BODY_WINDOW_BYTES;
  #gone = false;
  #wake: (() => void) | undefined;

  constructor(link: Link, id: number) {
    this.#link = link;
    this.#id = id;
  }

  credit(bytes: number): void {
    this.#credit += bytes;
    this.#wake?.();
  }

  /** The client has gone, or the deadline has passed: the source is closed instead of read to its end. */
  stop(): void {
    this.#gone = true;
    this.#wake?.();
  }

  async pump(source: AsyncIterable<unknown>): Promise<void> {
    for await (const piece of source) {
      for (const part of parts(piece)) {
        while (this.#credit <= 0 && !this.#gone) {
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
        if (this.#gone) return;
        this.#credit -= part.length;
        this.#link.send(['chunk', this.#id, part], [part.buffer as ArrayBuffer]);
      }
      if (this.#gone) return;
    }
  }
}

/** Text and bytes in parts of at most a quarter of the window, each alone in its buffer so that it can be given away. */
function* parts(piece: unknown): Generator<Uint8Array, void, undefined> {
  const bytes = typeof piece === 'string' ? encoder.encode(piece) : piece;
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError('A streamed body must yield strings or Uint8Arrays.');
  }
  const most = BODY_WINDOW_BYTES / 4;
  for (let at = 0; at < bytes.length; at += most) yield new Uint8Array(bytes.subarray(at, at + most));
}

import { BODY_WINDOW_BYTES } from '../protocol.ts';

/** What these need of an instance. */
export interface BodyLine {
  send(message: readonly ['chunk', number, Uint8Array], transfer: readonly ArrayBuffer[]): void;
  send(message: readonly ['chunkEnd', number, string | undefined]): void;
  send(message: readonly ['credit', number, number]): void;
  send(message: readonly ['bodyGone', number]): void;
}

/** Reads a client's body and sends it to the instance, at most a window ahead of what the handler took. */
export class RequestPump {
  readonly #line: BodyLine;
  readonly #id: number;
  #credit = BODY_WINDOW_BYTES;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(line: BodyLine, id: number, source: AsyncIterable<Uint8Array>) {
    this.#line = line;
    this.#id = id;
    void this.#pump(source);
  }

  credit(bytes: number): void {
    this.#credit += bytes;
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  async #pump(source: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of source) {
        while (this.#credit <= 0 && !this.#stopped) {
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
        if (this.#stopped) return;
        const copy = new Uint8Array(chunk);
        this.#credit -= copy.byteLength;
        this.#line.send(['chunk', this.#id, copy], [copy.buffer]);
      }
      this.#line.send(['chunkEnd', this.#id, undefined]);
    } catch (error) {
      this.#line.send(['chunkEnd', this.#id, error instanceof Error ? error.message : String(error)]);
    }
  }
}

/** A response's body as it comes from the instance. Reading it grants the instance more; leaving it tells it to stop. */
export class ResponseBody implements AsyncIterable<Uint8Array> {
  readonly #line: BodyLine;
  readonly #id: number;
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(line: BodyLine, id: number) {
    this.#line = line;
    this.#id = id;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#wake?.();
  }

  end(error: Error | undefined): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk) {
          this.#line.send(['credit', this.#id, chunk.byteLength]);
          yield chunk;
        } else if (this.#error) throw this.#error;
        else if (this.#ended) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      if (!this.#ended) this.#line.send(['bodyGone', this.#id]);
    }
  }
}

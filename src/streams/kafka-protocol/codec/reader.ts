import type { Buffer } from 'node:buffer';

/** Bytes that are no message: the connection they came over is closed. */
export class Malformed extends Error {
  constructor(detail: string) {
    super(`The message is malformed: ${detail}.`);
    this.name = 'Malformed';
  }
}

/** Elements of all arrays of one message. A message of a few bytes an element must not become gigabytes of objects. */
const MAX_ELEMENTS = 500_000;
const TWO_32 = 4_294_967_296;

/** Reads the primitives of the Kafka protocol from one message; throws Malformed past its end. Views, not copies. */
export class Reader {
  readonly buffer: Buffer;
  position: number;
  readonly end: number;
  #elements = 0;

  constructor(buffer: Buffer, position = 0, end = buffer.length) {
    this.buffer = buffer;
    this.position = position;
    this.end = end;
  }

  #take(size: number): number {
    const at = this.position;
    if (size > this.end - at) throw new Malformed(`it ends ${size - this.end + at} bytes too early`);
    this.position = at + size;
    return at;
  }

  bool(): boolean {
    return this.buffer[this.#take(1)] !== 0;
  }

  int8(): number {
    return this.buffer.readInt8(this.#take(1));
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#take(2));
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4));
  }

  int64(): number {
    const at = this.#take(8);
    return this.buffer.readInt32BE(at) * TWO_32 + this.buffer.readUInt32BE(at + 4);
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.#take(8));
  }

  uuid(): string {
    const at = this.#take(16);
    return this.buffer.toString('hex', at, at + 16);
  }

  /** Unsigned varint of at most 32 bits. */
  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.#take(1)]!;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) {
        if (value >= TWO_32) break;
        return value;
      }
    }
    throw new Malformed('a varint has more than 32 bits');
  }

  /** Length of what follows; -1 for null, which a compact length says as 0. */
  length(compact: boolean, short: boolean): number {
    if (compact) return this.uvarint() - 1;
    return short ? this.int16() : this.int32();
  }

  string(compact: boolean): string {
    return this.nullableString(compact) ?? nullRefused();
  }

  nullableString(compact: boolean): string | null {
    const length = this.length(compact, true);
    if (length < 0) return nullFor(length);
    const at = this.#take(length);
    return this.buffer.toString('utf8', at, at + length);
  }

  bytes(compact: boolean): Buffer {
    return this.nullableBytes(compact) ?? nullRefused();
  }

  nullableBytes(compact: boolean): Buffer | null {
    const length = this.length(compact, false);
    if (length < 0) return nullFor(length);
    const at = this.#take(length);
    return this.buffer.subarray(at, at + length);
  }

  array<Element>(compact: boolean, element: (reader: Reader) => Element): Element[] {
    return this.nullableArray(compact, element) ?? nullRefused();
  }

  nullableArray<Element>(compact: boolean, element: (reader: Reader) => Element): Element[] | null {
    const length = this.length(compact, false);
    if (length < 0) return nullFor(length);
    // No element takes less than a byte, so what is left bounds how many there can be.
    this.#elements += length;
    if (length > this.end - this.position || this.#elements > MAX_ELEMENTS) {
      throw new Malformed(`an array of ${length} elements is too long`);
    }
    const elements: Element[] = [];
    for (let index = 0; index < length; index++) elements.push(element(this));
    return elements;
  }

  /** Whether a nullable structure is there. */
  present(): boolean {
    return this.int8() >= 0;
  }

  /** End of a tagged field of that size. */
  tagEnd(): number {
    const size = this.uvarint();
    if (size > this.end - this.position) throw new Malformed('a tagged field ends too late');
    return this.position + size;
  }

  seek(position: number): void {
    if (position < this.position) throw new Malformed('a tagged field is longer than its size says');
    this.position = position;
  }

  /** Passes over tagged fields that nobody asks for. */
  skipTags(): void {
    for (let rest = this.uvarint(); rest > 0; rest--) {
      this.uvarint();
      this.position = this.tagEnd();
    }
  }
}

function nullFor(length: number): null {
  if (length < -1) throw new Malformed(`a length is ${length}`);
  return null;
}

function nullRefused(): never {
  throw new Malformed('a field is null that must not be');
}

import { Buffer } from 'node:buffer';
import { MAX_INT64 } from './fields.ts';

const TWO_32 = 4_294_967_296;
/** Bytes from this size on are written by reference instead of copied. */
const BY_REFERENCE_BYTES = 2048;
const FIRST_BYTES = 512;

/** Writes the primitives of the Kafka protocol. Large bytes are not copied: `chunks` gives them in their place. */
export class Writer {
  #done: Uint8Array[] = [];
  #doneBytes = 0;
  #buffer: Buffer;
  /** From here on the buffer is not in `#done` yet. */
  #start = 0;
  #position = 0;

  constructor(firstBytes: number = FIRST_BYTES) {
    this.#buffer = Buffer.allocUnsafe(firstBytes);
  }

  get sizeBytes(): number {
    return this.#doneBytes + this.#position - this.#start;
  }

  /** What was written, to be sent one after the other. */
  chunks(): Uint8Array[] {
    this.#cut();
    return this.#done;
  }

  bytesWritten(): Buffer {
    const chunks = this.chunks();
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  }

  #cut(): void {
    if (this.#position === this.#start) return;
    const chunk = this.#buffer.subarray(this.#start, this.#position);
    this.#done.push(chunk);
    this.#doneBytes += chunk.length;
    this.#start = this.#position;
  }

  #room(size: number): number {
    const at = this.#position;
    if (at + size > this.#buffer.length) return this.#grow(size);
    this.#position = at + size;
    return at;
  }

  #grow(size: number): number {
    const pending = this.#position - this.#start;
    const larger = Buffer.allocUnsafe(Math.max(2 * (pending + size), FIRST_BYTES));
    this.#buffer.copy(larger, 0, this.#start, this.#position);
    this.#buffer = larger;
    this.#start = 0;
    this.#position = pending + size;
    return pending;
  }

  bool(value: boolean): void {
    this.int8(value ? 1 : 0);
  }

  int8(value: number): void {
    const at = this.#room(1);
    this.#buffer[at] = value;
  }

  int16(value: number): void {
    const at = this.#room(2);
    this.#buffer[at] = value >> 8;
    this.#buffer[at + 1] = value;
  }

  uint16(value: number): void {
    this.int16(value);
  }

  int32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeInt32BE(value | 0, at);
  }

  uint32(value: number): void {
    this.int32(value);
  }

  int64(value: number): void {
    const at = this.#room(8);
    if (value >= MAX_INT64) {
      this.#buffer.writeInt32BE(0x7fffffff, at);
      this.#buffer.writeInt32BE(-1, at + 4);
      return;
    }
    const high = Math.floor(value / TWO_32);
    this.#buffer.writeInt32BE(high | 0, at);
    this.#buffer.writeUInt32BE(value - high * TWO_32, at + 4);
  }

  float64(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  /** 32 hexadecimal digits. */
  uuid(value: string): void {
    const at = this.#room(16);
    const written = this.#buffer.write(value, at, 16, 'hex');
    if (written !== 16) throw new TypeError(`'${value}' is not 32 hexadecimal digits`);
  }

  uvarint(value: number): void {
    while (value > 127) {
      this.int8((value & 127) | 128);
      value >>>= 7;
    }
    this.int8(value);
  }

  /** -1 says null. */
  length(length: number, compact: boolean, short: boolean): void {
    if (compact) this.uvarint(length + 1);
    else if (short) this.int16(length);
    else this.int32(length);
  }

  string(value: string, compact: boolean): void {
    let size = Buffer.byteLength(value);
    // A short length has 15 bits: longer messages of errors are cut, nothing else is as long.
    if (!compact && size > 32_767) {
      value = value.slice(0, 8000);
      size = Buffer.byteLength(value);
    }
    this.length(size, compact, true);
    const at = this.#room(size);
    this.#buffer.write(value, at, size, 'utf8');
  }

  nullableString(value: string | null, compact: boolean): void {
    if (value === null) this.length(-1, compact, true);
    else this.string(value, compact);
  }

  bytes(value: Uint8Array, compact: boolean): void {
    this.length(value.length, compact, false);
    if (value.length >= BY_REFERENCE_BYTES) {
      this.#cut();
      this.#done.push(value);
      this.#doneBytes += value.length;
      return;
    }
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
  }

  nullableBytes(value: Uint8Array | null, compact: boolean): void {
    if (value === null) this.length(-1, compact, false);
    else this.bytes(value, compact);
  }

  array<Element>(
    values: readonly Element[],
    compact: boolean,
    element: (writer: Writer, value: Element) => void,
  ): void {
    this.length(values.length, compact, false);
    for (const value of values) element(this, value);
  }

  nullableArray<Element>(
    values: readonly Element[] | null,
    compact: boolean,
    element: (writer: Writer, value: Element) => void,
  ): void {
    if (values === null) this.length(-1, compact, false);
    else this.array(values, compact, element);
  }

  /** One tagged field: its number, its size and what `write` puts there. */
  tag(number: number, write: (writer: Writer) => void): void {
    const inner = new Writer(64);
    write(inner);
    this.uvarint(number);
    this.uvarint(inner.sizeBytes);
    const content = inner.bytesWritten();
    const at = this.#room(content.length);
    this.#buffer.set(content, at);
  }
}

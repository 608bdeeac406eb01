import { invalid } from './invalid.ts';

/**
 * The wire format of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/), as far as onnx.proto needs
 * it. A tag is a varint of `field << 3 | type`; types: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
 */
export type WireType = 0 | 1 | 2 | 5;

const UTF8 = new TextDecoder('utf-8', { fatal: true });
/** Short texts that were read last, by their hash: a tree says one of two words at each of its thousands of nodes. */
const KNOWN_TEXTS = 64;
const MOST_KNOWN_BYTES = 32;
/** `WIRE_TYPES >> type & 1`: there are 0, 1, 2 and 5. */
const WIRE_TYPES = 0b100111;
const ENCODER = new TextEncoder();

export class WireReader {
  readonly bytes: Uint8Array;
  position = 0;
  field = 0;
  wireType: WireType = 0;
  /** Messages around this one. */
  readonly depth: number;
  readonly #view: DataView;
  readonly #texts: (
    | { readonly start: number; readonly length: number; readonly text: string }
    | undefined
  )[] = [];

  constructor(bytes: Uint8Array, depth = 0) {
    this.bytes = bytes;
    this.depth = depth;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves to the next field; false at the end. */
  next(): boolean {
    if (this.position >= this.bytes.length) return false;
    const tag = this.varint();
    const wireType = tag & 7;
    this.field = Math.floor(tag / 8);
    if (this.field === 0 || tag > 0xffff_ffff || ((WIRE_TYPES >> wireType) & 1) === 0) {
      throw invalid(`Byte ${this.position} is no field of an ONNX model`);
    }
    this.wireType = wireType as WireType;
    return true;
  }

  /** Moves to the next field when that is this one again; otherwise it stays. */
  again(): boolean {
    if (this.field > 15 || this.bytes[this.position] !== this.field * 8 + this.wireType) return false;
    this.position += 1;
    return true;
  }

  /** An unsigned varint as a number; beyond 2^53 it is rounded. */
  varint(): number {
    const { bytes } = this;
    const first = bytes[this.position];
    if (first !== undefined && first < 0x80) {
      this.position += 1;
      return first;
    }
    let value = 0;
    let factor = 1;
    for (let index = 0; index < 10; index += 1) {
      const byte = bytes[this.position];
      if (byte === undefined) throw this.#short();
      this.position += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    throw invalid(`The number at byte ${this.position} is longer than 64 bits`);
  }

  /** A varint of 64 bits, exactly. */
  bigVarint(): bigint {
    const start = this.position;
    const value = this.varint();
    if (value <= Number.MAX_SAFE_INTEGER) return BigInt(value);
    let exact = 0n;
    for (let at = start, shift = 0n; at < this.position; at += 1, shift += 7n) {
      exact |= BigInt(this.bytes[at]! & 0x7f) << shift;
    }
    return BigInt.asUintN(64, exact);
  }

  float(): number {
    this.#need(4);
    const value = this.#view.getFloat32(this.position, true);
    this.position += 4;
    return value;
  }

  double(): number {
    this.#need(8);
    const value = this.#view.getFloat64(this.position, true);
    this.position += 8;
    return value;
  }

  /** The bytes of a field of type 2; they lie in the file. */
  chunk(): Uint8Array {
    if (this.wireType !== 2) throw this.wrongType();
    const length = this.varint();
    this.#need(length);
    const start = this.position;
    this.position += length;
    return this.bytes.subarray(start, this.position);
  }

  text(): string {
    if (this.wireType !== 2) throw this.wrongType();
    const length = this.varint();
    this.#need(length);
    const start = this.position;
    this.position += length;
    if (length > MOST_KNOWN_BYTES) return this.#decode(start, length);
    let hash = length;
    for (let at = start; at < this.position; at += 1) hash = (Math.imul(hash, 31) + this.bytes[at]!) | 0;
    const place = hash & (KNOWN_TEXTS - 1);
    const known = this.#texts[place];
    if (known && known.length === length && this.#same(known.start, start, length)) return known.text;
    const text = this.#decode(start, length);
    this.#texts[place] = { start, length, text };
    return text;
  }

  skip(): void {
    if (this.wireType === 0) this.varint();
    else if (this.wireType === 2) this.chunk();
    else {
      const length = this.wireType === 1 ? 8 : 4;
      this.#need(length);
      this.position += length;
    }
  }

  wrongType(): Error {
    return invalid(
      `Field ${this.field} before byte ${this.position} has a type that it does not have in ONNX`,
    );
  }

  #same(one: number, other: number, length: number): boolean {
    for (let at = 0; at < length; at += 1) {
      if (this.bytes[one + at] !== this.bytes[other + at]) return false;
    }
    return true;
  }

  #decode(start: number, length: number): string {
    try {
      return UTF8.decode(this.bytes.subarray(start, start + length));
    } catch {
      throw invalid(`The text before byte ${start + length} is not UTF-8`);
    }
  }

  #need(length: number): void {
    if (length > this.bytes.length - this.position) throw this.#short();
  }

  #short(): Error {
    return invalid('The ONNX file ends in the middle of a field');
  }
}

export class WireWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  tag(field: number, wireType: WireType): void {
    this.varint(field * 8 + wireType);
  }

  /** An integer from -2^63 to 2^64; those below zero take ten bytes, as the format says. */
  varint(value: number | bigint): void {
    this.#room(10);
    if (typeof value === 'bigint' || value < 0 || value > Number.MAX_SAFE_INTEGER) {
      this.#bigVarint(BigInt.asUintN(64, BigInt(value)));
      return;
    }
    while (value >= 128) {
      this.#bytes[this.#length++] = (value % 128) + 128;
      value = Math.floor(value / 128);
    }
    this.#bytes[this.#length++] = value;
  }

  float(value: number): void {
    this.#room(4);
    this.#view.setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  double(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  chunk(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  text(value: string): void {
    this.chunk(ENCODER.encode(value));
  }

  #bigVarint(value: bigint): void {
    for (; value >= 128n; value >>= 7n) this.#bytes[this.#length++] = Number(value & 127n) + 128;
    this.#bytes[this.#length++] = Number(value);
  }

  #room(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

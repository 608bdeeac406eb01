import { SchemaError } from '../types.ts';

/** A field of a message in Protobuf's binary form: a varint, or bytes; fixed numbers are passed over. */
export interface WireField {
  readonly number: number;
  readonly varint: number;
  readonly bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array();

/** The fields of one message, in order (Protobuf encoding guide). Throws SchemaError. */
export function* wireFields(bytes: Uint8Array): Generator<WireField, void, undefined> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1, count = 0; count < 10; scale *= 128, count++) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new SchemaError('the descriptor ends within a number');
  };
  const skip = (size: number): Uint8Array => {
    if (size > bytes.length - at) throw new SchemaError('the descriptor ends within a field');
    at += size;
    return bytes.subarray(at - size, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (type === 0) yield { number, varint: varint(), bytes: NO_BYTES };
    else if (type === 2) yield { number, varint: 0, bytes: skip(varint()) };
    else if (type === 1 || type === 5) skip(type === 1 ? 8 : 4);
    else throw new SchemaError('the descriptor has a field of an unknown form');
  }
}

/** Puts a message together, field by field. */
export class WireWriter {
  readonly #parts: Uint8Array[] = [];

  varint(number: number, value: number): this {
    this.#parts.push(encodeVarint(number * 8), encodeVarint(value));
    return this;
  }

  bytes(number: number, bytes: Uint8Array): this {
    this.#parts.push(encodeVarint(number * 8 + 2), encodeVarint(bytes.length), bytes);
    return this;
  }

  text(number: number, text: string): this {
    return this.bytes(number, Buffer.from(text));
  }

  message(number: number, writer: WireWriter): this {
    return this.bytes(number, writer.finish());
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

/** Negative numbers take ten bytes, as int32 does. */
function encodeVarint(value: number): Uint8Array {
  let left = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const more = left > 127n;
    bytes.push(Number(left & 127n) | (more ? 128 : 0));
    left >>= 7n;
  } while (left > 0n);
  return Uint8Array.from(bytes);
}

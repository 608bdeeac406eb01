import { readInt16 } from './bytes.ts';
import type { BatchRecordHeader } from './encode.ts';
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchInvalid,
  readBatchHeader,
  splitBatches,
} from './header.ts';

/**
 * Walks the records of one batch without allocating: `next()` moves on, the fields tell about the current record,
 * `key()`, `value()` and `headers()` make views of the batch when asked. Every length is checked against what is left, so
 * hostile bytes end in BATCH_INVALID.
 */
export class RecordCursor {
  readonly header: BatchHeader;
  offset = -1;
  timeMs = -1;
  /** -1: no key. */
  keyLength = -1;
  keyPosition = 0;
  /** -1: no value (a tombstone). */
  valueLength = -1;
  valuePosition = 0;
  /** The bytes that positions refer to. */
  readonly bytes: Uint8Array;
  #position: number;
  readonly #end: number;
  #left: number;
  #headersPosition = 0;
  #recordEnd = 0;
  #text: Buffer | undefined;

  /** `records` are the decompressed records of a compressed batch (`decompressRecords`). */
  constructor(batch: Uint8Array, position = 0, records?: Uint8Array) {
    this.header = readBatchHeader(batch, position);
    if (this.header.compression !== 'none' && !records) {
      throw batchInvalid(`its records are compressed with ${this.header.compression}; decompress them first`);
    }
    this.bytes = records ?? batch;
    this.#position = records ? 0 : position + BATCH_HEADER_BYTES;
    this.#end = records ? records.length : position + this.header.sizeBytes;
    this.#left = this.header.recordCount;
  }

  /** Moves to the next record; false after the last. Throws BATCH_INVALID. */
  next(): boolean {
    if (this.#left === 0) {
      if (this.#position !== this.#end) throw batchInvalid('bytes follow its last record');
      return false;
    }
    this.#left--;
    const length = this.#varint();
    const end = this.#position + length;
    if (length < 6 || end > this.#end) throw batchInvalid('a record is longer than what is left');
    this.#recordEnd = end;
    this.#position++; // attributes, unused
    const timeDeltaMs = this.#varint();
    const offsetDelta = this.#varint();
    if (offsetDelta < 0 || offsetDelta > this.header.lastOffsetDelta)
      throw batchInvalid('an offset is out of range');
    this.timeMs =
      this.header.timestampType === 'append'
        ? this.header.maxTimestampMs
        : this.header.baseTimestampMs + timeDeltaMs;
    this.offset = this.header.baseOffset + offsetDelta;
    this.keyLength = this.#blob(end);
    this.keyPosition = this.#position - Math.max(0, this.keyLength);
    this.valueLength = this.#blob(end);
    this.valuePosition = this.#position - Math.max(0, this.valueLength);
    this.#headersPosition = this.#position;
    this.#position = end;
    return true;
  }

  /** Where the next record begins, in `bytes`; behind the last one their end. */
  get position(): number {
    return this.#position;
  }

  key(): Uint8Array | null {
    return this.keyLength < 0
      ? null
      : this.bytes.subarray(this.keyPosition, this.keyPosition + this.keyLength);
  }

  value(): Uint8Array | null {
    return this.valueLength < 0
      ? null
      : this.bytes.subarray(this.valuePosition, this.valuePosition + this.valueLength);
  }

  headers(): BatchRecordHeader[] {
    const resume = this.#position;
    this.#position = this.#headersPosition;
    const count = this.#varint();
    if (count < 0 || count * 2 > this.#recordEnd - this.#position) throw batchInvalid('too many headers');
    const headers: BatchRecordHeader[] = [];
    for (let index = 0; index < count; index++) {
      const nameLength = this.#blob(this.#recordEnd);
      if (nameLength < 0) throw batchInvalid('a header has no name');
      const key = Buffer.from(
        this.bytes.buffer,
        this.bytes.byteOffset + this.#position - nameLength,
        nameLength,
      ).toString();
      const valueLength = this.#blob(this.#recordEnd);
      const value =
        valueLength < 0 ? null : this.bytes.subarray(this.#position - valueLength, this.#position);
      headers.push({ key, value });
    }
    if (this.#position !== this.#recordEnd) throw batchInvalid('bytes follow the headers of a record');
    this.#position = resume;
    return headers;
  }

  /** The headers by name, as text; of two with one name the later. Undefined for a record without headers. */
  textHeaders(): { [name: string]: string | undefined } | undefined {
    const first = this.#headersPosition;
    if (this.bytes[first] === 0 && first + 1 === this.#recordEnd) return undefined;
    const text = (this.#text ??= Buffer.from(
      this.bytes.buffer,
      this.bytes.byteOffset,
      this.bytes.byteLength,
    ));
    const resume = this.#position;
    this.#position = this.#headersPosition;
    const count = this.#varint();
    if (count < 0 || count * 2 > this.#recordEnd - this.#position) throw batchInvalid('too many headers');
    const headers: { [name: string]: string | undefined } = {};
    for (let index = 0; index < count; index++) {
      const nameLength = this.#blob(this.#recordEnd);
      if (nameLength < 0) throw batchInvalid('a header has no name');
      const name = text.toString('utf8', this.#position - nameLength, this.#position);
      const valueLength = this.#blob(this.#recordEnd);
      const at = this.#position - valueLength;
      const value = valueLength < 0 ? undefined : text.toString('utf8', at, this.#position);
      if (name !== '__proto__') headers[name] = value;
      else
        Object.defineProperty(headers, name, { value, enumerable: true, writable: true, configurable: true });
    }
    if (this.#position !== this.#recordEnd) throw batchInvalid('bytes follow the headers of a record');
    this.#position = resume;
    return headers;
  }

  /** Skips a length-prefixed blob and returns its length, -1 for none. */
  #blob(end: number): number {
    const length = this.#varint();
    if (length < -1 || length > end - this.#position) throw batchInvalid('a field is longer than its record');
    if (length > 0) this.#position += length;
    return length;
  }

  /** A zigzag varint of up to ten bytes. */
  #varint(): number {
    const first = this.#byte();
    if (first < 128) return (first >>> 1) ^ -(first & 1);
    let value = first & 127;
    let scale = 128;
    for (let count = 1; ; count++) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) break;
      if (count === 9) throw batchInvalid('a number is too long');
      scale *= 128;
    }
    // Beyond 2^53 digits are lost; every such value is refused by the bounds of its field.
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  #byte(): number {
    if (this.#position >= this.#end) throw batchInvalid('it ends within a record');
    return this.bytes[this.#position++]!;
  }
}

export interface DecodedRecord {
  readonly offset: number;
  readonly timeMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly BatchRecordHeader[];
}

/** The records of one batch, decoded. For few records; walk a `RecordCursor` where speed counts. */
export function decodeBatch(batch: Uint8Array, position = 0, records?: Uint8Array): DecodedRecord[] {
  const cursor = new RecordCursor(batch, position, records);
  const decoded: DecodedRecord[] = [];
  while (cursor.next()) {
    const { offset, timeMs } = cursor;
    decoded.push({ offset, timeMs, key: cursor.key(), value: cursor.value(), headers: cursor.headers() });
  }
  return decoded;
}

/** The data records of uncompressed batches back to back, control batches left out. */
export function decodeBatches(bytes: Uint8Array): DecodedRecord[] {
  const decoded: DecodedRecord[] = [];
  for (const { position, header } of splitBatches(bytes)) {
    if (!header.control) decoded.push(...decodeBatch(bytes, position));
  }
  return decoded;
}

/** What a control batch says; undefined for control records that are not transaction markers. */
export function readMarker(batch: Uint8Array, position = 0): 'commit' | 'abort' | undefined {
  const cursor = new RecordCursor(batch, position);
  if (!cursor.header.control || !cursor.next() || cursor.keyLength < 4) return undefined;
  const kind = readInt16(cursor.bytes, cursor.keyPosition + 2);
  return kind === 0 ? 'abort' : kind === 1 ? 'commit' : undefined;
}

import { payloadStart, RecordCursor, splitBatches } from '../../streams/record-batch/index.ts';

/** A record as handlers get it (`StreamRecord` of the SDK). */
export interface HandlerRecord {
  readonly kind: 'record';
  readonly stream: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | undefined;
  readonly value: unknown;
  readonly time: number;
  readonly headers: { readonly [name: string]: string | undefined };
}

export interface DecodedRecords {
  readonly records: HandlerRecord[];
  /** For each record the index of the first one with the same key; -1 without a key. */
  slots(): Int32Array;
}

const NO_HEADERS = Object.freeze({});
const REPLACEMENT = '�';
const strict = new TextDecoder('utf-8', { fatal: true });

/** Decodes RecordBatch v2 bytes (uncompressed, back to back) for a handler. Throws BATCH_INVALID. */
export function decodeRecords(stream: string, partition: number, batches: Uint8Array): DecodedRecords {
  const bytes = Buffer.from(batches.buffer, batches.byteOffset, batches.byteLength);
  const records: HandlerRecord[] = [];
  const keys: (string | undefined)[] = [];
  for (const { position, header } of splitBatches(batches)) {
    if (header.control) continue;
    const cursor = new RecordCursor(batches, position);
    while (cursor.next()) {
      const key = keyOf(bytes, cursor);
      records.push({
        kind: 'record',
        stream,
        partition,
        offset: cursor.offset,
        key,
        value: recordValue(bytes, cursor),
        time: cursor.timeMs,
        headers: cursor.textHeaders() ?? NO_HEADERS,
      });
      keys.push(key?.includes(REPLACEMENT) ? exactKey(bytes, cursor) : key);
    }
  }
  let slots: Int32Array | undefined;
  return { records, slots: () => (slots ??= firstOfEachKey(keys)) };
}

function keyOf(bytes: Buffer, cursor: RecordCursor): string | undefined {
  if (cursor.keyLength < 0) return undefined;
  return bytes.toString('utf8', cursor.keyPosition, cursor.keyPosition + cursor.keyLength);
}

/** Keys are bytes; two that are no valid UTF-8 must not be taken for one because both read as replacement characters. */
function exactKey(bytes: Buffer, cursor: RecordCursor): string {
  return `\0bytes:${bytes.toString('latin1', cursor.keyPosition, cursor.keyPosition + cursor.keyLength)}`;
}

/** JSON as a value; on streams without a schema anything may lie there: text as a string, other bytes as they are. */
function recordValue(bytes: Buffer, cursor: RecordCursor): unknown {
  if (cursor.valueLength < 0) return null;
  const end = cursor.valuePosition + cursor.valueLength;
  const text = bytes.toString('utf8', cursor.valuePosition, end);
  try {
    return JSON.parse(text);
  } catch {
    if (bytes[cursor.valuePosition] === 0) {
      const framed = framedValue(bytes.subarray(cursor.valuePosition, end));
      if (framed !== undefined) return framed;
    }
    if (!text.includes(REPLACEMENT)) return text;
    const copy = new Uint8Array(bytes.subarray(cursor.valuePosition, end));
    try {
      return strict.decode(copy);
    } catch {
      return copy;
    }
  }
}

/** The JSON behind the frame of a schema registry's serialiser, if that is what it is. */
function framedValue(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString('utf8', payloadStart(value)));
  } catch {
    return undefined;
  }
}

function firstOfEachKey(keys: readonly (string | undefined)[]): Int32Array {
  const first = new Map<string, number>();
  const slots = new Int32Array(keys.length);
  keys.forEach((key, index) => {
    if (key === undefined) {
      slots[index] = -1;
      return;
    }
    const slot = first.get(key) ?? index;
    if (slot === index) first.set(key, index);
    slots[index] = slot;
  });
  return slots;
}

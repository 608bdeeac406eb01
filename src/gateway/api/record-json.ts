import { isUtf8 } from 'node:buffer';
import { siblingModule, type Workers } from '../../kernel/index.ts';
import type { ReadRecord, RecordHeader } from '../../streams/index.ts';
import { payloadStart } from '../../streams/record-batch/index.ts';

/** Looking through more bytes takes milliseconds. */
const LARGE_VALUE_BYTES = 256 * 1024;
const VALUE_PART = { module: siblingModule(import.meta.url, './record-json'), task: 'valuePart' };

/** `recordToJson`, with the help of a platform worker where the value is large. */
export function recordText(record: ReadRecord, workers: Workers | undefined): string | Promise<string> {
  const { value } = record;
  if (workers === undefined || value === null || value.length <= LARGE_VALUE_BYTES)
    return recordToJson(record);
  const copy = new Uint8Array(value);
  const part = workers.run<string>(VALUE_PART, copy, { transfer: [copy.buffer] });
  return part.then((text) => `${headPart(record)}${text}}`);
}

/**
 * A record as clients see it: `{"partition","offset","time","key","headers","value"}`. The value is spliced in as the
 * JSON it was published as, so that long numbers stay what they were, without the frame that a schema registry's serialiser puts before it. Bytes that are not JSON come as `valueBase64`
 * beside `"value": null`, keys that are not UTF-8 as `keyBase64`, header values that are not UTF-8 as `{"base64": …}`.
 */
export function recordToJson(record: ReadRecord): string {
  return `${headPart(record)}${valuePart(record.value)}}`;
}

function headPart(record: ReadRecord): string {
  const head = `{"partition":${record.partition},"offset":${record.offset},"time":"${timeOf(record.timeMs)}"`;
  return `${head}${keyPart(record.key)},"headers":${headersToJson(record.headers)}`;
}

function timeOf(timeMs: number): string {
  // Producers may stamp anything; dates end at ±8.64e15 ms.
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : String(timeMs);
}

function keyPart(key: Uint8Array | null): string {
  if (key === null) return ',"key":null';
  return isUtf8(key) ? `,"key":${JSON.stringify(textOf(key))}` : `,"key":null,"keyBase64":"${base64Of(key)}"`;
}

/** Also a task for platform workers. */
export function valuePart(value: Uint8Array | null): string {
  if (value === null) return ',"value":null';
  const payload = value.subarray(payloadStart(value));
  const json = isUtf8(payload) ? asJson(textOf(payload)) : undefined;
  return json === undefined ? `,"value":null,"valueBase64":"${base64Of(value)}"` : `,"value":${json}`;
}

/** The text itself when it is JSON on one line, written anew when it has line breaks (they would end a line of an event stream). */
function asJson(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return /[\r\n]/.test(text) ? JSON.stringify(parsed) : text;
  } catch {
    return undefined;
  }
}

function headersToJson(headers: readonly RecordHeader[]): string {
  if (headers.length === 0) return '{}';
  const byName = new Map<string, unknown[]>();
  for (const header of headers) {
    const values = byName.get(header.key) ?? [];
    values.push(headerValue(header.value));
    byName.set(header.key, values);
  }
  // A name that came more than once has an array.
  const entries = [...byName].map(([name, values]) => [name, values.length === 1 ? values[0] : values]);
  return JSON.stringify(Object.fromEntries(entries));
}

function headerValue(value: Uint8Array | null): unknown {
  if (value === null) return null;
  return isUtf8(value) ? textOf(value) : { base64: base64Of(value) };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

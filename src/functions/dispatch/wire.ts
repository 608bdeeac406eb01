import type { Json } from '../../kernel/index.ts';
import type { RecordHeader } from '../../streams/index.ts';
import type {
  Emit,
  FunctionError,
  InvocationEvent,
  InvocationOutcome,
  InvocationValue,
  RecordsResult,
  StateChange,
} from '../invocation.ts';
import {
  type FromInstance,
  type Payload,
  TEXT_LIMIT_BYTES,
  type WireArgument,
  type WireEmits,
  type WireError,
  type WireEvent,
  type WireStateWrites,
} from '../protocol.ts';

type Transfers = ArrayBuffer[];

/** An event as it crosses to an instance. Buffers that may be given away are added to `transfers`. */
export function toWire(event: InvocationEvent, transfers: Transfers): WireEvent {
  switch (event.kind) {
    case 'direct':
      return ['direct', toText(event.input, transfers)];
    case 'tick':
      return ['tick', event.scheduledMs, event.missed];
    case 'http': {
      const { method, url, route, params, query, headers, clientIp, body } = event;
      const wireBody = body === undefined ? undefined : toWireBody(body, transfers);
      return [
        'http',
        method,
        url,
        route,
        unlessEmpty(params),
        unlessEmpty(query),
        flatHeaders(headers),
        clientIp,
        wireBody,
      ];
    }
    case 'records': {
      const { stream, partition, batches, records, asBatch, state } = event;
      giveAway(batches, transfers);
      const values = [...state.values()];
      for (const packed of values) giveAway(packed, transfers);
      return ['records', stream, partition, batches, records, asBatch, [...state.keys()], values];
    }
  }
}

function toWireBody(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  transfers: Transfers,
): Uint8Array | string | true {
  if (!(body instanceof Uint8Array)) return true;
  if (body.byteLength > TEXT_LIMIT_BYTES) return ownCopy(body, transfers);
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
}

function unlessEmpty<Value extends object>(value: Value): Value | undefined {
  for (const _name in value) return value;
  return undefined;
}

function flatHeaders(headers: { readonly [name: string]: string }): string[] {
  const flat: string[] = [];
  for (const name in headers) flat.push(name, headers[name]!);
  return flat;
}

/** Small JSON crosses as text: cheaper to clone than bytes, and the instance parses text anyway. */
export function toText(input: Uint8Array | undefined, transfers: Transfers): Payload {
  if (input === undefined) return undefined;
  if (input.byteLength > TEXT_LIMIT_BYTES) return ownCopy(input, transfers);
  return Buffer.from(input.buffer, input.byteOffset, input.byteLength).toString();
}

/** The caller may need its bytes again for a retry, and they may be a view: a copy is what can be given away. */
function ownCopy(bytes: Uint8Array, transfers: Transfers): Uint8Array {
  const copy = new Uint8Array(bytes);
  if (copy.byteLength > TEXT_LIMIT_BYTES) transfers.push(copy.buffer);
  return copy;
}

function giveAway(bytes: Uint8Array, transfers: Transfers): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength > 0 && !transfers.includes(buffer)) {
    transfers.push(buffer);
  }
}

export function fromPayload(payload: Payload): Uint8Array | undefined {
  return typeof payload === 'string' ? Buffer.from(payload) : payload;
}

/** An argument of a provider's method, as it crossed. */
export function fromArgument(argument: WireArgument): Json | Uint8Array {
  if (typeof argument === 'string') return JSON.parse(argument) as Json;
  if (argument instanceof Uint8Array) return argument;
  const [width, values] = argument;
  const rows: number[][] = [];
  for (let at = 0; at < values.length; at += width) rows.push(Array.from(values.subarray(at, at + width)));
  return rows;
}

export function errorOf([code, name, message, stack]: WireError): FunctionError {
  return { code, name, message, ...(stack === undefined ? {} : { stack }) };
}

export function recordsValue(
  message: Extract<FromInstance, readonly ['records', ...unknown[]]>,
): InvocationValue {
  const [, , failed, skipped, emits, writes, bytes] = message;
  const result: RecordsResult = {
    failed: failed.map(([offset, error]) => ({ offset, error: errorOf(error) })),
    skipped,
    emits: emitsOf(emits, bytes),
    state: changesOf(writes, bytes),
  };
  return { kind: 'records', result };
}

function emitsOf([streams, keys, headers, rows]: WireEmits, bytes: Uint8Array): Emit[] {
  const emits: Emit[] = [];
  for (let at = 0; at < rows.length; at += 5) {
    const position = rows[at + 1]!;
    const cause = rows[at + 3]!;
    const place = rows[at + 4]!;
    emits.push({
      stream: streams[rows[at]!]!,
      value: bytes.subarray(position, position + rows[at + 2]!),
      key: keys[emits.length],
      headers: place < 0 ? NO_HEADERS : headersOf(headers[place]),
      causeOffset: Number.isNaN(cause) ? undefined : cause,
    });
  }
  return emits;
}

function changesOf([states, rows]: WireStateWrites, bytes: Uint8Array): StateChange[] {
  const changes: StateChange[] = [];
  for (let at = 0; at < rows.length; at += 4) {
    const position = rows[at + 2]!;
    const sizeBytes = rows[at + 3]!;
    const value = sizeBytes < 0 ? null : bytes.subarray(position, position + sizeBytes);
    changes.push({ state: states[rows[at]!]!, offset: rows[at + 1]!, value });
  }
  return changes;
}

const NO_HEADERS: readonly RecordHeader[] = [];

export function headersOf(
  headers: readonly (readonly [string, string])[] | undefined,
): readonly RecordHeader[] {
  return headers?.map(([key, value]) => ({ key, value: Buffer.from(value) })) ?? NO_HEADERS;
}

export function failure(
  error: FunctionError,
  durationMs: number,
  cold: boolean,
): InvocationOutcome & { status: 'error' } {
  return { status: 'error', error, durationMs, cold };
}

import { PAYLOAD_LIMIT_BYTES, TEXT_LIMIT_BYTES } from '../protocol.ts';
import { InstanceError } from './errors.ts';
import { tooLarge } from './payload.ts';

type Headers = [name: string, value: string][];

/** What goes back to the client: a whole body, or one that comes in pieces. */
export interface Reply {
  readonly statusCode: number;
  readonly headers: Headers;
  readonly body: string | Uint8Array | undefined;
  readonly stream: AsyncIterable<unknown> | undefined;
}

// RFC 9110: a name is a token; a value has no control characters but the tab.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Reads what an HTTP handler returned: nothing (204), `{ status, headers, body }`, or a web `Response`. Throws RESULT_INVALID. */
export function createReply(result: unknown): Reply {
  if (result === undefined || result === null) return { ...EMPTY, headers: [] };
  if (isWebResponse(result)) return fromWebResponse(result);
  if (typeof result !== 'object' || Array.isArray(result)) {
    throw invalid(`it returned ${Array.isArray(result) ? 'an array' : `a ${typeof result}`}`);
  }
  const {
    status = 200,
    headers,
    body,
    ...unknown
  } = result as {
    status?: unknown;
    headers?: unknown;
    body?: unknown;
  };
  const extra = Object.keys(unknown)[0];
  if (extra !== undefined) throw invalid(`it returned an object with '${extra}'`);
  return withBody(checkStatus(status), readHeaders(headers), body);
}

/**
 * Node loads its web API when one of its names is first spoken, which takes longer than all else that a first answer
 * takes. So the name is spoken only for a value that calls itself a Response.
 */
export function isWebResponse(value: unknown): value is Response {
  return isTagged(value, 'Response') && value instanceof Response;
}

function isWebHeaders(value: object): value is globalThis.Headers {
  return isTagged(value, 'Headers') && value instanceof globalThis.Headers;
}

function isTagged(value: unknown, tag: string): value is object {
  return typeof value === 'object' && value !== null && Reflect.get(value, Symbol.toStringTag) === tag;
}

const EMPTY = { statusCode: 204, body: undefined, stream: undefined } as const;

function invalid(what: string): InstanceError {
  return new InstanceError(
    'RESULT_INVALID',
    `The handler of a route must return nothing, a Response, or { status, headers, body }, but ${what}.`,
  );
}

function checkStatus(status: unknown): number {
  if (Number.isInteger(status) && (status as number) >= 200 && (status as number) <= 599) {
    return status as number;
  }
  throw invalid(`its status is ${String(status)}, not an integer from 200 to 599`);
}

function fromWebResponse(response: Response): Reply {
  const headers = [...response.headers].map(([name, value]): [string, string] => [name, value]);
  const stream = (response.body as AsyncIterable<Uint8Array> | null) ?? undefined;
  return { statusCode: checkStatus(response.status), headers, body: undefined, stream };
}

function readHeaders(headers: unknown): Headers {
  if (headers === undefined || headers === null) return [];
  if (typeof headers !== 'object') throw invalid('its headers are not an object');
  const entries = isWebHeaders(headers) ? [...headers] : Object.entries(headers);
  const read: Headers = [];
  for (const [name, value] of entries as [string, unknown][]) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === undefined) continue;
      const text = String(one);
      if (!TOKEN.test(name) || !VALUE.test(text)) {
        throw invalid(`its header '${name.slice(0, 100)}' has characters that headers cannot carry`);
      }
      read.push([name, text]);
    }
  }
  return read;
}

function withBody(statusCode: number, headers: Headers, body: unknown): Reply {
  if (body === undefined || body === null) return { statusCode, headers, body: undefined, stream: undefined };
  if (typeof body === 'string') {
    return { statusCode, headers: typed(headers, TEXT), body: sized(body), stream: undefined };
  }
  if (body instanceof Uint8Array || body instanceof ArrayBuffer) {
    return { statusCode, headers: typed(headers, BYTES), body: copied(body), stream: undefined };
  }
  if (isStream(body)) return { statusCode, headers: typed(headers, BYTES), body: undefined, stream: body };
  return { statusCode, headers: typed(headers, JSON_TYPE), body: sized(asJson(body)), stream: undefined };
}

const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';
const JSON_TYPE = 'application/json';

function typed(headers: Headers, contentType: string): Headers {
  const given = headers.some(([name]) => name.toLowerCase() === 'content-type');
  return given ? headers : [['content-type', contentType], ...headers];
}

function isStream(body: object): body is AsyncIterable<unknown> {
  return Symbol.asyncIterator in body;
}

function asJson(body: unknown): string {
  const text = JSON.stringify(body) as string | undefined;
  if (text !== undefined) return text;
  throw invalid(`its body is a ${typeof body}, which cannot be written as JSON`);
}

function sized(text: string): string | Uint8Array {
  if (text.length <= TEXT_LIMIT_BYTES) return text;
  return checkSize(new TextEncoder().encode(text));
}

/** A copy of its own: a view of a larger buffer would be cloned with all that lies behind it. */
function copied(body: Uint8Array | ArrayBuffer): Uint8Array {
  return checkSize(new Uint8Array(body instanceof Uint8Array ? body : new Uint8Array(body)));
}

function checkSize(bytes: Uint8Array): Uint8Array {
  if (bytes.length > PAYLOAD_LIMIT_BYTES) {
    throw new InstanceError('RESULT_INVALID', tooLarge('The body of the response', bytes.length).message);
  }
  return bytes;
}

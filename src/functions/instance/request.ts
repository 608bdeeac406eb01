import type { HttpTrigger } from '../../kernel/index.ts';
import type { WireHttp } from '../protocol.ts';
import { InstanceError } from './errors.ts';

const decoder = new TextDecoder();

interface Body {
  readonly value: unknown;
  bytes(): Promise<Uint8Array>;
}

/** The request as handlers get it (`HttpRequest` of the SDK). `stream` is the body of routes that read it as it comes. */
export function createRequest(
  event: WireHttp,
  trigger: HttpTrigger | undefined,
  stream: AsyncIterable<Uint8Array> | undefined,
): object {
  const [, method, url, route, params, query, headers, clientIp, wireBody] = event;
  const body =
    wireBody === 'stream' ? streamedBody(stream!) : wholeBody(wireBody, headers['content-type'], trigger);
  return {
    kind: 'http',
    method,
    url,
    route,
    params,
    query,
    headers,
    clientIp,
    body: body.value,
    bytes: () => body.bytes(),
    text: async () => decoder.decode(await body.bytes()),
    json: async () => JSON.parse(decoder.decode(await body.bytes())),
  };
}

/** A request made from the input of a call by name, for a function whose first trigger is an HTTP route. */
export function requestFromInput(trigger: HttpTrigger, input: unknown): object {
  const text = input === undefined ? undefined : JSON.stringify(input);
  const bytes = text === undefined ? undefined : new TextEncoder().encode(text);
  const headers: Record<string, string> = text === undefined ? {} : { 'content-type': 'application/json' };
  const { method, path } = trigger;
  return createRequest(['http', method, path, path, {}, {}, headers, '127.0.0.1', bytes], trigger, undefined);
}

function wholeBody(
  bytes: Uint8Array | undefined,
  contentType: string | undefined,
  trigger: HttpTrigger | undefined,
): Body {
  return { value: bodyValue(bytes, contentType, trigger), bytes: async () => bytes ?? new Uint8Array(0) };
}

function bodyValue(
  bytes: Uint8Array | undefined,
  contentType: string | undefined,
  trigger: HttpTrigger | undefined,
): unknown {
  if (!bytes || bytes.length === 0) return undefined;
  const type = (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (trigger?.body !== undefined || type === 'application/json' || type.endsWith('+json')) {
    return parseBody(bytes);
  }
  return type.startsWith('text/') || type === 'application/x-www-form-urlencoded'
    ? decoder.decode(bytes)
    : bytes;
}

function parseBody(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw new InstanceError('INVALID_INPUT', `The body is not valid JSON: ${(error as Error).message}.`);
  }
}

function streamedBody(stream: AsyncIterable<Uint8Array>): Body {
  return {
    value: stream,
    async bytes() {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      return new Uint8Array(Buffer.concat(chunks));
    },
  };
}

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
  const [, method, url, route, params = {}, query = {}, flatHeaders, clientIp, wireBody] = event;
  const headers: Record<string, string> = {};
  for (let at = 0; at < flatHeaders.length; at += 2) headers[flatHeaders[at]!] = flatHeaders[at + 1]!;
  const body =
    wireBody === true ? streamedBody(stream!) : wholeBody(wireBody, headers['content-type'], trigger);
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
  const headers = text === undefined ? [] : ['content-type', 'application/json'];
  const { method, path } = trigger;
  const event: WireHttp = ['http', method, path, path, undefined, undefined, headers, '127.0.0.1', bytes];
  return createRequest(event, trigger, undefined);
}

function wholeBody(
  body: Uint8Array | string | undefined,
  contentType: string | undefined,
  trigger: HttpTrigger | undefined,
): Body {
  // Its own buffer: those of small Buffers are shared.
  const bytes = async (): Promise<Uint8Array> =>
    typeof body === 'string' ? new Uint8Array(Buffer.from(body, 'latin1')) : (body ?? new Uint8Array(0));
  return { value: bodyValue(body, contentType, trigger), bytes };
}

function bodyValue(
  body: Uint8Array | string | undefined,
  contentType: string | undefined,
  trigger: HttpTrigger | undefined,
): unknown {
  if (!body || body.length === 0) return undefined;
  const type = (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (trigger?.body !== undefined || type === 'application/json' || type.endsWith('+json')) {
    return parseBody(body);
  }
  if (type.startsWith('text/') || type === 'application/x-www-form-urlencoded') return textOf(body);
  return typeof body === 'string' ? new Uint8Array(Buffer.from(body, 'latin1')) : body;
}

const ASCII = /^[\0-\x7f]*$/;

/** Text of one character a byte is the text itself as long as it is ASCII. */
function textOf(body: Uint8Array | string): string {
  if (typeof body !== 'string') return decoder.decode(body);
  return ASCII.test(body) ? body : decoder.decode(Buffer.from(body, 'latin1'));
}

function parseBody(body: Uint8Array | string): unknown {
  try {
    return JSON.parse(textOf(body));
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

import { type Clock, signal } from '../../kernel/index.ts';
import { type HttpAnswer, type HttpRequest, isWhole } from '../http/message.ts';
import { discardRest } from '../http/problem.ts';
import { hasBody } from './body.ts';

export interface EdgeReply {
  readonly statusCode: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined;
}

/** Of the connection, not of the answer (RFC 9110, section 7.6.1), or set by the door itself. */
const NOT_FORWARDED = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te', 'trailer'],
  ...['content-length', 'date', 'traceparent', 'millrace-invocation-id'],
]);

export interface ReplyWriter {
  /** Resolves when the answer is handed to the connection, or the client has gone. */
  write(
    request: HttpRequest,
    response: HttpAnswer,
    reply: EdgeReply,
    extra: readonly string[],
  ): Promise<void> | undefined;
}

/** Sends answers at the pace of their readers; one that takes nothing for `stallMs` is cut off. */
export function createReplyWriter(clock: Clock, stallMs: number): ReplyWriter {
  return {
    write(request, response, reply, extra) {
      if (response.destroyed) return abandon(reply.body);
      const headers = flatHeaders(reply, extra);
      const { statusCode, body } = reply;
      if (body !== undefined && !(body instanceof Uint8Array)) {
        response.writeHead(statusCode, headers);
        return pump(request, response, body, () => drained(response, clock, stallMs));
      }
      if (statusCode !== 204 && statusCode !== 304) {
        headers.push('Content-Length', String(body?.byteLength ?? 0));
      }
      response.writeHead(statusCode, headers);
      if (body && body.byteLength > PIECE_BYTES && request.method !== 'HEAD') {
        return pump(request, response, pieces(body), () => drained(response, clock, stallMs));
      }
      if (request.method === 'HEAD' || body === undefined) response.end();
      else if (body.byteLength > JOINED_BYTES) response.end(body);
      else response.end(latin1(body), 'latin1');
      finishRequest(request);
      if (response.writableLength > 0) void drained(response, clock, stallMs);
      return undefined;
    },
  };
}

/** Larger bodies are handed over in pieces: whether a client still takes something shows between them only. */
const PIECE_BYTES = 128 * 1024;

/** Small bodies go as text of one byte a character: node:http joins that with the head into one write. */
const JOINED_BYTES = 8 * 1024;

function latin1({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
}

async function* pieces(body: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < body.byteLength; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES);
}

function flatHeaders(reply: EdgeReply, extra: readonly string[]): string[] {
  const headers = extra.slice();
  for (const [name, value] of reply.headers) {
    if (!NOT_FORWARDED.has(name.toLowerCase())) headers.push(name, value);
  }
  return headers;
}

async function pump(
  request: HttpRequest,
  response: HttpAnswer,
  body: AsyncIterable<Uint8Array>,
  drain: () => Promise<void>,
): Promise<void> {
  try {
    if (request.method !== 'HEAD') {
      response.flushHeaders();
      for await (const chunk of body) {
        if (response.destroyed) return;
        if (!response.write(chunk)) await drain();
      }
    } else await abandon(body);
    response.end();
    finishRequest(request);
  } catch (error) {
    // The head is out: an answer that is cut short is all that can tell the client.
    response.destroy();
    const message = `An answer to ${request.method} ${request.url?.slice(0, 200)} broke off: ${(error as Error).message}`;
    signal('platform.log', { level: 'warn', room: 'gateway', message });
  }
}

/** A body that nobody will read is closed, so that its handler learns of it. */
async function abandon(body: EdgeReply['body']): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) return;
  for await (const _ of body) return;
}

/** The handler may have answered without reading to the end: what still comes must not stand before the next request. */
function finishRequest(request: HttpRequest): void {
  if (!isWhole(request) && !request.complete && hasBody(request)) discardRest(request, () => undefined);
}

const OVER = ['drain', 'finish', 'close'] as const;

/** Waits until the client has taken what was written; ends the connection when it takes nothing for `stallMs`. */
function drained(response: HttpAnswer, clock: Clock, stallMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { socket } = response;
  const takenBytes = (): number => (socket?.bytesWritten ?? 0) - (socket?.writableLength ?? 0);
  let taken = takenBytes();
  const check = (): void => {
    if (takenBytes() === taken) response.destroy();
    taken = takenBytes();
    timer = clock.after(stallMs, check);
  };
  let timer = clock.after(stallMs, check);
  const done = (): void => {
    timer.cancel();
    for (const event of OVER) response.off(event, done);
    resolve();
  };
  for (const event of OVER) response.on(event, done);
  return promise;
}

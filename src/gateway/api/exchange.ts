import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { MillraceError, type Principal, signal, toProblem } from '../../kernel/index.ts';
import { readBody } from './body.ts';
import type { Setting } from './setting.ts';

/** One request on a hot route and its answer, without a framework. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Decoded values of the path's parameters, in order. */
  readonly params: readonly string[];
  /** What follows the `?`, undecoded; empty when there is none. */
  readonly search: string;
  readonly principal: Principal;
  readonly setting: Setting;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    params: readonly string[],
    search: string,
    principal: Principal,
    setting: Setting,
  ) {
    this.request = request;
    this.response = response;
    this.params = params;
    this.search = search;
    this.principal = principal;
    this.setting = setting;
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /** The whole body, bounded. */
  body(limitBytes: number = this.setting.bodyBytes): Promise<Buffer> {
    return readBody(this.request, limitBytes);
  }

  query(): URLSearchParams {
    return new URLSearchParams(this.search);
  }

  json(status: number, text: string | Uint8Array, headers: OutgoingHttpHeaders = {}): void {
    this.send(status, 'application/json', text, headers);
  }

  send(status: number, type: string, body: string | Uint8Array, headers: OutgoingHttpHeaders = {}): void {
    if (this.response.headersSent) return;
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    this.response.writeHead(status, { 'Content-Type': type, 'Content-Length': length, ...headers });
    this.response.end(this.request.method === 'HEAD' ? undefined : body);
  }
}

/** Answers with problem details; shows what nobody expected to the operator, while the client learns only that there was a fault. */
export function answerError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (!(error instanceof MillraceError)) {
    const message = `${request.method} ${request.url?.slice(0, 200)} met a fault.`;
    signal('platform.log', { level: 'error', room: 'gateway', message, error });
  }
  sendProblem(request, response, error);
}

/** RFC 9457 problem details. When the body was not read to its end the connection ends too. */
export function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = toProblem(error);
  const body = JSON.stringify(problem);
  const unread = !request.complete && hasBody(request);
  response.writeHead(problem.status, {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    ...problemHeaders(error),
    ...(unread ? { Connection: 'close' } : {}),
    ...headers,
  });
  if (request.method !== 'HEAD') response.write(body);
  if (unread) discardRest(request, () => response.end());
  else response.end();
}

function hasBody(request: IncomingMessage): boolean {
  return (
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
  );
}

const MOST_DISCARDED_BYTES = 128 * 1024 * 1024;

/**
 * Closing a socket with unread input makes the kernel reset it, and the peer may lose the answer. So what still comes is
 * thrown away, up to a bound; the server's request timeout bounds the time.
 */
function discardRest(request: IncomingMessage, done: () => void): void {
  let discarded = 0;
  request.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > MOST_DISCARDED_BYTES) request.destroy();
  });
  request.once('end', done);
  request.once('close', done);
  request.resume();
}

/** `Retry-After` in whole seconds where a retry makes sense, and the challenge that a 401 must carry (RFC 9110). */
export function problemHeaders(error: unknown): Record<string, string> {
  if (!(error instanceof MillraceError)) return {};
  const headers: Record<string, string> = {};
  const hasRetry = error.retryAfterMs !== undefined || error.status === 429 || error.status === 503;
  if (hasRetry) headers['Retry-After'] = String(Math.max(1, Math.ceil((error.retryAfterMs ?? 1000) / 1000)));
  if (error.status === 401) headers['WWW-Authenticate'] = 'Bearer realm="millrace"';
  return headers;
}

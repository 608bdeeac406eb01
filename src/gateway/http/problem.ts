import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { MillraceError, signal, toProblem } from '../../kernel/index.ts';
import { type HttpAnswer, type HttpRequest, isWhole } from './message.ts';

/** Answers with problem details; shows what nobody expected to the operator, while the client learns only that there was a fault. */
export function answerError(request: HttpRequest, response: HttpAnswer, error: unknown): void {
  if (!(error instanceof MillraceError)) {
    const message = `${request.method} ${request.url?.slice(0, 200)} met a fault.`;
    signal('platform.log', { level: 'error', room: 'gateway', message, error });
  }
  sendProblem(request, response, error);
}

/** RFC 9457 problem details. When the body was not read to its end the connection ends too. */
export function sendProblem(
  request: HttpRequest,
  response: HttpAnswer,
  error: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = toProblem(error);
  const body = JSON.stringify(problem);
  const unread = !isWhole(request) && !request.complete && hasBody(request);
  response.writeHead(problem.status, {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    ...problemHeaders(error),
    ...(unread ? { Connection: 'close' } : {}),
    ...headers,
  });
  const sent = request.method === 'HEAD' ? undefined : body;
  if (!unread) {
    response.end(sent);
    return;
  }
  if (sent !== undefined) response.write(sent);
  discardRest(request, () => response.end());
}

function hasBody(request: HttpRequest): boolean {
  return (
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
  );
}

const MOST_DISCARDED_BYTES = 128 * 1024 * 1024;

/**
 * Closing a socket with unread input makes the kernel reset it, and the peer may lose the answer. So what still comes is
 * thrown away, up to a bound; the server's request timeout bounds the time.
 */
export function discardRest(request: IncomingMessage, done: () => void): void {
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

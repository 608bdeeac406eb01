import type { Duplex } from 'node:stream';
import { MillraceError, toProblem } from '../../kernel/index.ts';

/** Answers what node:http could not parse, or what came too slowly, and ends the connection. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = toProblem(describe(error));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\n` +
      'Content-Type: application/problem+json\r\n' +
      `Content-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
    // The peer may never read it: do not wait for its half of the connection.
    () => socket.destroy(),
  );
}

/** Answers a connection that was opened and sent nothing. */
export function refuseLate(socket: Duplex): void {
  refuseMalformed(Object.assign(new Error('nothing came'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket);
}

function describe(error: NodeJS.ErrnoException): MillraceError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new MillraceError(
      'HEADERS_TOO_LARGE',
      'The headers are larger than the limit. Send fewer or shorter ones.',
    );
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new MillraceError('REQUEST_TIMEOUT', 'The request did not arrive in time. Send it again, faster.');
  }
  return new MillraceError('BAD_REQUEST', `This is not an HTTP/1.1 request: ${error.message}.`);
}

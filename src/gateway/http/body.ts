import type { IncomingMessage } from 'node:http';
import { MillraceError } from '../../kernel/index.ts';

/**
 * Reads a request's body whole, at most `limitBytes`. Throws PAYLOAD_TOO_LARGE as soon as the length is known to be
 * over it (declared or counted), without holding more than the limit.
 */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const declared = request.headers['content-length'];
  if (declared !== undefined && Number(declared) > limitBytes) return Promise.reject(tooLarge(limitBytes));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let total = 0;
    const onData = (chunk: Buffer): void => {
      total += chunk.length;
      if (total <= limitBytes) {
        chunks.push(chunk);
        return;
      }
      request.off('data', onData);
      reject(tooLarge(limitBytes));
    };
    request.on('data', onData);
    request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, total)));
    request.once('error', () => reject(cutShort()));
    request.once('close', () => {
      if (!request.complete) reject(cutShort());
    });
  });
}

function tooLarge(limitBytes: number): MillraceError {
  return new MillraceError(
    'PAYLOAD_TOO_LARGE',
    `The body is larger than ${limitBytes} bytes. Send less at once, or several requests.`,
  );
}

function cutShort(): MillraceError {
  return new MillraceError(
    'BAD_REQUEST',
    'The connection ended before the whole body had arrived. Send it again.',
  );
}

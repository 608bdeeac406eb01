import type { IncomingMessage } from 'node:http';
import { type Json, LIMITS, MillraceError } from '../../kernel/index.ts';
import { parseJson } from './json.ts';
import type { ApiContext } from './route.ts';

/**
 * Reads a request's body whole, at most `limitBytes`. Throws PAYLOAD_TOO_LARGE as soon as the length is known to be
 * over it (declared or counted), without holding more than the limit.
 */
export function readBody(request: IncomingMessage, limitBytes: number = LIMITS.bodyBytes): Promise<Buffer> {
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

/** The whole body of a request that Hono routes; bounded. */
export function bodyOf(context: ApiContext, limitBytes?: number): Promise<Buffer> {
  return readBody(context.env.incoming, limitBytes);
}

/** The body as JSON; throws BAD_ENCODING, BAD_JSON, PAYLOAD_TOO_LARGE. */
export async function jsonOf(context: ApiContext, limitBytes?: number): Promise<Json> {
  return parseJson(await bodyOf(context, limitBytes));
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

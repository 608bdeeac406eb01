import type { IncomingMessage } from 'node:http';
import { type Clock, MillraceError } from '../../kernel/index.ts';

export interface BodyReader {
  /** The whole body. Throws PAYLOAD_TOO_LARGE while it is read, REQUEST_TIMEOUT, UNAVAILABLE when too many are being read. */
  whole(request: IncomingMessage, limitBytes: number): Promise<Buffer>;
}

export interface BodyReaderOptions {
  readonly clock: Clock;
  /** How long a whole body may take. */
  readonly timeoutMs: number;
  /** What all bodies that are not complete yet may hold together. */
  readonly budgetBytes: number;
}

export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

export function tooLarge(limitBytes: number): MillraceError {
  return new MillraceError(
    'PAYLOAD_TOO_LARGE',
    `The body is larger than the ${limitBytes} bytes that this route takes. Send less.`,
  );
}

/** Reads whole bodies within a budget for all of them: slow clients with large bodies wait for memory, not in it. */
export function createBodyReader({ clock, timeoutMs, budgetBytes }: BodyReaderOptions): BodyReader {
  let held = 0;
  return {
    whole(request, limitBytes) {
      if (Number(request.headers['content-length'] ?? 0) > limitBytes)
        return Promise.reject(tooLarge(limitBytes));
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      const chunks: Buffer[] = [];
      let total = 0;
      const onData = (chunk: Buffer): void => {
        total += chunk.length;
        held += chunk.length;
        if (total > limitBytes) reject(tooLarge(limitBytes));
        else if (held > budgetBytes) reject(busy());
        else chunks.push(chunk);
      };
      const timer = clock.after(timeoutMs, () => reject(late()));
      request.on('data', onData);
      request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, total)));
      request.once('close', () => reject(cutShort()));
      return promise.finally(() => {
        timer.cancel();
        held -= total;
        request.off('data', onData);
      });
    },
  };
}

/** The body as it comes, at the pace of its reader. Throws PAYLOAD_TOO_LARGE once it is over the limit. */
export async function* streamedBody(
  request: IncomingMessage,
  limitBytes: number,
  onFault: (error: MillraceError) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let total = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    total += (chunk as Buffer).length;
    if (total > limitBytes) {
      const error = tooLarge(limitBytes);
      onFault(error);
      throw error;
    }
    yield chunk as Buffer;
  }
}

function busy(): MillraceError {
  const message = 'Too many bodies are arriving at this moment. Send it again.';
  return new MillraceError('UNAVAILABLE', message, { retryAfterMs: 1000 });
}

function late(): MillraceError {
  return new MillraceError('REQUEST_TIMEOUT', 'The body did not arrive in time. Send it again, faster.');
}

function cutShort(): MillraceError {
  return new MillraceError(
    'BAD_REQUEST',
    'The connection ended before the whole body had arrived. Send it again.',
  );
}

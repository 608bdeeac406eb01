import { type Clock, MillraceError } from '../../kernel/index.ts';
import { type HttpRequest, isWhole } from '../http/message.ts';

export interface BodyReader {
  /** The whole body. Throws PAYLOAD_TOO_LARGE while it is read, REQUEST_TIMEOUT, UNAVAILABLE when too many are being read. */
  whole(request: HttpRequest, limitBytes: number): Buffer | Promise<Buffer>;
}

export interface BodyReaderOptions {
  readonly clock: Clock;
  /** How long a whole body may take. */
  readonly timeoutMs: number;
  /** What all bodies that are not complete yet may hold together. */
  readonly budgetBytes: number;
}

export function hasBody(request: HttpRequest): boolean {
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
  const deadlines = createDeadlines(clock, timeoutMs);
  let held = 0;
  return {
    whole(request, limitBytes) {
      if (Number(request.headers['content-length'] ?? 0) > limitBytes)
        return Promise.reject(tooLarge(limitBytes));
      if (isWhole(request)) return request.body;
      return new Promise((resolve, reject) => {
        const chunks: Buffer[] = [];
        let total = 0;
        let ended = false;
        const end = (problem: MillraceError | undefined): void => {
          ended = true;
          deadlines.delete(late);
          held -= total;
          if (problem) {
            request.off('data', onData);
            reject(problem);
          } else resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, total));
        };
        const onData = (chunk: Buffer): void => {
          total += chunk.length;
          held += chunk.length;
          if (total > limitBytes) end(tooLarge(limitBytes));
          else if (held > budgetBytes) end(busy());
          else chunks.push(chunk);
        };
        const onEnd = (): void => {
          if (!ended) end(undefined);
        };
        // An error costs a stack: it is made only where there is one.
        const onClose = (): void => {
          if (!ended) end(cutShort());
        };
        const late = (): void => end(tooLate());
        deadlines.add(late);
        request.on('data', onData).on('end', onEnd).on('close', onClose);
      });
    },
  };
}

interface Deadlines {
  add(expire: () => void): void;
  delete(expire: () => void): void;
}

/** Deadlines of one length share a timer, which is armed for the oldest: most bodies are there before it costs anything. */
function createDeadlines(clock: Clock, afterMs: number): Deadlines {
  const waiting = new Map<() => void, number>();
  let armed = false;
  const arm = (delayMs: number): void => {
    armed = true;
    clock.after(delayMs, () => {
      armed = false;
      const nowMs = clock.monotonic();
      for (const [expire, deadlineMs] of waiting) {
        if (deadlineMs > nowMs) return arm(deadlineMs - nowMs);
        waiting.delete(expire);
        expire();
      }
    });
  };
  return {
    add(expire) {
      waiting.set(expire, clock.monotonic() + afterMs);
      if (!armed) arm(afterMs);
    },
    delete: (expire) => void waiting.delete(expire),
  };
}

/** The body as it comes, at the pace of its reader. Throws PAYLOAD_TOO_LARGE once it is over the limit. */
export async function* streamedBody(
  request: HttpRequest,
  limitBytes: number,
  onFault: (error: MillraceError) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let total = 0;
  const chunks = isWhole(request) ? [request.body] : request.iterator({ destroyOnReturn: false });
  for await (const chunk of chunks) {
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

function tooLate(): MillraceError {
  return new MillraceError('REQUEST_TIMEOUT', 'The body did not arrive in time. Send it again, faster.');
}

function cutShort(): MillraceError {
  return new MillraceError(
    'BAD_REQUEST',
    'The connection ended before the whole body had arrived. Send it again.',
  );
}

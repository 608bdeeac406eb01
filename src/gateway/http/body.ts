import type { IncomingMessage } from 'node:http';
import { MillraceError } from '../../kernel/index.ts';
import { type HttpRequest, isWhole } from './message.ts';

/** Larger bodies are put together while they arrive: at their end that would take milliseconds. */
const LARGE_BODY_BYTES = 256 * 1024;

/**
 * Reads a request's body whole, at most `limitBytes`. Throws PAYLOAD_TOO_LARGE as soon as the length is known to be
 * over it (declared or counted), without holding more than the limit.
 */
export function readBody(request: HttpRequest, limitBytes: number): Buffer | Promise<Buffer> {
  if (!isWhole(request)) return collectBody(request, limitBytes);
  if (request.body.length > limitBytes) throw tooLarge(limitBytes);
  return request.body;
}

function collectBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const declared = request.headers['content-length'];
  if (declared !== undefined && Number(declared) > limitBytes) return Promise.reject(tooLarge(limitBytes));
  return new Promise((resolve, reject) => {
    const whole = Number(declared) > LARGE_BODY_BYTES ? Buffer.allocUnsafeSlow(Number(declared)) : undefined;
    const chunks: Buffer[] = [];
    let total = 0;
    let settled = false;
    const fail = (problem: MillraceError): void => {
      settled = true;
      reject(problem);
    };
    const onData = (chunk: Buffer): void => {
      total += chunk.length;
      if (total <= limitBytes) {
        if (whole) chunk.copy(whole, total - chunk.length);
        else chunks.push(chunk);
        return;
      }
      request.off('data', onData);
      if (!settled) fail(tooLarge(limitBytes));
    };
    const onEnd = (): void => {
      settled = true;
      if (whole) resolve(total === whole.length ? whole : whole.subarray(0, total));
      else resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, total));
    };
    // An error costs a stack: it is made only where there is one.
    const onCutShort = (): void => {
      if (!settled) fail(cutShort());
    };
    // No `once`: its wrappers cost more than the flag.
    request.on('data', onData).on('end', onEnd).on('error', onCutShort).on('close', onCutShort);
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

import { PAYLOAD_LIMIT_BYTES, type Payload, TEXT_LIMIT_BYTES } from '../protocol.ts';
import { PlatformError } from './platform-error.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * A value as JSON for the wire: text while it is small, bytes of their own beyond. Undefined for what JSON leaves out
 * (undefined, a function). Throws what JSON.stringify throws, and PAYLOAD_TOO_LARGE.
 */
export function toPayload(value: unknown, what: string): Payload {
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined || text.length <= TEXT_LIMIT_BYTES) return text;
  // A UTF-16 unit takes at least one byte: what is longer than the limit need not be encoded to know.
  if (text.length > PAYLOAD_LIMIT_BYTES) throw tooLarge(what, text.length);
  const bytes = encoder.encode(text);
  if (bytes.length > PAYLOAD_LIMIT_BYTES) throw tooLarge(what, bytes.length);
  return bytes;
}

export function tooLarge(what: string, sizeBytes: number): PlatformError {
  return new PlatformError(
    'PAYLOAD_TOO_LARGE',
    `${what} has ${sizeBytes} bytes, more than the ${PAYLOAD_LIMIT_BYTES} that are allowed. Put it into a bucket and pass its name.`,
  );
}

export function fromPayload(payload: Payload): unknown {
  if (payload === undefined) return undefined;
  return JSON.parse(typeof payload === 'string' ? payload : decoder.decode(payload));
}

/** The buffers that a message may give away: those that hold nothing but the payload. */
export function transferable(payload: Payload): ArrayBuffer[] | undefined {
  if (typeof payload !== 'object') return undefined;
  const { buffer } = payload;
  return buffer instanceof ArrayBuffer && payload.byteLength === buffer.byteLength ? [buffer] : undefined;
}

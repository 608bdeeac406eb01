import { parseJson } from './json.ts';

/** A task for platform workers: throws BAD_ENCODING or BAD_JSON when the bytes are not one JSON value. */
export function checkJson(bytes: Uint8Array): void {
  parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
}

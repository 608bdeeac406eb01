import type { TaskContext } from '../../kernel/index.ts';
import { parseJson } from './json.ts';

/** A task for platform workers: gives the bytes back. Throws BAD_ENCODING or BAD_JSON when they are not one JSON value. */
export function checkJson(bytes: Uint8Array<ArrayBuffer>, { transfer }: TaskContext): Uint8Array {
  parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  transfer.push(bytes.buffer);
  return bytes;
}

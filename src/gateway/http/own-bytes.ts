/** Bytes that lie alone in their buffer, so that they can be given to another thread: themselves, or a copy. */
export function ownBytes(body: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer, length } = body;
  return buffer instanceof ArrayBuffer && length === buffer.byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(body);
}

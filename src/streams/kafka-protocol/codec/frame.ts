import type { Buffer } from 'node:buffer';
import { isFlexible, requestReader, requestWriter, responseReader, responseWriter } from './compile.ts';
import type { Api, CallOf, RequestOf, ResponseOf } from './fields.ts';
import type { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/**
 * What stands around messages (Kafka protocol guide, "Headers"):
 *
 *   request   size int32, apiKey int16, apiVersion int16, correlationId int32, clientId nullable string of the old
 *             encoding, from the flexible versions on tagged fields, then the message
 *   response  size int32, correlationId int32, from the flexible versions on tagged fields (never for ApiVersions, whose
 *             answer must be readable before versions are known), then the message
 */
export const SIZE_BYTES = 4;
const API_VERSIONS_KEY = 18;

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
}

/** Reads the header up to the client id; what is flexible behind it depends on the API. `reader` is behind the size. */
export function readRequestHeader(reader: Reader): RequestHeader {
  return {
    apiKey: reader.int16(),
    apiVersion: reader.int16(),
    correlationId: reader.int32(),
    clientId: reader.nullableString(false),
  };
}

/** Reads the rest of the header and the message. Throws Malformed. */
export function readRequest<Of extends Api>(reader: Reader, of: Of, version: number): RequestOf<Of> {
  if (isFlexible(of, version)) reader.skipTags();
  return requestReader(of, version)(reader) as RequestOf<Of>;
}

const flexibleHeader = (of: Api, version: number): boolean =>
  isFlexible(of, version) && of.key !== API_VERSIONS_KEY;

function withSize(writer: Writer): Uint8Array[] {
  const sizeBytes = writer.sizeBytes - SIZE_BYTES;
  const chunks = writer.chunks();
  (chunks[0] as Buffer).writeInt32BE(sizeBytes, 0);
  return chunks;
}

/** The response's frame, to be sent one chunk after the other. */
export function writeResponse<Of extends Api>(
  of: Of,
  version: number,
  correlationId: number,
  message: ResponseOf<Of>,
): Uint8Array[] {
  const writer = new Writer();
  writer.int32(0);
  writer.int32(correlationId);
  if (flexibleHeader(of, version)) writer.uvarint(0);
  responseWriter(of, version)(writer, message);
  return withSize(writer);
}

/** The request's frame. */
export function writeRequest<Of extends Api>(
  of: Of,
  version: number,
  header: { readonly correlationId: number; readonly clientId: string | null },
  message: CallOf<Of>,
): Uint8Array[] {
  const writer = new Writer();
  writer.int32(0);
  writer.int16(of.key);
  writer.int16(version);
  writer.int32(header.correlationId);
  writer.nullableString(header.clientId, false);
  if (isFlexible(of, version)) writer.uvarint(0);
  requestWriter(of, version)(writer, message);
  return withSize(writer);
}

/** Reads a response behind its size and correlation id. */
export function readResponse(reader: Reader, of: Api, version: number): unknown {
  if (flexibleHeader(of, version)) reader.skipTags();
  return responseReader(of, version)(reader);
}

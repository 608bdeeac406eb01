import { createHash } from 'node:crypto';
import { MillraceError } from './errors.ts';
import type { ArtifactFile, Manifest } from './manifest.ts';

/** An app as it travels from where it is built to where it runs. */
export interface Artifact {
  readonly manifest: Manifest;
  /** By the path that the manifest gives. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export const ARTIFACT_TYPE = 'application/vnd.millrace.artifact';
/** Several of them, one after the other. */
export const ARTIFACTS_TYPE = 'application/vnd.millrace.artifacts';
export const MOST_ARTIFACT_BYTES = 256 * 1024 * 1024;
const MOST_MANIFEST_BYTES = 32 * 1024 * 1024;

/** SHA-256, lower-case hexadecimal. */
export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

const SMALL_BYTES = 128 * 1024;

/** The same without holding the thread: large content is hashed elsewhere; for small the way there takes longer than the hash. */
export async function sha256Aside(content: Uint8Array): Promise<string> {
  if (content.length <= SMALL_BYTES) return sha256(content);
  const digest = await crypto.subtle.digest('SHA-256', content as Uint8Array<ArrayBuffer>);
  return Buffer.from(digest).toString('hex');
}

/** JSON with the keys of every object sorted: the same value gives the same text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, each]) => `${JSON.stringify(name)}:${canonicalJson(each)}`).join(',')}}`;
}

/** Sixteen hexadecimal digits: the version that a manifest with this content has. */
export function manifestVersion(manifest: Omit<Manifest, 'version' | 'format'>): string {
  const { app, streams, functions, states, models, references, files } = manifest;
  // Without models there is no such field, as in artifacts from before there were any.
  return sha256(canonicalJson({ app, streams, functions, states, models, references, files })).slice(0, 16);
}

/** The artifact in one piece: the manifest's length (4 bytes, big endian), the manifest as JSON, then its files back to back. */
export function packArtifact({ manifest, files }: Artifact): Uint8Array {
  const head = Buffer.from(JSON.stringify(manifest));
  return Buffer.concat([
    lengthBytes(head.length),
    head,
    ...manifest.files.map((file) => files.get(file.path)!),
  ]);
}

/** Several artifacts in one piece: each with its length (4 bytes, big endian) in front. */
export function packArtifacts(artifacts: readonly Artifact[]): Uint8Array {
  return Buffer.concat(artifacts.map(packArtifact).flatMap((packed) => [lengthBytes(packed.length), packed]));
}

/** Throws BAD_REQUEST. */
export function splitArtifacts(packed: Uint8Array): readonly Uint8Array[] {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 <= bytes.length ? at + 4 + bytes.readUInt32BE(at) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) throw malformed('the last of several is cut off');
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return parts;
}

function lengthBytes(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

function malformed(what: string, cause?: unknown): MillraceError {
  const message = `This is not an artifact of an app: ${what}. Deploy with 'millrace deploy'.`;
  return new MillraceError('BAD_REQUEST', message, { cause });
}

/** Takes a packed artifact apart, without judging the manifest. Throws BAD_REQUEST. */
export function unpackArtifact(packed: Uint8Array): { manifest: unknown; body: Uint8Array } {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  if (bytes.length < 4) throw malformed('it is shorter than its head');
  const length = bytes.readUInt32BE(0);
  if (length > MOST_MANIFEST_BYTES || 4 + length > bytes.length) throw malformed('its manifest is cut off');
  try {
    return { manifest: JSON.parse(bytes.toString('utf8', 4, 4 + length)), body: bytes.subarray(4 + length) };
  } catch (cause) {
    throw malformed('its manifest is not JSON', cause);
  }
}

/** Cuts the files out of an unpacked body. Throws BAD_REQUEST when the lengths do not add up. */
export function sliceFiles(
  files: readonly ArtifactFile[],
  body: Uint8Array,
): ReadonlyMap<string, Uint8Array> {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  if (total !== body.length) throw malformed(`its files take ${total} bytes, and ${body.length} came`);
  let at = 0;
  return new Map(files.map((file) => [file.path, body.subarray(at, (at += file.bytes))]));
}

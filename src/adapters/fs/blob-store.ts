import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  type BlobInfo,
  type BlobStore,
  blobNotFound,
  checkBlobKey,
  checkBlobRange,
  MillraceError,
} from '../../kernel/index.ts';

/**
 * Blobs as files. Layout of the folder:
 *
 *   blobs/<segment>/…/<segment>~     the segments of the key; `~` cannot be in a key, so a blob `a` and a blob `a/b`
 *                                    are the file `a~` and the folder `a`
 *   incoming/<number>                what is being written
 *
 * A file is the content followed by a trailer of 40 bytes, so that one rename publishes both together:
 *
 *   content | SHA-256 of the content (32 bytes) | 'MRBLOB1\n' (8 bytes)
 */
const MAGIC = Buffer.from('MRBLOB1\n');
const TRAILER_BYTES = 32 + MAGIC.length;
const CHUNK_BYTES = 256 * 1024;
const SUFFIX = '~';

/** What the operating system reports, as the errors that cross the wall. */
function toBlobError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (error instanceof MillraceError || typeof (error as { errno?: unknown })?.errno !== 'number')
    return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new MillraceError(
      'DISK_FULL',
      'The disk is full: the blob was not stored. Free some space and retry.',
    );
  }
  return new MillraceError('DISK_FAILED', `The disk reported an error (${code}). Check the disk.`, {
    cause: error,
  });
}

const isAbsent = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

/**
 * Syncs of folders, where those who ask while one runs share the next: a sync makes durable what was renamed before it began,
 * and a deployment renames thousands of files into one folder.
 */
function createFolderSync(): (folder: string) => Promise<void> {
  const running = new Map<string, Promise<void>>();
  const next = new Map<string, Promise<void>>();
  const begin = (folder: string): Promise<void> => {
    const sync = syncFolder(folder).finally(() => {
      if (running.get(folder) === sync) running.delete(folder);
    });
    running.set(folder, sync);
    return sync;
  };
  return (folder) => {
    const current = running.get(folder);
    if (!current) return begin(folder);
    const waiting = next.get(folder);
    if (waiting) return waiting;
    const after = (): Promise<void> => {
      next.delete(folder);
      return begin(folder);
    };
    const shared = current.then(after, after);
    next.set(folder, shared);
    return shared;
  };
}

/** Makes the folder and makes every new name on the way to it durable. */
async function ensureFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let current = folder; current.length >= first.length; current = dirname(current)) {
    await syncFolder(dirname(current));
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await handle.write(bytes, done)).bytesWritten;
}

async function writeContent(
  handle: FileHandle,
  source: AsyncIterable<Uint8Array>,
  hash: Hash,
): Promise<void> {
  for await (const chunk of source) {
    hash.update(chunk);
    await writeAll(handle, chunk);
  }
}

/** Content at hand leaves in one piece with its trailer. */
async function writeWhole(handle: FileHandle, content: Uint8Array, hash: Hash): Promise<Buffer> {
  const digest = hash.update(content).digest();
  if (content.length <= CHUNK_BYTES) await writeAll(handle, Buffer.concat([content, digest, MAGIC]));
  else {
    await writeAll(handle, content);
    await writeAll(handle, Buffer.concat([digest, MAGIC]));
  }
  return digest;
}

async function readExactly(handle: FileHandle, start: number, length: number): Promise<Buffer> {
  const target = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(target, done, length - done, start + done);
    if (bytesRead === 0)
      throw new MillraceError('DATA_DAMAGED', 'A blob ended early. Restore it from a backup.');
    done += bytesRead;
  }
  return target;
}

async function readInfo(handle: FileHandle, key: string): Promise<BlobInfo> {
  const { size, mtimeMs } = await handle.stat();
  const bytes = size - TRAILER_BYTES;
  const trailer = bytes >= 0 ? await readExactly(handle, bytes, TRAILER_BYTES) : Buffer.alloc(0);
  if (!trailer.subarray(32).equals(MAGIC)) {
    throw new MillraceError(
      'DATA_DAMAGED',
      `The blob '${key}' has no valid trailer. Restore it from a backup.`,
    );
  }
  return { key, bytes, sha256: trailer.toString('hex', 0, 32), modifiedMs: Math.floor(mtimeMs) };
}

/** The keys below `folder` in order; `prefix` is the key of the folder, with a slash unless it is the root. */
async function* walk(folder: string, prefix: string, wanted: string, after: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw error;
  });
  // A folder sorts as its name and a slash, since that is how the keys below it begin.
  const named = entries.map((entry) => ({
    folder: entry.isDirectory(),
    name: entry.name,
    key: `${prefix}${entry.isDirectory() ? `${entry.name}/` : entry.name.slice(0, -SUFFIX.length)}`,
  }));
  named.sort((a, b) => (a.key < b.key ? -1 : 1));
  for (const { folder: isFolder, name, key } of named) {
    if (!isFolder && key.startsWith(wanted) && key > after) yield key;
    const related = key.startsWith(wanted) || wanted.startsWith(key);
    const behind = key < after && !after.startsWith(key);
    if (isFolder && related && !behind) yield* walk(join(folder, name), key, wanted, after);
  }
}

/** Writes the content and its trailer to a new file and makes both durable. */
async function writeBlob(
  path: string,
  source: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<Omit<BlobInfo, 'key'>> {
  await using handle = await open(path, 'wx');
  const hash = createHash('sha256');
  let digest: Buffer;
  if (source instanceof Uint8Array) digest = await writeWhole(handle, source, hash);
  else {
    await writeContent(handle, source, hash);
    digest = hash.digest();
    await writeAll(handle, Buffer.concat([digest, MAGIC]));
  }
  await handle.sync();
  const { size, mtimeMs } = await handle.stat();
  return {
    bytes: size - TRAILER_BYTES,
    sha256: digest.toString('hex'),
    modifiedMs: Math.floor(mtimeMs),
  };
}

/** Its folder is mostly there. */
async function moveInto(temporary: string, target: string): Promise<void> {
  try {
    await rename(temporary, target);
  } catch (error) {
    if (!isAbsent(error)) throw error;
    await ensureFolder(dirname(target));
    await rename(temporary, target);
  }
}

/** The blob store on a folder of the local file system, which belongs to this store alone. */
export function fsBlobStore({ folder }: { readonly folder: string }): BlobStore {
  return new FsBlobStore(folder);
}

class FsBlobStore implements BlobStore {
  readonly name = 'blobs';
  readonly #root: string;
  readonly #incoming: string;
  #prepared: Promise<void> | undefined;
  readonly #syncFolder = createFolderSync();
  #count = 0;

  constructor(folder: string) {
    this.#root = join(folder, 'blobs');
    this.#incoming = join(folder, 'incoming');
  }

  start(): Promise<void> {
    return (this.#prepared ??= this.#prepare());
  }

  async put(key: string, source: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo> {
    const target = this.#pathOf(key);
    await this.start();
    const temporary = join(this.#incoming, String(this.#count++));
    try {
      const written = await writeBlob(temporary, source);
      await moveInto(temporary, target);
      await this.#syncFolder(dirname(target));
      return { key, ...written };
    } catch (error) {
      await rm(temporary, { force: true });
      throw toBlobError(error);
    }
  }

  async get(key: string, range?: { readonly start: number; readonly end?: number }): Promise<Uint8Array> {
    await using handle = await this.#open(key);
    const { start, end } = checkBlobRange(range, (await readInfo(handle, key)).bytes);
    return await readExactly(handle, start, end - start);
  }

  async *stream(key: string): AsyncGenerator<Uint8Array> {
    await using handle = await this.#open(key);
    const { bytes } = await readInfo(handle, key);
    for (let start = 0; start < bytes; start += CHUNK_BYTES) {
      yield await readExactly(handle, start, Math.min(CHUNK_BYTES, bytes - start));
    }
  }

  async info(key: string): Promise<BlobInfo | undefined> {
    try {
      await using handle = await this.#open(key);
      return await readInfo(handle, key);
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'BLOB_NOT_FOUND') return undefined;
      throw toBlobError(error);
    }
  }

  async list(
    prefix: string,
    { after = '', limit = 1000 }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly BlobInfo[]> {
    const found: BlobInfo[] = [];
    for await (const key of walk(this.#root, '', prefix, after)) {
      const blob = await this.info(key);
      if (blob) found.push(blob);
      if (found.length >= limit) break;
    }
    return found;
  }

  async delete(key: string): Promise<void> {
    const path = this.#pathOf(key);
    try {
      await rm(path);
      await this.#syncFolder(dirname(path));
    } catch (error) {
      if (!isAbsent(error)) throw toBlobError(error);
    }
  }

  /** What a crash left half written goes. */
  async #prepare(): Promise<void> {
    await rm(this.#incoming, { recursive: true, force: true });
    await ensureFolder(this.#incoming);
    await ensureFolder(this.#root);
  }

  #pathOf(key: string): string {
    checkBlobKey(key);
    return join(this.#root, ...dirname(key).split('/'), `${basename(key)}${SUFFIX}`);
  }

  async #open(key: string): Promise<FileHandle> {
    const path = this.#pathOf(key);
    try {
      return await open(path, 'r');
    } catch (error) {
      throw isAbsent(error) ? blobNotFound(key) : toBlobError(error);
    }
  }
}

import * as fs from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { MillraceError } from '../../kernel/index.ts';
import type { Disk, DiskFile } from '../../streams/disk.port.ts';

/** The `Disk` port on the folder `root` of a real file system; `root` is made when absent. */
export function fsDisk(root: string): Disk {
  const at = (path: string): string => inside(root, path);
  const attempt = <Result>(what: string, path: string, work: () => Promise<Result>): Promise<Result> =>
    Promise.try(work).catch((error) => Promise.reject(diskError(error, `${what} '${path}' in ${root}`)));

  const disk: Disk = {
    open: (path, options = {}) => attempt('open', path, () => openFile(root, path, options.create ?? false)),
    read: (path) => attempt('read', path, () => readWhole(at(path))),
    replace: (path, content) =>
      attempt('replace', path, async () => {
        await makeFolders(root, dirname(path));
        const temporary = `${at(path)}.tmp`;
        await writeWhole(temporary, content);
        await rename(temporary, at(path));
        await syncFolder(dirname(at(path)));
      }),
    list: (folder) => attempt('list', folder, () => listFolder(at(folder))),
    remove: (path) => attempt('remove', path, () => rm(at(path), { force: true })),
    removeFolder: (path) => attempt('remove', path, () => rm(at(path), { force: true, recursive: true })),
    rename: (from, to) => attempt('rename', from, () => rename(at(from), at(to))),
    syncFolder: (folder) => attempt('sync the folder', folder, () => syncFolder(at(folder))),
  };
  return disk;
}

/** ENOSPC and EDQUOT become DISK_FULL, everything else DISK_FAILED; the system's own error is the cause. */
function diskError(error: unknown, what: string): MillraceError {
  if (error instanceof MillraceError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const remedy =
      'Free space on that disk or shorten the retention of streams; writing goes on when there is space.';
    return new MillraceError('DISK_FULL', `No space left to ${what}. ${remedy}`, { cause: error });
  }
  const remedy = "Check the disk and the system's log, then start again.";
  return new MillraceError('DISK_FAILED', `Could not ${what}: ${code ?? message}. ${remedy}`, {
    cause: error,
  });
}

function inside(root: string, path: string): string {
  const clean = normalize(path);
  if (isAbsolute(clean) || clean === '..' || clean.startsWith(`..${sep}`)) {
    throw new MillraceError('BAD_REQUEST', `'${path}' lies outside the folder. Use a path inside it.`);
  }
  return join(root, clean);
}

async function readWhole(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeWhole(path: string, content: Uint8Array): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.writeFile(content);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

async function listFolder(path: string) {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const described = entries.map(async (entry) => {
    const folder = entry.isDirectory();
    const bytes = folder ? 0 : (await fs.promises.stat(join(path, entry.name))).size;
    return { name: entry.name, bytes, folder };
  });
  return (await Promise.all(described)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder as a file; NTFS journals its names by itself.
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes `folder` and what is above it, and makes those names durable. */
async function makeFolders(root: string, folder: string): Promise<void> {
  const path = inside(root, folder);
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  const top = dirname(first);
  for (let current = path; current !== top; current = dirname(current)) await syncFolder(dirname(current));
}

async function openFile(root: string, path: string, create: boolean): Promise<DiskFile> {
  if (create) await makeFolders(root, dirname(path));
  const flags = fs.constants.O_RDWR | (create ? fs.constants.O_CREAT : 0);
  return fileOf(await openDescriptor(inside(root, path), flags), path, root);
}

function openDescriptor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) =>
    fs.open(path, flags, 0o644, (error, descriptor) => (error ? reject(error) : resolve(descriptor))),
  );
}

/**
 * Linux writes through to the disk with this flag, and flushes the disk's cache: what `fdatasync` does, without another
 * way to the thread pool and back. Elsewhere the flag promises less than `fdatasync` (macOS leaves the disk's cache alone).
 */
const WRITES_DURABLY = process.platform === 'linux' ? fs.constants.O_DSYNC : undefined;

function fileOf(descriptor: number, path: string, root: string): DiskFile {
  // Callbacks instead of FileHandle: this is the hot path of every append and every read.
  const call = <Result>(
    what: string,
    start: (done: (error: NodeJS.ErrnoException | null, result?: Result) => void) => void,
  ): Promise<Result> =>
    new Promise((resolve, reject) =>
      start((error, result) =>
        error ? reject(diskError(error, `${what} '${path}' in ${root}`)) : resolve(result as Result),
      ),
    );
  const readOnce = (target: Uint8Array, from: number, position: number): Promise<number> =>
    call('read', (done) => fs.read(descriptor, target, from, target.length - from, position, done));
  const writeTo = async (to: number, buffers: readonly Uint8Array[], position: number): Promise<void> => {
    let rest = buffers;
    while (rest.length > 0) {
      const written = await call<number>('write', (done) => fs.writev(to, rest, position, done));
      position += written;
      rest = dropBytes(rest, written);
    }
  };
  const sync = (): Promise<void> => call('sync', (done) => fs.fdatasync(descriptor, done));
  let durable: Promise<number> | undefined;
  const openDurable = (flag: number): Promise<number> =>
    openDescriptor(inside(root, path), fs.constants.O_RDWR | flag).catch((error) =>
      Promise.reject(diskError(error, `open '${path}' in ${root}`)),
    );

  return {
    path,
    async read(target, position) {
      let done = 0;
      while (done < target.length) {
        const count = await readOnce(target, done, position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    },
    write: (buffers, position) => writeTo(descriptor, buffers, position),
    async writeDurably(buffers, position) {
      if (WRITES_DURABLY === undefined) {
        await writeTo(descriptor, buffers, position);
        await sync();
        return;
      }
      durable ??= openDurable(WRITES_DURABLY);
      await writeTo(await durable, buffers, position);
    },
    sync,
    truncate: (bytes) => call('resize', (done) => fs.ftruncate(descriptor, bytes, done)),
    size: async () => (await call<fs.Stats>('measure', (done) => fs.fstat(descriptor, done))).size,
    async close() {
      const second = await durable?.catch(() => undefined);
      for (const one of second === undefined ? [descriptor] : [descriptor, second]) {
        await call('close', (done) => fs.close(one, done));
      }
    },
  };
}

/** What is left of `buffers` after a write took its first `bytes`; a system call may take fewer than it was given. */
function dropBytes(buffers: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let index = 0;
  while (index < buffers.length && bytes >= buffers[index]!.length) bytes -= buffers[index++]!.length;
  if (index === buffers.length) return [];
  return [buffers[index]!.subarray(bytes), ...buffers.slice(index + 1)];
}

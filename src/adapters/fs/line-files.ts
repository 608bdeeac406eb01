import { type FileHandle, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError } from '../../kernel/index.ts';

/**
 * Lines in files of bounded size, in the order in which they were appended: `<number>-<time>[-back].lines`, where time
 * is that of the first append and `back` says that the clock had gone back, so that the file before may reach beyond it.
 * Nothing is synced but at an orderly stop; a line that a crash tore is ended by the next start and read by nobody.
 */
export interface LineFiles {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Whole lines, each with its line feed. */
  append(timeMs: number, text: string): Promise<void>;
  /** Lines that may have been appended in [fromMs, toMs), a minute more on both sides, in pieces. */
  read(fromMs: number, toMs: number, newestFirst?: boolean): AsyncGenerator<readonly string[]>;
}

export interface LineFilesOptions {
  readonly folder: string;
  readonly mostBytes: number;
  readonly fileBytes: number;
  /** Files whose successor is older than this go; for ever if left out. */
  readonly mostAgeMs?: number;
}

interface LineFile {
  readonly number: number;
  readonly firstMs: number;
  readonly back: boolean;
  readonly path: string;
  bytes: number;
}

const SLACK_MS = 60_000;
/** Lines between two turns of the event loop. */
const PIECE_LINES = 200;
const NAME = /^(\d{10})-(-?\d+)(-back)?\.lines$/;

export function lineFiles(options: LineFilesOptions): LineFiles {
  return new BoundedLineFiles(options);
}

class BoundedLineFiles implements LineFiles {
  readonly #options: LineFilesOptions;
  readonly #files: LineFile[] = [];
  #handle: FileHandle | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(options: LineFilesOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true }).catch(rethrow);
    for (const name of (await readdir(folder)).sort()) {
      const match = NAME.exec(name);
      if (!match) continue;
      const path = join(folder, name);
      const { size } = await stat(path);
      const [, number, firstMs, back] = match;
      this.#files.push({ number: Number(number), firstMs: Number(firstMs), back: !!back, path, bytes: size });
    }
    const last = this.#files.at(-1);
    if (last) await this.#continue(last);
    await this.#dropOldest(0, this.#lastMs);
  }

  async stop(): Promise<void> {
    await this.#handle?.datasync().catch(() => undefined);
    await this.#close();
  }

  async append(timeMs: number, text: string): Promise<void> {
    const bytes = Buffer.byteLength(text);
    try {
      const file = await this.#fileFor(timeMs, bytes);
      await this.#dropOldest(bytes, timeMs);
      await this.#handle!.appendFile(text);
      file.bytes += bytes;
      this.#lastMs = Math.max(timeMs, this.#lastMs);
    } catch (error) {
      // What was written in part is ended with the next file.
      await this.#close();
      rethrow(error);
    }
  }

  async *read(fromMs: number, toMs: number, newestFirst = false): AsyncGenerator<readonly string[]> {
    const files = this.#files.filter((file, index) => {
      const next = this.#files[index + 1];
      const endMs = next && !next.back ? next.firstMs : Number.POSITIVE_INFINITY;
      return file.firstMs - SLACK_MS < toMs && endMs + SLACK_MS >= fromMs;
    });
    for (const file of newestFirst ? files.reverse() : files) {
      const lines = (await readWhole(file.path)).split('\n').filter((line) => line !== '');
      if (newestFirst) lines.reverse();
      for (let at = 0; at < lines.length; at += PIECE_LINES) {
        yield lines.slice(at, at + PIECE_LINES);
        await nextTurn();
      }
    }
  }

  async #fileFor(timeMs: number, bytes: number): Promise<LineFile> {
    const last = this.#files.at(-1);
    const back = timeMs < this.#lastMs - SLACK_MS;
    const fits = last !== undefined && last.bytes + bytes <= this.#options.fileBytes;
    if (this.#handle && last && (fits || last.bytes === 0) && !back) return last;
    await this.#close();
    const number = (last?.number ?? 0) + 1;
    const name = `${String(number).padStart(10, '0')}-${Math.floor(timeMs)}${back ? '-back' : ''}.lines`;
    const path = join(this.#options.folder, name);
    this.#handle = await open(path, 'a');
    const file = { number, firstMs: Math.floor(timeMs), back, path, bytes: 0 };
    this.#files.push(file);
    this.#lastMs = timeMs;
    return file;
  }

  /** Goes on in the newest file; a torn last line is ended. */
  async #continue(file: LineFile): Promise<void> {
    this.#handle = await open(file.path, 'a+').catch(rethrow);
    this.#lastMs = Math.max(file.firstMs, (await this.#handle.stat()).mtimeMs);
    if (file.bytes === 0) return;
    const end = Buffer.alloc(1);
    await this.#handle.read(end, 0, 1, file.bytes - 1);
    if (end[0] === 0x0a) return;
    await this.#handle.appendFile('\n');
    file.bytes++;
  }

  async #dropOldest(incoming: number, nowMs: number): Promise<void> {
    const { mostBytes, mostAgeMs = Number.POSITIVE_INFINITY } = this.#options;
    let total = incoming + this.#files.reduce((sum, file) => sum + file.bytes, 0);
    while (this.#files.length > 1) {
      const [oldest, next] = this.#files as [LineFile, LineFile];
      const isOld = !next.back && nowMs - next.firstMs > mostAgeMs;
      if (total <= mostBytes && !isOld) return;
      this.#files.shift();
      total -= oldest.bytes;
      await rm(oldest.path, { force: true });
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}

/** Empty for a file that was dropped while it was to be read. */
async function readWhole(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    return rethrow(error);
  }
}

function rethrow(error: unknown): never {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    throw new MillraceError(
      'DISK_FULL',
      'The disk is full: samples and logs are not stored. Free some space.',
      {
        cause: error,
      },
    );
  }
  throw new MillraceError('DISK_FAILED', `The disk reported an error (${code}). Check the disk.`, {
    cause: error,
  });
}

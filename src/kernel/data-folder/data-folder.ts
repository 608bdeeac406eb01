import { mkdir, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import { MillraceError } from '../errors.ts';
import { LOCK_FILE, lockFolder } from './lock.ts';
import { type Migration, migrate, readFormat, recoverMigration, writeFormat } from './migrate.ts';

/** The format before the first migration. */
const FIRST_FORMAT = 1;

/** The data folder, open and locked. Each room has a folder of its own in it. */
export interface DataFolder {
  /** Absolute. */
  readonly path: string;
  readonly format: number;
  /** The folder of a room, made when it is not there. */
  folder(name: string): Promise<string>;
  /** The path of a file directly in the folder. */
  file(name: string): string;
  /** Gives the lock back. */
  close(): void;
}

/** A folder that holds other things is not ours to write into. */
async function refuseForeign(path: string): Promise<void> {
  const names = await readdir(path);
  if (names.length === 0 || names.includes(LOCK_FILE) || names.includes('format')) return;
  const message =
    `${path} holds other files and is no data folder of Millrace. ` +
    'Name an empty folder, or one that does not exist yet, with --data.';
  throw new MillraceError('DATA_FOLDER_FORMAT', message);
}

async function bringUpToDate(path: string, migrations: readonly Migration[]): Promise<number> {
  const newest = migrations.at(-1)?.to ?? FIRST_FORMAT;
  await recoverMigration(path);
  const format = await readFormat(path);
  if (format === undefined) {
    await writeFormat(path, newest);
    return newest;
  }
  if (!(format >= FIRST_FORMAT && format <= newest)) {
    const message =
      `The data folder ${path} has format ${format}; this version of Millrace reads up to ${newest}. ` +
      'Install a newer Millrace, or choose another folder with --data.';
    throw new MillraceError('DATA_FOLDER_FORMAT', message);
  }
  for (const migration of migrations) if (migration.to > format) await migrate(path, migration);
  return newest;
}

/**
 * Opens the data folder: makes it, locks it, and brings it to the newest format. Throws DATA_FOLDER_LOCKED while another
 * program has it, DATA_FOLDER_FORMAT when it is newer than this version or not a data folder at all.
 */
export async function openDataFolder(options: {
  readonly path: string;
  readonly clock: Clock;
  /** In order, each `to` one higher than the last; the first leads from format 1 to 2. */
  readonly migrations?: readonly Migration[];
}): Promise<DataFolder> {
  const path = resolve(options.path);
  await mkdir(path, { recursive: true, mode: 0o700 });
  await refuseForeign(path);
  const lock = await lockFolder(path, options.clock);
  try {
    const format = await bringUpToDate(path, options.migrations ?? []);
    return {
      path,
      format,
      async folder(name) {
        await mkdir(join(path, name), { recursive: true });
        return join(path, name);
      },
      file: (name) => join(path, name),
      close: () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

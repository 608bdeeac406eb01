import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../clock.ts';
import { MillraceError } from '../errors.ts';
import { readText, replaceFile } from './files.ts';

/** The file whose lock counts, and the file that tells people who holds it. */
export const LOCK_FILE = 'lock';
const HOLDER_FILE = 'lock.json';

export interface FolderLock {
  release(): void;
}

async function holderText(folder: string): Promise<string> {
  try {
    const { pid, sinceMs } = JSON.parse((await readText(join(folder, HOLDER_FILE))) ?? '');
    return ` (process ${pid}, since ${new Date(sinceMs).toISOString()})`;
  } catch {
    return ''; // The holder has not written its name yet: the lock alone decides.
  }
}

async function lockedError(folder: string): Promise<MillraceError> {
  const message =
    `Another program${await holderText(folder)} uses the data folder ${folder}. ` +
    'Stop it, or choose another folder with --data.';
  return new MillraceError('DATA_FOLDER_LOCKED', message);
}

/**
 * Locks the folder for this process. Node has no flock; SQLite does lock its files with the operating system's own
 * locks, which vanish with the process that held them, however it ended: no lock can be stale, and a process id that is
 * used again cannot be mistaken for the holder. Throws DATA_FOLDER_LOCKED.
 */
export async function lockFolder(folder: string, clock: Clock): Promise<FolderLock> {
  const database = new DatabaseSync(join(folder, LOCK_FILE));
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    const busy = ((error as { errcode?: number }).errcode ?? 0) & 0xff;
    if (busy !== 5) throw error;
    throw await lockedError(folder);
  }
  const holder = { pid: process.pid, sinceMs: clock.now() };
  await replaceFile(join(folder, HOLDER_FILE), `${JSON.stringify(holder)}\n`);
  return { release: () => database.close() };
}

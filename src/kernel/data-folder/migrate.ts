import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readText, replaceFile, syncFolder } from './files.ts';

/** What a migration wants changed, by paths inside the data folder. */
export type MigrationStep =
  | { readonly replace: string; readonly staged: string }
  | { readonly remove: string };

/**
 * From the format before to `to`. `prepare` reads `folder`, writes what is new into `staging` and names the steps; it
 * changes nothing else.
 */
export interface Migration {
  readonly to: number;
  readonly title: string;
  prepare(folder: string, staging: string): Promise<readonly MigrationStep[]>;
}

const STAGING = 'migration';
const JOURNAL = 'migration.json';
const FORMAT = 'format';

interface Journal {
  readonly to: number;
  readonly steps: readonly MigrationStep[];
}

const isAbsent = (error: NodeJS.ErrnoException): boolean => error.code === 'ENOENT';

/** Steps can be done again: one that was done finds its staged file gone. */
async function applyStep(folder: string, step: MigrationStep): Promise<void> {
  if ('remove' in step) {
    await rm(join(folder, step.remove), { recursive: true, force: true });
    return;
  }
  const target = join(folder, step.replace);
  await mkdir(dirname(target), { recursive: true });
  await rename(join(folder, STAGING, step.staged), target).catch((error: NodeJS.ErrnoException) => {
    if (!isAbsent(error)) throw error;
  });
  await syncFolder(dirname(target));
}

/** The format that the folder has; undefined before its first. */
export async function readFormat(folder: string): Promise<number | undefined> {
  const text = await readText(join(folder, FORMAT));
  return text === undefined ? undefined : Number.parseInt(text, 10);
}

export async function writeFormat(folder: string, format: number): Promise<void> {
  await replaceFile(join(folder, FORMAT), `${format}\n`);
}

/**
 * Finishes what a crash interrupted: once the journal is written the migration happens whatever comes; before that,
 * nothing has happened.
 */
export async function recoverMigration(folder: string): Promise<void> {
  const text = await readText(join(folder, JOURNAL));
  if (text !== undefined) {
    const journal = JSON.parse(text) as Journal;
    for (const step of journal.steps) await applyStep(folder, step);
    await writeFormat(folder, journal.to);
    await rm(join(folder, JOURNAL));
    await syncFolder(folder);
  }
  await rm(join(folder, STAGING), { recursive: true, force: true });
}

/** Runs one migration so that a crash leaves the old format or the new one, each whole. */
export async function migrate(folder: string, migration: Migration): Promise<void> {
  const staging = join(folder, STAGING);
  await mkdir(staging);
  const steps = await migration.prepare(folder, staging);
  await syncFolder(staging);
  const journal: Journal = { to: migration.to, steps };
  await replaceFile(join(folder, JOURNAL), JSON.stringify(journal));
  await recoverMigration(folder);
}

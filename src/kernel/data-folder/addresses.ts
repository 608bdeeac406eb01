import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from './files.ts';

/**
 * Tells programs on this machine where the platform that runs on the folder listens:
 * `{"pid":1,"edge":"http://…"|null,"api":"http://…"|null,…}`. A file whose process is gone means nothing.
 */
const ADDRESSES_FILE = 'addresses.json';

/** Readable by the owner alone: who may read the folder may find the doors. */
export async function writeAddresses(
  folder: string,
  addresses: { readonly [door: string]: string | null },
): Promise<void> {
  const content = `${JSON.stringify({ pid: process.pid, ...addresses })}\n`;
  await replaceFile(join(folder, ADDRESSES_FILE), content, 0o600);
}

export async function removeAddresses(folder: string): Promise<void> {
  await rm(join(folder, ADDRESSES_FILE), { force: true });
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const DEFAULT_URL = 'http://127.0.0.1:7401';

interface Options {
  readonly options: { readonly [name: string]: { readonly value?: string } };
}

/** Where the platform is: `--url`, then MILLRACE_URL, then what runs on the data folder, then the default. */
export function platformUrl(
  command: Options,
  values: { readonly [option: string]: string | boolean | undefined },
): string {
  const { MILLRACE_URL, MILLRACE_DATA } = process.env;
  if (typeof values.url === 'string') return values.url;
  if (MILLRACE_URL) return MILLRACE_URL;
  const given = takesFolder(command) ? values.data : undefined;
  const folder = typeof given === 'string' ? given : MILLRACE_DATA || '.millrace';
  return runningOn(folder) ?? DEFAULT_URL;
}

/** For some commands `--data` is what they send. */
function takesFolder({ options }: Options): boolean {
  return options.data === undefined || options.data.value === 'DIR';
}

/** The API address of the platform that runs on the folder; undefined when none does, or it has closed that door. */
function runningOn(folder: string): string | undefined {
  try {
    // The kernel's data folder writes it.
    const told = JSON.parse(readFileSync(join(folder, 'addresses.json'), 'utf8')) as {
      readonly pid: number;
      readonly api: string | null;
    };
    return isAlive(told.pid) ? (told.api ?? undefined) : undefined;
  } catch {
    return undefined; // No platform has run there, or the folder is another user's: nothing is known.
  }
}

/** A process of another user may not be signalled, but is there. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

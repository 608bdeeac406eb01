import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MillraceError } from '../kernel/index.ts';

/** The folder of the nearest package.json above `path`, or undefined. */
export function packageFolder(path: string): string | undefined {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

/** `@acme/intake` → `acme.intake`: names of apps are plain, because they stand in addresses and keys. */
const plainName = (name: string): string => name.replace(/^@/, '').replaceAll('/', '.');

/** What can be the name of a stream, function, state or app; undefined when `name` can. */
export function nameProblem(name: string): string | undefined {
  if (name.startsWith('millrace.'))
    return "is the platform's own; names that begin with 'millrace.' are kept for it.";
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(name)) return undefined;
  return "cannot be a name; use up to 200 letters, digits, '.', '_' and '-', with a letter or digit first.";
}

export interface AppIdentity {
  readonly name: string;
  /** Folder that paths are told relative to: of the package.json, or of the module. */
  readonly root: string;
}

/** An app is called what the caller says, else what its package.json says, else as its folder. Throws APP_INVALID. */
export function identifyApp(entry: string, name?: string): AppIdentity {
  const folder = packageFolder(entry);
  const root = folder ?? dirname(entry);
  const found = name ?? (folder === undefined ? undefined : packageName(folder)) ?? basename(root);
  const problem = nameProblem(plainName(found));
  if (problem !== undefined) {
    throw new MillraceError('APP_INVALID', `The app's name '${found}' ${problem} Name it with --app.`);
  }
  return { name: plainName(found), root };
}

function packageName(folder: string): string | undefined {
  const path = join(folder, 'package.json');
  try {
    const { name } = JSON.parse(readFileSync(path, 'utf8')) as { name?: unknown };
    return typeof name === 'string' && name !== '' ? name : undefined;
  } catch (cause) {
    const message = `${path} is not valid JSON: ${(cause as Error).message}. Mend it, then build again.`;
    throw new MillraceError('APP_INVALID', message, { cause });
  }
}

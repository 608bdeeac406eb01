import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MillraceError } from '../errors.ts';

const FILE_NAME = 'millrace.config.ts';

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function importModule(path: string): Promise<{ readonly default?: unknown }> {
  try {
    return await import(pathToFileURL(path).href);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError(
      'CONFIG_INVALID',
      `${path} cannot be loaded: ${reason}. Mend the file or remove it.`,
      {
        cause,
      },
    );
  }
}

/**
 * Imports the configuration file: the one named (it must be there), or `millrace.config.ts` in `folder` if there is
 * one. Resolves to the plain object it exports by default, {} when there is no file. Throws CONFIG_INVALID.
 */
export async function loadConfigFile(
  folder: string,
  named?: string,
): Promise<{ readonly [key: string]: unknown }> {
  const path = resolve(folder, named ?? FILE_NAME);
  if (!(await exists(path))) {
    if (named === undefined) return {};
    throw new MillraceError('CONFIG_INVALID', `There is no configuration file at ${path}. Check the path.`);
  }
  const exported = (await importModule(path)).default;
  if (typeof exported === 'object' && exported !== null && !Array.isArray(exported)) {
    return exported as { readonly [key: string]: unknown };
  }
  const message = `${path} exports no configuration. Write \`export default defineConfig({ … })\`.`;
  throw new MillraceError('CONFIG_INVALID', message);
}

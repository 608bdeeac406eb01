import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '../kernel/index.ts';
import { type Builder, createBuilder } from './build.ts';

const MODULES = join(import.meta.dirname, '..', '..', 'node_modules');

/** Folders with apps for tests, with the repository's packages at hand; removed at the end. */
export interface Workbench extends AsyncDisposable {
  readonly folder: string;
  readonly builder: Builder;
  /** Writes files by their path relative to the folder; answers the path of the last. */
  write(files: { readonly [path: string]: string }): Promise<string>;
}

export async function createWorkbench(): Promise<Workbench> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-app-'));
  await symlink(MODULES, join(folder, 'node_modules'));
  const builder = createBuilder({ clock: systemClock() });
  return {
    folder,
    builder,
    async write(files) {
      let last = folder;
      for (const [path, content] of Object.entries(files)) {
        last = join(folder, path);
        await mkdir(dirname(last), { recursive: true });
        await writeFile(last, content);
      }
      return last;
    },
    async [Symbol.asyncDispose]() {
      await builder.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const PACKAGE = JSON.stringify({ name: 'pay', type: 'module' });

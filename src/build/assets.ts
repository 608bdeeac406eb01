import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Plugin } from 'rolldown';
import type { InputProblem } from '../kernel/index.ts';
import { type BundleRequest, portablePath } from './request.ts';
import { fileOf } from './variants.ts';

const ASSET_URL = /new\s+URL\(\s*(['"`])(\.{1,2}\/[^'"`$]+)\1\s*,\s*import\.meta\.url\s*\)/g;

/**
 * Carries files along that code names by `new URL('./model.bin', import.meta.url)`. In the artifact they lie under
 * `assets/`, at their path relative to the app; chunks lie one folder deep, so `../assets/…` finds them from each.
 */
export function assetsPlugin(request: BundleRequest, problems: InputProblem[]): Plugin {
  return {
    name: 'millrace:assets',
    transform: {
      filter: { code: /import\.meta\.url/ },
      async handler(code, id) {
        let changed = code;
        for (const [expression, , specifier] of code.matchAll(ASSET_URL)) {
          const path = resolve(dirname(fileOf(id)), specifier!);
          const source = await readFile(path).catch(() => undefined);
          const name = portablePath(path, request.root).replaceAll('../', '');
          if (source === undefined) {
            const line = code.slice(0, code.indexOf(expression!)).split('\n').length;
            const place = `${portablePath(id, request.root)}:${line}`;
            problems.push({ path: `/assets/${name}`, message: `${place}: there is no file '${specifier}'.` });
            continue;
          }
          this.addWatchFile(path);
          this.emitFile({ type: 'asset', fileName: `assets/${name}`, source });
          changed = changed.replace(expression!, `new URL("../assets/${name}", import.meta.url)`);
        }
        return changed === code ? null : { code: changed };
      },
    },
  };
}

import type { Plugin } from 'rolldown';
import type { InputProblem } from '../kernel/index.ts';
import type { BundleRequest } from './request.ts';

/** Loaders that packages with compiled parts use to find them: their presence tells what a scan for `.node` cannot. */
const NATIVE_LOADERS =
  /^(bindings|node-gyp-build|node-gyp-build-optional-packages|@mapbox\/node-pre-gyp|node-pre-gyp|prebuild-install)$/;

/** The package a file belongs to, by its path. */
function packageOf(path: string | undefined): string | undefined {
  const inside = path?.split(/[\\/]node_modules[\\/]/).at(-1);
  const [first, second] = inside === path ? [] : (inside?.split(/[\\/]/) ?? []);
  return first?.startsWith('@') ? `${first}/${second}` : first;
}

/**
 * Names and refuses dependencies with compiled parts: an artifact runs on machines of another kind, and native code
 * escapes what contains an instance.
 */
export function nativePlugin(request: BundleRequest, problems: InputProblem[]): Plugin {
  const refuse = (specifier: string, importer: string | undefined): void => {
    const owner = packageOf(importer) ?? request.app;
    const message =
      `'${owner}' is a native dependency (it loads '${specifier}'), which cannot be part of an app. ` +
      'Use a package in plain JavaScript or WebAssembly instead.';
    if (!problems.some((problem) => problem.message === message)) {
      problems.push({ path: `/dependencies/${owner.replaceAll('~', '~0').replaceAll('/', '~1')}`, message });
    }
  };
  return {
    name: 'millrace:native',
    resolveId: {
      filter: { id: [/\.node$/, NATIVE_LOADERS] },
      handler: (id, importer) => {
        refuse(id, importer);
        return { id, external: true };
      },
    },
  };
}

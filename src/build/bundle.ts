import { resolve } from 'node:path';
import type { InputOptions, OutputAsset, OutputChunk, Plugin, RolldownOutput } from 'rolldown';
import type { InputProblem } from '../kernel/index.ts';
import { assetsPlugin } from './assets.ts';
import { nativePlugin } from './native.ts';
import { problemsError } from './problems.ts';
import { type BundleRequest, portablePath } from './request.ts';
import { fileOf, makeVariants, type ShapeCache, variantId } from './variants.ts';

/** rolldown is loaded when something is first built: a platform that only runs apps never pays for it. */
export type Rolldown = typeof import('rolldown');

export interface BundledFile {
  /** Relative, with `/`. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface BundledFunction {
  readonly exportName: string;
  readonly entry: string;
  /** Paths of its entry chunk and of every chunk and asset it takes, sorted. Source maps are not among them. */
  readonly graph: readonly string[];
}

export interface FunctionBundle {
  readonly files: readonly BundledFile[];
  readonly functions: readonly BundledFunction[];
  /** Absolute paths of all that was read. */
  readonly inputs: readonly string[];
}

/** Calls of these make plain values: unused ones may go. */
const PURE = [
  'stream',
  'state',
  'model',
  'fn',
  'every',
  'cron',
  'drift',
  'records',
  'http.get',
  'http.post',
  'http.put',
  'http.patch',
  'http.delete',
];

/** One module with all the app, for reading its resources; `sdkUrl` stands in for `millrace`. */
export async function bundleWhole(rolldown: Rolldown, request: BundleRequest, sdkUrl: string) {
  const resolveSdk: Plugin = {
    name: 'millrace:sdk',
    resolveId: { filter: { id: /^millrace$/ }, handler: () => ({ id: sdkUrl, external: true }) },
  };
  const { output, inputs } = await generate(rolldown, request, { app: request.entry }, [resolveSdk], 'file');
  const [chunk] = output.output;
  return { code: chunk.code, map: chunk.map?.toString() ?? '', inputs };
}

/** One entry chunk for each function, and chunks for what several share. */
export async function bundleFunctions(
  rolldown: Rolldown,
  request: BundleRequest,
  exportNames: readonly string[],
  shapes: ShapeCache,
): Promise<FunctionBundle> {
  if (exportNames.length === 0) return { files: [], functions: [], inputs: [] };
  const variants = await makeVariants(request.entry, exportNames, shapes);
  const input = Object.fromEntries(
    exportNames.map((name) => [entryName(name), variantId(request.entry, name)]),
  );
  const { output, inputs } = await generate(
    rolldown,
    request,
    input,
    [variantsPlugin(variants.code)],
    'hash',
  );
  const chunks = new Map(output.output.map((each) => [each.fileName, each]));
  return {
    files: output.output.map(toFile),
    functions: exportNames.map((exportName) => {
      const entry = `${entryName(exportName)}.js`;
      return { exportName, entry, graph: graphOf(entry, chunks) };
    }),
    inputs: [...new Set([...inputs, ...variants.files])],
  };
}

/** Names of exports may hold any letter; files keep to the plain ones. */
const entryName = (exportName: string): string =>
  `functions/${exportName.replace(/[^A-Za-z0-9_-]/gu, (letter) => `.${letter.codePointAt(0)!.toString(16)}`)}`;

function variantsPlugin(code: ReadonlyMap<string, string>): Plugin {
  return {
    name: 'millrace:variants',
    resolveId: { filter: { id: /\?fn=/ }, handler: (id) => (code.has(id) ? id : null) },
    load: {
      filter: { id: /\?fn=/ },
      handler: (id) => {
        const source = code.get(id);
        if (source === undefined) return null;
        return { code: source, moduleType: fileOf(id).endsWith('x') ? 'tsx' : 'ts' };
      },
    },
  };
}

function toFile(output: OutputChunk | OutputAsset): BundledFile {
  const content = output.type === 'chunk' ? output.code : output.source;
  return { path: output.fileName, bytes: typeof content === 'string' ? Buffer.from(content) : content };
}

/** All chunks and assets that `entry` can reach. */
function graphOf(entry: string, chunks: ReadonlyMap<string, OutputChunk | OutputAsset>): string[] {
  const reached = new Set<string>();
  const visit = (path: string): void => {
    const chunk = chunks.get(path);
    if (!chunk || reached.has(path)) return;
    reached.add(path);
    if (chunk.type !== 'chunk') return;
    for (const next of [...chunk.imports, ...chunk.dynamicImports]) visit(next);
    for (const [, asset] of chunk.code.matchAll(/"\.\.\/(assets\/[^"]+)"/g)) visit(asset!);
  };
  visit(entry);
  return [...reached].sort();
}

async function generate(
  rolldown: Rolldown,
  request: BundleRequest,
  input: Record<string, string>,
  plugins: readonly Plugin[],
  naming: 'file' | 'hash',
): Promise<{ output: RolldownOutput; inputs: string[] }> {
  const problems: InputProblem[] = [];
  const options: InputOptions = {
    cwd: request.root,
    input,
    platform: 'node',
    ...(naming === 'hash' ? { external: ['millrace'] } : {}),
    treeshake: { manualPureFunctions: PURE },
    plugins: [...plugins, nativePlugin(request, problems), assetsPlugin(request, problems)],
    logLevel: 'warn',
    onLog: (_level, log) => {
      if (log.code === 'UNRESOLVED_IMPORT') problems.push(toProblem(log, request.root));
    },
  };
  try {
    const build = await rolldown.rolldown(options);
    try {
      const output = await build.generate({
        format: 'esm',
        dir: resolve(request.root, '.millrace-artifact'),
        sourcemap: true,
        // Stack traces need positions only; the sources themselves stay with their author.
        sourcemapExcludeSources: true,
        sourcemapPathTransform: (source, map) => portablePath(resolve(map, '..', source), request.root),
        entryFileNames: '[name].js',
        chunkFileNames: 'shared/[name]-[hash].js',
        ...(naming === 'file' ? { codeSplitting: false } : {}),
      });
      if (problems.length > 0) throw problemsError(request.app, problems);
      return { output, inputs: (await build.watchFiles).map(fileOf) };
    } finally {
      await build.close();
    }
  } catch (error) {
    throw bundlerError(error, request, problems);
  }
}

interface BundlerLog {
  readonly message: string;
  readonly id?: string | undefined;
  readonly loc?:
    | { readonly file?: string | undefined; readonly line: number; readonly column: number }
    | undefined;
}

const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

/** The first line of what the bundler says, with the place in front; its drawing of the code stays out. */
function toProblem(log: BundlerLog, root: string): InputProblem {
  const text = log.message.replace(ESCAPES, '');
  const [headline = text] = text.split('\n').filter((line) => line.trim() !== '');
  const drawn = /\[ ([^\]]+?):(\d+):\d+ \]|╭─\[ ?([^\]]+?):(\d+):(\d+) ?\]/.exec(text);
  const file = log.loc?.file ?? drawn?.[1] ?? drawn?.[3] ?? log.id;
  const line = log.loc?.line ?? Number(drawn?.[2] ?? drawn?.[4] ?? 0);
  const message = headline.replace(/^\[[A-Z_]+\] (Error: )?/, '').trim();
  if (file === undefined) return { path: '', message };
  const path = portablePath(resolve(root, file), root);
  return { path: `/${path}`, message: `${path}${line > 0 ? `:${line}` : ''}: ${message}` };
}

function bundlerError(error: unknown, request: BundleRequest, problems: readonly InputProblem[]): unknown {
  const { errors } = error as { errors?: readonly BundlerLog[] };
  if (!Array.isArray(errors)) return error;
  const found = [...problems, ...errors.map((each) => toProblem(each, request.root))];
  const unique = [...new Map(found.map((problem) => [problem.message, problem])).values()];
  return problemsError(request.app, unique, 'APP_INVALID', error);
}

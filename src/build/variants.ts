import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  isWanted,
  type ModuleShape,
  neededFor,
  pruned,
  referencedBy,
  type Statement,
  shapeOf,
} from './prune.ts';

/**
 * Each function gets its own copy of the modules that declare resources (`app.ts?fn=score`), holding only what the
 * function needs; all other modules are shared between functions. So a function's code is its own, although an app may
 * keep all its functions in one file.
 */
export interface Variants {
  /** Code by variant id, such as `/apps/pay/app.ts?fn=score`. */
  readonly code: ReadonlyMap<string, string>;
  /** Files that were read. */
  readonly files: ReadonlySet<string>;
}

/** Parsed modules by path, kept between builds; a file that changed is read again. */
export interface ShapeCache {
  load(path: string): Promise<ModuleShape | undefined>;
}

const MODULE = /\.[cm]?[jt]sx?$/;
const VARIANT_MARK = '?fn=';

export const variantId = (path: string, exportName: string): string => `${path}${VARIANT_MARK}${exportName}`;
/** The file of a module id. */
export const fileOf = (id: string): string => id.split('?')[0]!;

export function createShapeCache(): ShapeCache {
  const known = new Map<string, { readonly stamp: string; readonly shape: ModuleShape | undefined }>();
  return {
    async load(path) {
      const stats = statSync(path, { throwIfNoEntry: false });
      if (!stats?.isFile() || !MODULE.test(path)) return undefined;
      const stamp = `${stats.mtimeMs}:${stats.size}:${stats.ino}`;
      const found = known.get(path);
      if (found?.stamp === stamp) return found.shape;
      const shape = parse(await readFile(path, 'utf8'), path);
      known.set(path, { stamp, shape });
      return shape;
    },
  };
}

/** A module that does not parse has no shape: the bundler reads it as it is and reports it. */
function parse(source: string, path: string): ModuleShape | undefined {
  try {
    return shapeOf(source, path);
  } catch {
    return undefined;
  }
}

const isRelative = (specifier: string): boolean => specifier.startsWith('./') || specifier.startsWith('../');

/** The file a relative import means: as written, or by the endings TypeScript allows to leave out or to swap. */
function locate(specifier: string, importer: string): string | undefined {
  if (!isRelative(specifier)) return undefined;
  const path = resolve(dirname(importer), specifier);
  const candidates = [
    path,
    path.replace(/\.([cm]?)js$/, '.$1ts'),
    `${path}.ts`,
    `${path}.js`,
    `${path}/index.ts`,
  ];
  return candidates.find((candidate) => MODULE.test(candidate) && existsSync(candidate));
}

/** A module whose copies are worth making: it makes resources, or it passes on what others make. */
function declaresResources(shape: ModuleShape): boolean {
  return (
    shape.importsMillrace ||
    shape.statements.some((each) => each.links.some((link) => link.kind === 'reexport'))
  );
}

interface Needed {
  readonly shape: ModuleShape;
  readonly names: Set<string>;
}

/** Which names of another module the kept statements want through `statement`. */
function wantedThrough(
  statement: Statement,
  names: ReadonlySet<string>,
  referenced: ReadonlySet<string>,
): string[] {
  const wanted = statement.links.filter((link) => isWanted(link, names, referenced));
  return wanted.flatMap((link) => {
    if (link.kind === 'import') return [link.outer];
    return link.outer === '*' ? [...names] : [link.source!];
  });
}

/** Finds what the export `exportName` of `entry` takes, over all modules that declare resources. */
async function collect(entry: string, exportName: string, shapes: ShapeCache): Promise<Map<string, Needed>> {
  const needed = new Map<string, Needed>();
  const queue: { path: string; names: readonly string[] }[] = [{ path: entry, names: [exportName] }];
  for (let next = queue.pop(); next; next = queue.pop()) {
    const shape = await shapes.load(next.path);
    if (!shape || (next.path !== entry && !declaresResources(shape))) continue;
    const found = needed.get(next.path) ?? { shape, names: new Set<string>() };
    const fresh = next.names.filter((name) => !found.names.has(name));
    if (fresh.length === 0 && needed.has(next.path)) continue;
    needed.set(next.path, found);
    for (const name of fresh) found.names.add(name);
    const kept = neededFor(shape, found.names);
    const referenced = referencedBy(kept);
    for (const statement of kept) {
      const path = statement.from && locate(statement.from.specifier, next.path);
      if (path) queue.push({ path, names: wantedThrough(statement, found.names, referenced) });
    }
  }
  return needed;
}

export async function makeVariants(
  entry: string,
  exportNames: readonly string[],
  shapes: ShapeCache,
): Promise<Variants> {
  const code = new Map<string, string>();
  const files = new Set<string>();
  for (const exportName of exportNames) {
    const needed = await collect(entry, exportName, shapes);
    for (const [path, { shape, names }] of needed) {
      const redirect = (specifier: string): string | undefined => {
        const target = locate(specifier, path);
        return target !== undefined && needed.has(target) ? variantId(target, exportName) : undefined;
      };
      files.add(path);
      code.set(variantId(path, exportName), pruned(shape, names, redirect));
    }
  }
  return { code, files };
}

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { SourceMap } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type Artifact,
  type ArtifactFile,
  type Clock,
  canonicalJson,
  type FunctionManifest,
  manifestVersion,
  sha256,
  systemClock,
} from '../kernel/index.ts';
import { bundleFunctions, bundleWhole, type FunctionBundle, type Rolldown } from './bundle.ts';
import type { DescribedResource, Description } from './description.ts';
import { createInspector, type Inspector, type InspectorCode, inspectorCode } from './inspect.ts';
import { identifyApp, packageFolder } from './package.ts';
import { createProblems, problemsError, type SourcePlace } from './problems.ts';
import type { BundleRequest } from './request.ts';
import { type AppDraft, draftApp, type FunctionDraft, type LocatedResource } from './resources.ts';
import { createShapeCache } from './variants.ts';

/** An app as it is deployed: what it declares, and the files that run. */
export interface BuiltApp extends Artifact {
  /** Absolute paths of all sources that went in; a change of one of them calls for a new build. */
  readonly inputs: readonly string[];
}

export interface BuildOptions {
  /** Instead of the name in package.json. */
  readonly app?: string;
}

/** Builds apps, keeping what makes the next build fast. */
export interface Builder {
  /**
   * `entry` is the path of an app's module. The same sources give the same bytes, wherever they lie. Throws APP_INVALID
   * with all problems and their places.
   */
  build(entry: string, options?: BuildOptions): Promise<BuiltApp>;
  close(): Promise<void>;
}

export interface BuilderOptions {
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Keeps a worker ready for the next build: worth it where one follows another. */
  readonly repeated?: boolean;
}

interface Inspected {
  readonly draft: AppDraft;
  readonly inputs: readonly string[];
}

export function createBuilder(options: BuilderOptions = {}): Builder {
  const { clock = systemClock(), repeated = false } = options;
  const shapes = createShapeCache();
  const lastFunctions = new Map<string, readonly string[]>();
  let tools: Promise<Tools> | undefined;
  let count = 0;

  const inspect = async (
    { code, folder, inspector, rolldown }: Tools,
    request: BundleRequest,
  ): Promise<Inspected> => {
    const whole = await bundleWhole(rolldown, request, code.sdkUrl);
    const path = join(folder, `${count++}.app.bundle.js`);
    try {
      await writeFile(path, whole.code);
      const description = await inspector.inspect(request.app, pathToFileURL(path).href);
      return { draft: readDescription(description, whole.map, request), inputs: whole.inputs };
    } finally {
      void rm(path, { force: true });
    }
  };

  return {
    async build(entryPath, { app } = {}) {
      const entry = resolve(entryPath);
      const { name, root } = identifyApp(entry, app);
      const request: BundleRequest = { entry, root, app: name };
      const loaded = await (tools ??= loadTools(clock, repeated));
      const { rolldown } = loaded;
      // Mostly the app exports the functions it exported last time: bundle them while it is looked at.
      const guess = lastFunctions.get(entry);
      const guessed = guess && bundleFunctions(rolldown, request, guess, shapes);
      guessed?.catch(() => undefined);
      const { draft, inputs } = await inspect(loaded, request);
      const exportNames = draft.functions.map((each) => each.exportName);
      const right = guess?.join() === exportNames.join() ? guessed : undefined;
      const bundle = await (right ?? bundleFunctions(rolldown, request, exportNames, shapes));
      lastFunctions.set(entry, exportNames);
      return assemble(name, draft, bundle, inputs);
    },
    async close() {
      const loaded = await tools?.catch(() => undefined);
      await loaded?.inspector.close();
      if (loaded) await rm(loaded.folder, { recursive: true, force: true });
    },
  };
}

/** What building takes, loaded when something is first built. */
interface Tools {
  readonly rolldown: Rolldown;
  readonly code: InspectorCode;
  readonly inspector: Inspector;
  /** For what is only there during a build; removed at the end. */
  readonly folder: string;
}

async function loadTools(clock: Clock, reserve: boolean): Promise<Tools> {
  const rolldown = await import('rolldown');
  const folder = await mkdtemp(join(tmpdir(), 'millrace-build-'));
  const code = await inspectorCode(rolldown, folder);
  return { rolldown, code, inspector: createInspector(code, clock, reserve), folder };
}

function readDescription(description: Description, map: string, request: BundleRequest): AppDraft {
  const sourceMap = new SourceMap(JSON.parse(map) as ConstructorParameters<typeof SourceMap>[0]);
  const placeOf = (line: number, column: number): SourcePlace | undefined => {
    const found = sourceMap.findEntry(line - 1, column - 1);
    return 'originalSource' in found
      ? { path: found.originalSource, line: found.originalLine + 1 }
      : undefined;
  };
  if (!description.ok) throw importError(description, placeOf, request);
  const problems = createProblems();
  const draft = draftApp(
    description.resources.map((resource) => locate(resource, placeOf, request)),
    problems,
    request.root,
  );
  problems.check(request.app);
  return draft;
}

type PlaceOf = (line: number, column: number) => SourcePlace | undefined;

function locate(resource: DescribedResource, placeOf: PlaceOf, request: BundleRequest): LocatedResource {
  const place = resource.place && placeOf(resource.place.line, resource.place.column);
  const file = place && resolve(request.root, place.path);
  const owner = file === undefined ? undefined : packageFolder(file);
  return { ...resource, place, foreign: owner !== undefined && owner !== packageFolder(request.entry) };
}

function importError(
  failure: Description & { ok: false },
  placeOf: PlaceOf,
  request: BundleRequest,
): unknown {
  const frame = /app\.bundle\.js[^:]*:(\d+):(\d+)/.exec(failure.stack);
  const place = frame ? placeOf(Number(frame[1]), Number(frame[2])) : undefined;
  const where = place ? `${place.path}:${place.line}: ` : '';
  return problemsError(request.app, [
    { path: '', message: `${where}the module throws when it is imported: ${failure.message}` },
  ]);
}

function assemble(app: string, draft: AppDraft, bundle: FunctionBundle, inputs: readonly string[]): BuiltApp {
  const { models } = draft;
  const contents = new Map([
    ...bundle.files.map((file) => [file.path, file.bytes] as const),
    ...models.files,
  ]);
  const files = [...contents]
    .map(([path, bytes]): ArtifactFile => ({ path, bytes: bytes.length, sha256: sha256(bytes) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const hashes = new Map(files.map((file) => [file.path, file.sha256]));
  const bundled = new Map(bundle.functions.map((each) => [each.exportName, each]));
  const functions = draft.functions.map((each) =>
    finishFunction(each, bundled.get(each.exportName)!, hashes),
  );
  const content = {
    app,
    streams: draft.streams,
    functions,
    states: draft.states,
    ...(models.models.length === 0 ? {} : { models: models.models }),
    references: draft.references,
    files,
  };

  return {
    manifest: { format: 1, version: manifestVersion(content), ...content },
    files: contents,
    inputs: [...new Set([...inputs, ...bundle.inputs, ...models.inputs])].sort(),
  };
}

function finishFunction(
  { exportName, ...settings }: FunctionDraft,
  { entry, graph }: FunctionBundle['functions'][number],
  hashes: ReadonlyMap<string, string>,
): FunctionManifest {
  const code = graph.map((path) => [path, hashes.get(path)]);
  const version = sha256(canonicalJson({ settings, exportName, code })).slice(0, 16);
  return { ...settings, version, entry, exportName };
}

import {
  type Artifact,
  canonicalJson,
  type Manifest,
  manifestVersion,
  type Reference,
  sha256,
} from '../kernel/index.ts';
import { describeModule } from './describe.ts';
import { createProblems } from './problems.ts';
import { draftApp } from './resources.ts';

/**
 * The manifest of an app whose module is loaded already, as tests have it: the same checks as `build`. Its one
 * file says that the functions are called where they are. `states` are the handles that the module made
 * and need not export, `root` the folder that files of models lie in. Throws APP_INVALID.
 */
export function artifactOfModule(
  namespace: object,
  app: string,
  { states = [], root = process.cwd() }: { readonly states?: readonly object[]; readonly root?: string } = {},
): Artifact {
  const problems = createProblems();
  const description = describeModule(
    namespace as { readonly [name: string]: unknown },
    states.map((resource) => ({ resource })),
  );
  const resources = description.ok ? description.resources : [];
  const draft = draftApp(
    resources.map((resource) => ({ ...resource, place: undefined, foreign: false })),
    problems,
    root,
  );
  problems.check(app);
  const own = new Set(draft.streams.map((stream) => stream.name));
  const read = draft.functions.flatMap(({ triggers }) =>
    triggers.flatMap((trigger) =>
      trigger.kind === 'stream' && !own.has(trigger.stream) ? trigger.stream : [],
    ),
  );
  const references = [...new Set(read)].sort().map((name): Reference => ({ kind: 'stream', name }));
  const functions = draft.functions.map(({ exportName, ...settings }) => {
    const { handler } = (namespace as { [name: string]: { handler: unknown } })[exportName]!;
    const version = sha256(canonicalJson({ settings, code: String(handler) })).slice(0, 16);
    return { ...settings, version, entry: ENTRY, exportName };
  });
  const code = Buffer.from(`// '${app}' runs in the process that loaded it.\n`);
  const { models } = draft;
  const contents = new Map<string, Uint8Array>([[ENTRY, code], ...models.files]);
  const files = [...contents].map(([path, bytes]) => ({ path, bytes: bytes.length, sha256: sha256(bytes) }));
  const content = {
    app,
    streams: draft.streams,
    functions,
    states: draft.states,
    ...(models.models.length === 0 ? {} : { models: models.models }),
    references,
    files,
  };
  const manifest: Manifest = { format: 1, version: manifestVersion(content), ...content };
  return { manifest, files: contents };
}

const ENTRY = 'app.js';

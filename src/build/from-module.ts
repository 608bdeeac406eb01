import { canonicalJson, type Manifest, manifestVersion, type Reference, sha256 } from '../kernel/index.ts';
import { describeModule } from './describe.ts';
import { createProblems } from './problems.ts';
import { draftApp } from './resources.ts';

/**
 * The manifest of an app whose module is loaded already, as tests have it: the same checks as `build`, and no files.
 * `entry` of its functions is empty: they are called where they are. States are not among what a module exports, so there are
 * none in it. Throws APP_INVALID.
 */
export function manifestOfModule(namespace: object, app: string): Manifest {
  const problems = createProblems();
  const description = describeModule(namespace as { readonly [name: string]: unknown });
  const resources = description.ok ? description.resources : [];
  const draft = draftApp(
    resources.map((resource) => ({ ...resource, place: undefined, foreign: false })),
    problems,
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
    return { ...settings, version, entry: '', exportName };
  });
  const content = { app, streams: draft.streams, functions, states: [], references, files: [] };
  return { format: 1, version: manifestVersion(content), ...content };
}

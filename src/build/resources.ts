import type { Manifest, Reference, StateManifest, StreamManifest } from '../kernel/index.ts';
import type { DescribedResource } from './description.ts';
import { type ModelFiles, readModelFiles } from './model-files.ts';
import { FUNCTION_OPTIONS, type FunctionSettings, readFunction } from './options/function.ts';
import { MODEL_OPTIONS, type ModelDraft, readModel } from './options/model.ts';
import { createReader, kindOf, type Subject } from './options/reader.ts';
import { readState, readStream, STATE_OPTIONS, STREAM_OPTIONS } from './options/stream.ts';
import { nameProblem } from './package.ts';
import type { Problems, SourcePlace } from './problems.ts';

/** A resource with its place in the source, when that is known. */
export interface LocatedResource extends Omit<DescribedResource, 'place'> {
  readonly place: SourcePlace | undefined;
  /** Declared in another package than the app's. */
  readonly foreign: boolean;
}

export interface FunctionDraft extends FunctionSettings {
  readonly name: string;
  readonly exportName: string;
}

/** All of a manifest that the resources say; code and hashes come from the bundle. */
export interface AppDraft extends Pick<Manifest, 'streams' | 'states' | 'references'> {
  readonly functions: readonly FunctionDraft[];
  /** With the files that they name. */
  readonly models: ModelFiles;
}

const PLURALS = { stream: 'streams', function: 'functions', state: 'states', model: 'models' } as const;

function subjectOf(resource: LocatedResource): Subject {
  const name = typeof resource.name === 'string' ? resource.name : (resource.exportNames[0] ?? '');
  const pointer = `/${PLURALS[resource.kind]}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  return { title: `${resource.kind} '${name}'`, pointer, place: resource.place };
}

/** One name, one thing: streams, functions and models share theirs, because commands and addresses name any. */
function checkNames(resources: readonly LocatedResource[], problems: Problems): void {
  const first = new Map<string, LocatedResource>();
  for (const resource of resources) {
    const { title, pointer, place } = subjectOf(resource);
    if (typeof resource.name !== 'string') {
      problems.add(
        pointer,
        `the first argument of ${resource.kind}() is its name, not ${kindOf(resource.name)}.`,
        place,
      );
      continue;
    }
    const wrong = nameProblem(resource.name);
    if (wrong !== undefined) problems.add(pointer, `${title} ${wrong}`, place);
    const space = resource.kind === 'state' ? 'state' : 'name';
    const other = first.get(`${space}/${resource.name}`);
    if (other) {
      const where = other.place ? ` (${other.place.path}:${other.place.line})` : '';
      problems.add(
        pointer,
        `${title}: the name is taken by another ${other.kind}${where}; each needs its own.`,
        place,
      );
    } else first.set(`${space}/${resource.name}`, resource);
  }
}

/** What the app exports is its own; what it only imports from another package refers to that app's, or to the platform's. */
function isReference(resource: LocatedResource): boolean {
  const isSystem = resource.kind === 'stream' && String(resource.name).startsWith('millrace.');
  return isSystem || (resource.exportNames.length === 0 && resource.foreign);
}

function referenceTo(resource: LocatedResource, problems: Problems): Reference[] {
  if (resource.kind === 'state') {
    const { title, pointer, place } = subjectOf(resource);
    problems.add(
      pointer,
      `${title} belongs to another app; state is private, so share it through a stream.`,
      place,
    );
    return [];
  }
  const schema = resource.options[resource.kind === 'stream' ? 'schema' : 'input'] as
    | { readonly schema?: Reference['schema'] }
    | undefined;
  return [
    {
      kind: resource.kind,
      name: String(resource.name),
      ...(schema?.schema === undefined ? {} : { schema: schema.schema }),
    },
  ];
}

const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : 1;

interface Parts {
  readonly streams: StreamManifest[];
  readonly states: StateManifest[];
  readonly functions: FunctionDraft[];
  readonly models: ModelDraft[];
}

function addOwn(resource: LocatedResource, parts: Parts, problems: Problems): void {
  const subject = subjectOf(resource);
  const name = String(resource.name);
  const reader = (known: readonly string[]) => createReader(resource.options, known, subject, problems);
  if (resource.kind === 'state') parts.states.push(readState(name, reader(STATE_OPTIONS)));
  else if (resource.exportNames.length === 0) {
    const remedy = 'export it, so that it is deployed with the app.';
    problems.add(subject.pointer, `${subject.title} is used but not exported; ${remedy}`, resource.place);
  } else if (resource.kind === 'stream') parts.streams.push(readStream(name, reader(STREAM_OPTIONS)));
  else if (resource.kind === 'model') parts.models.push(readModel(name, reader(MODEL_OPTIONS)));
  else {
    if (!resource.hasHandler) {
      problems.add(
        subject.pointer,
        `${subject.title} has no handler; it is the third argument of fn().`,
        resource.place,
      );
    }
    const settings = readFunction(reader(FUNCTION_OPTIONS), subject, problems);
    parts.functions.push({ ...settings, name, exportName: resource.exportNames[0]! });
  }
}

/** Two functions of one app cannot serve one route. Names of parameters do not tell routes apart. */
function checkRoutes(functions: readonly FunctionDraft[], problems: Problems): void {
  const first = new Map<string, string>();
  for (const { name, triggers } of functions) {
    for (const trigger of triggers) {
      if (trigger.kind !== 'http') continue;
      const route = `${trigger.method} ${trigger.path.replace(/\/([:*])[^/]*/g, '/$1')}`;
      const other = first.get(route);
      const shown = `${trigger.method} ${trigger.path}`;
      if (other !== undefined) {
        problems.add(
          `/functions/${name}/on`,
          `function '${name}': ${shown} is served by function '${other}' already.`,
        );
      } else first.set(route, name);
    }
  }
}

/** `root` is the app's folder, where files that it names are found. */
export function draftApp(resources: readonly LocatedResource[], problems: Problems, root: string): AppDraft {
  checkNames(
    resources.filter((resource) => !isReference(resource)),
    problems,
  );
  const parts: Parts = { streams: [], states: [], functions: [], models: [] };
  const references: Reference[] = [];
  for (const resource of resources) {
    if (isReference(resource)) references.push(...referenceTo(resource, problems));
    else addOwn(resource, parts, problems);
  }
  checkRoutes(parts.functions, problems);
  return {
    streams: parts.streams.sort(byName),
    states: parts.states.sort(byName),
    functions: parts.functions.sort(byName),
    models: readModelFiles(parts.models.sort(byName), root),
    references: references.sort(byName),
  };
}

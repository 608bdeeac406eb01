import type { DescribedResource, Description, Plain } from './description.ts';
import { convertSchema, isSchema } from './schema/convert.ts';

interface RawResource {
  readonly millrace: 1;
  readonly kind: string;
  readonly name?: unknown;
  readonly options?: object;
  readonly handler?: unknown;
}

/** What an app made, in the order of making, with its place where that is known. */
export interface MadeResource {
  readonly resource: object;
  readonly place?: DescribedResource['place'];
}

const isResource = (value: unknown): value is RawResource =>
  typeof value === 'object' && value !== null && (value as RawResource).millrace === 1;

const isDeclared = (value: unknown): value is RawResource & { kind: DescribedResource['kind'] } =>
  isResource(value) && ['stream', 'function', 'state', 'model'].includes(value.kind);

function plainFields(value: object, depth: number): { [name: string]: Plain } {
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, toPlain(each, depth + 1)]));
}

function toPlain(value: unknown, depth = 0): Plain {
  if (value === undefined || value === null) return value;
  if (isSchema(value)) return { tag: 'schema', problems: [], ...convertSchema(value) };
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') return value;
  if (typeof value !== 'object') return { tag: 'other', type: typeof value };
  if (depth > 20) return { tag: 'other', type: 'nesting deeper than 20' };
  if (Array.isArray(value)) return value.map((each) => toPlain(each, depth + 1));
  if (isResource(value)) {
    const { handler: _handler, millrace: _mark, kind, ...fields } = value;
    // A stream as a trigger is a name; its own options are told where it is declared.
    if (isDeclared(value)) return { tag: 'resource', kind, fields: { name: toPlain(value.name) } };
    return { tag: 'resource', kind, fields: plainFields(fields, depth) };
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return { tag: 'other', type: (value as object).constructor?.name ?? 'object' };
  }
  return { fields: plainFields(value, depth) };
}

/** Resources of a module namespace, and besides those in `made` that it does not export. */
export function describeModule(
  namespace: { readonly [name: string]: unknown },
  made: readonly MadeResource[] = [],
): Description {
  const found = new Map<object, { names: string[]; place: DescribedResource['place'] }>();
  for (const { resource, place } of made) found.set(resource, { names: [], place });
  for (const [exportName, value] of Object.entries(namespace)) {
    if (!isDeclared(value)) continue;
    const entry = found.get(value) ?? { names: [], place: undefined };
    entry.names.push(exportName);
    found.set(value, entry);
  }
  const resources = [...found].map(([value, { names, place }]): DescribedResource => {
    const resource = value as RawResource & { kind: DescribedResource['kind'] };
    return {
      kind: resource.kind,
      name: toPlain(resource.name),
      exportNames: names.sort(),
      place,
      options: plainFields(resource.options ?? {}, 0),
      hasHandler: typeof resource.handler === 'function',
    };
  });
  return { ok: true, resources };
}

import type { Json, JsonSchema } from '../../kernel/index.ts';

export type Query = { readonly [name: string]: Json };

const NOTHING: Query = Object.freeze({});

/** Text by name, an array of text where a name comes more than once. Form encoding: `+` is a space. */
export function parseQuery(search: string): Query {
  if (search === '') return NOTHING;
  const query: { [name: string]: string | string[] } = Object.create(null);
  for (const [name, value] of new URLSearchParams(search)) {
    const before = query[name];
    if (before === undefined) query[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else query[name] = [before, value];
  }
  return query;
}

type SchemaObject = { readonly [keyword: string]: Json };

const isObject = (value: Json | JsonSchema | undefined): value is SchemaObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The JSON types that a schema lets through, as far as it says; empty when it does not say. */
function typesOf(schema: Json | undefined, root: SchemaObject, depth = 0): Set<string> {
  const types = new Set<string>();
  if (!isObject(schema) || depth > 10) return types;
  if (typeof schema.type === 'string') types.add(schema.type);
  if (Array.isArray(schema.type)) for (const type of schema.type) types.add(String(type));
  if (schema.const !== undefined) types.add(typeof schema.const);
  if (Array.isArray(schema.enum)) for (const value of schema.enum) types.add(typeof value);
  for (const part of partsOf(schema, root)) {
    for (const type of typesOf(part, root, depth + 1)) types.add(type);
  }
  return types;
}

function partsOf(schema: SchemaObject, root: SchemaObject): Json[] {
  const parts = ['anyOf', 'oneOf', 'allOf'].flatMap((keyword) => {
    const list = schema[keyword];
    return Array.isArray(list) ? (list as Json[]) : [];
  });
  const name = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(String(schema.$ref ?? ''));
  const definitions = name && root[name[1]!];
  if (isObject(definitions)) parts.push(definitions[name![2]!] ?? null);
  return parts;
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function coerceText(text: string, types: ReadonlySet<string>): Json {
  if (types.size === 0 || types.has('string')) return text;
  if ((types.has('number') || types.has('integer')) && NUMBER.test(text)) return Number(text);
  if (types.has('boolean') && (text === 'true' || text === 'false')) return text === 'true';
  if (types.has('null') && text === 'null') return null;
  return text;
}

function itemsOf(schema: Json | undefined, root: SchemaObject, depth = 0): Json | undefined {
  if (!isObject(schema) || depth > 10) return undefined;
  if (schema.items !== undefined) return schema.items;
  for (const part of partsOf(schema, root)) {
    const items = itemsOf(part, root, depth + 1);
    if (items !== undefined) return items;
  }
  return undefined;
}

function coerce(value: Json, schema: Json | undefined, root: SchemaObject): Json {
  const types = typesOf(schema, root);
  const many = Array.isArray(value);
  if (types.has('array') && (many || !types.has('string'))) {
    const items = typesOf(itemsOf(schema, root), root);
    return (many ? value : [value]).map((each) => coerceText(String(each), items));
  }
  return many ? value : coerceText(String(value), types);
}

/**
 * Text as the schema's types, decided by the schema alone: where it allows text, it stays text; else JSON's numbers become
 * numbers, `true` and `false` booleans, `null` null, and one value where an array is asked for an array of one. What fits
 * none of these stays as it is, for the check to name.
 */
export function coerceQuery(query: Query, schema: JsonSchema): Query {
  if (!isObject(schema) || !isObject(schema.properties)) return query;
  const coerced: { [name: string]: Json } = Object.create(null);
  for (const [name, value] of Object.entries(query)) {
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    coerced[name] = coerce(value, property, schema);
  }
  return coerced;
}

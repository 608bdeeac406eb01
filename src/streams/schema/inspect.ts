import type { InputProblem, Json, JsonSchema } from '../../kernel/index.ts';
import { pointer, resolvePointer } from './canonical.ts';
import { patternProblem } from './pattern.ts';

/**
 * What a schema may not do, found before it is compiled: reach out, run without end, or grow past its bounds.
 */
export const SCHEMA_LIMITS = { bytes: 256 * 1024, depth: 64, subschemas: 5000, evaluations: 20_000 } as const;

const DRAFTS: ReadonlyMap<string, '2020-12' | '07'> = new Map([
  ['https://json-schema.org/draft/2020-12/schema', '2020-12'],
  ['http://json-schema.org/draft-07/schema', '07'],
]);

type Subschema = { readonly [keyword: string]: Json };

/** Keywords whose value is one schema, a list of schemas, or schemas by name. */
const ONE = [
  'additionalProperties',
  'propertyNames',
  'contains',
  'not',
  'if',
  'then',
  'else',
  'unevaluatedItems',
  'unevaluatedProperties',
  'contentSchema',
  'additionalItems',
];
const LISTS = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const NAMED = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];
/** Those that apply to the same value as the schema that holds them. */
const IN_PLACE = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas']);

export interface Inspection {
  readonly draft: '2020-12' | '07';
  readonly problems: readonly InputProblem[];
  /** Format names and `x-` keywords in use, which the compiler has to know of. */
  readonly formats: ReadonlySet<string>;
  readonly extensions: ReadonlySet<string>;
}

export function inspectSchema(schema: JsonSchema): Inspection {
  const problems: InputProblem[] = [];
  const formats = new Set<string>();
  const extensions = new Set<string>();
  const draft = draftOf(schema, problems);
  if (!withinBounds(schema, problems)) return { draft, problems, formats, extensions };
  const places = subschemas(schema);
  for (const [path, node] of places) {
    checkNode(schema, path, node, problems);
    if (typeof node.format === 'string') formats.add(node.format);
    for (const keyword of Object.keys(node)) if (keyword.startsWith('x-')) extensions.add(keyword);
  }
  if (problems.length === 0) checkExpansion(schema, places, problems);
  return { draft, problems, formats, extensions };
}

function draftOf(schema: JsonSchema, problems: InputProblem[]): '2020-12' | '07' {
  const named = typeof schema === 'object' ? schema.$schema : undefined;
  if (named === undefined) return '2020-12';
  const draft = typeof named === 'string' ? DRAFTS.get(named.replace(/#$/, '')) : undefined;
  if (!draft)
    problems.push({
      path: '/$schema',
      message: 'only the drafts 2020-12 and 07 are understood; name one of them or leave $schema out',
    });
  return draft ?? '2020-12';
}

function withinBounds(schema: JsonSchema, problems: InputProblem[]): boolean {
  const deep = tooDeep(schema, SCHEMA_LIMITS.depth);
  if (deep)
    problems.push({
      path: '',
      message: `is nested deeper than ${SCHEMA_LIMITS.depth} levels; move parts into $defs`,
    });
  else if (JSON.stringify(schema).length > SCHEMA_LIMITS.bytes) {
    problems.push({
      path: '',
      message: `is larger than ${SCHEMA_LIMITS.bytes / 1024} kB; split the stream or loosen the schema`,
    });
  }
  return problems.length === 0;
}

function tooDeep(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => tooDeep(member, levels - 1));
}

const isSubschema = (value: Json | undefined): value is Subschema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every subschema that is an object, by its JSON Pointer, the root first. */
function subschemas(root: JsonSchema): Map<string, Subschema> {
  const found = new Map<string, Subschema>();
  const visit = (path: string, node: Json | undefined): void => {
    if (!isSubschema(node)) return;
    found.set(path, node);
    for (const [childPath, child] of children(path, node)) visit(childPath, child);
  };
  visit('', root);
  return found;
}

function* children(path: string, node: Subschema): Generator<[string, Json, string]> {
  const items = node.items;
  if (Array.isArray(items))
    for (const [index, item] of items.entries()) yield [pointer(`${path}/items`, index), item, 'items'];
  else if (items !== undefined) yield [`${path}/items`, items, 'items'];
  for (const keyword of ONE) {
    const child = node[keyword];
    if (child !== undefined) yield [pointer(path, keyword), child, keyword];
  }
  for (const keyword of LISTS) {
    const list = node[keyword];
    if (!Array.isArray(list)) continue;
    for (const [index, child] of list.entries()) yield [pointer(`${path}/${keyword}`, index), child, keyword];
  }
  for (const keyword of NAMED) {
    const named = node[keyword];
    if (!isSubschema(named)) continue;
    for (const [name, child] of Object.entries(named))
      yield [pointer(`${path}/${keyword}`, name), child, keyword];
  }
}

function checkNode(root: JsonSchema, path: string, node: Subschema, problems: InputProblem[]): void {
  const refuse = (keyword: string, message: string): void =>
    void problems.push({ path: pointer(path, keyword), message });
  if (node.$async !== undefined)
    refuse('$async', 'schemas that wait are refused; a record is checked without running code');
  if (path !== '' && node.$id !== undefined)
    refuse('$id', 'only the root may have an $id; refer to parts by #/$defs/…');
  for (const keyword of ['$dynamicRef', '$recursiveRef', '$dynamicAnchor', '$anchor']) {
    if (node[keyword] !== undefined) refuse(keyword, 'is refused; refer to parts by $ref with #/$defs/…');
  }
  if (node.$ref !== undefined) checkReference(root, node.$ref, refuse);
  if (typeof node.pattern === 'string') {
    const problem = patternProblem(node.pattern);
    if (problem) refuse('pattern', problem);
  }
  if (isSubschema(node.patternProperties)) {
    for (const name of Object.keys(node.patternProperties)) {
      const problem = patternProblem(name);
      if (problem)
        problems.push({ path: pointer(pointer(path, 'patternProperties'), name), message: problem });
    }
  }
}

function checkReference(
  root: JsonSchema,
  reference: Json,
  refuse: (keyword: string, message: string) => void,
): void {
  if (typeof reference !== 'string') refuse('$ref', 'must be text');
  else if (!/^#(?:\/|$)/.test(reference))
    refuse(
      '$ref',
      `'${reference.slice(0, 100)}' lies elsewhere; copy what it names into $defs and refer to it by #/$defs/…`,
    );
  else if (referenceTarget(root, reference) === undefined)
    refuse('$ref', `'${reference.slice(0, 100)}' names nothing in this schema`);
}

export function referencePath(reference: string): string {
  try {
    return decodeURIComponent(reference.slice(1));
  } catch {
    return reference.slice(1);
  }
}

export function referenceTarget(root: JsonSchema, reference: string): Json | undefined {
  return resolvePointer(root, referencePath(reference));
}

/**
 * Schemas that apply to one value again and again: a cycle never ends, and references that double at each step
 * (a uses b twice, b uses c twice, …) end too late. Counts the evaluations that one value costs.
 */
function checkExpansion(
  root: JsonSchema,
  places: ReadonlyMap<string, Subschema>,
  problems: InputProblem[],
): void {
  const costs = new Map<string, number>();
  const open = new Set<string>();
  const cost = (path: string): number => {
    const node = places.get(path) ?? referenceTarget(root, `#${encodeURI(path)}`);
    if (!isSubschema(node)) return 1;
    if (open.has(path)) return Number.POSITIVE_INFINITY;
    const known = costs.get(path);
    if (known !== undefined) return known;
    open.add(path);
    let total = 1;
    for (const [childPath, , keyword] of children(path, node))
      if (IN_PLACE.has(keyword)) total += cost(childPath);
    if (typeof node.$ref === 'string') total += cost(referencePath(node.$ref));
    open.delete(path);
    costs.set(path, total);
    return total;
  };
  for (const path of places.keys()) {
    const total = cost(path);
    if (total === Number.POSITIVE_INFINITY)
      problems.push({ path, message: 'refers back to itself for the same value and would never end' });
    else if (total > SCHEMA_LIMITS.evaluations)
      problems.push({
        path,
        message: `checks one value more than ${SCHEMA_LIMITS.evaluations} times over; simplify its references`,
      });
    if (problems.length > 0) return;
  }
  if (places.size > SCHEMA_LIMITS.subschemas)
    problems.push({ path: '', message: `has more than ${SCHEMA_LIMITS.subschemas} subschemas` });
}

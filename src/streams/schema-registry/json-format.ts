import type { Json, JsonSchema } from '../../kernel/index.ts';
import { canonicalJson, resolvePointer } from '../schema/canonical.ts';
import { createComparison } from '../schema/subset.ts';
import { type ComparisonRules, isNode, STREAM_RULES } from '../schema/subset-types.ts';
import { loadValidators } from '../schema/validators.ts';
import {
  type JsonRules,
  type ParsedSchema,
  type ResolvedReference,
  SchemaError,
  type SchemaFormat,
} from './types.ts';

/**
 * JSON Schema in the registry. Looser than what a stream takes for its own records, since nothing is compiled here: any draft, with
 * references to other subjects' schemas, which are put into its definitions before it is compared.
 *
 * Confluent's registry judges by a list of differences (its JSON `SchemaDiff`, strict policy): a member added to an object that
 * is open may break what was written under that name before, and a required member with a default is none that is missing. That is
 * what the comparison of streams says with these two rules.
 */
const CONFLUENT_RULES: ComparisonRules = { undeclared: 'any', defaultsFill: true };
const RULES: { readonly [Name in JsonRules]: ComparisonRules } = {
  strict: CONFLUENT_RULES,
  stream: STREAM_RULES,
};

interface ParsedJson extends ParsedSchema {
  /** With all that it refers to inside. */
  readonly whole: JsonSchema;
}

export const jsonFormat: SchemaFormat = {
  parse(text, references): ParsedJson {
    const json = jsonOf(text);
    const whole = bundle(json, references);
    checkSchema(whole);
    return {
      whole,
      text: JSON.stringify(json),
      normalized: () => canonicalJson(json),
      problemsReading: (writer, rules) => {
        const written = (writer as ParsedJson).whole;
        return canonicalJson(written) === canonicalJson(whole) ? [] : compare(written, whole, RULES[rules]);
      },
    };
  },
};

function jsonOf(text: string): JsonSchema {
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch (error) {
    throw new SchemaError(`it is no JSON: ${(error as Error).message}`);
  }
  if (typeof json === 'boolean' || isNode(json)) return json as JsonSchema;
  throw new SchemaError('a JSON Schema is an object, true or false');
}

function compare(written: JsonSchema, reading: JsonSchema, rules: ComparisonRules): readonly string[] {
  try {
    const found = createComparison(written, reading, rules).problem(written, reading, '');
    return found ? [`${found.path === '' ? '#' : `#${found.path}`}: ${found.message}`] : [];
  } catch (error) {
    // Patterns beyond what the platform's own matcher takes, and references that it does not follow.
    return [`the two cannot be compared: ${(error as Error).message}`];
  }
}

const DRAFT_07 = 'http://json-schema.org/draft-07/schema';
const DRAFT_2020 = 'https://json-schema.org/draft/2020-12/schema';

/** Against the schema of schemas where its draft is one of the two that are at hand. */
function checkSchema(schema: JsonSchema): void {
  if (typeof schema !== 'object') return;
  const draft = String((schema as { $schema?: unknown }).$schema ?? DRAFT_07).replace(/#$/, '');
  if (draft !== DRAFT_07 && draft !== DRAFT_2020) return;
  const { Ajv, Ajv2020 } = loadValidators();
  const options = { strict: false, logger: false as const, validateFormats: false };
  const validator = draft === DRAFT_07 ? new Ajv(options) : new Ajv2020(options);
  if (validator.validateSchema({ ...schema, $schema: draft }) === true) return;
  const first = validator.errors?.[0];
  throw new SchemaError(`${first?.instancePath || 'it'} ${first?.message ?? 'is no JSON Schema'}`);
}

/** The schema with its references' schemas among its definitions, and every `$ref` leading there. */
function bundle(root: JsonSchema, references: readonly ResolvedReference[]): JsonSchema {
  const places = new Map<string, string>();
  const definitions: { [name: string]: Json } = {};
  const collect = (each: ResolvedReference): void => {
    if (places.has(each.name)) return;
    const key = `reference ${places.size}`;
    places.set(each.name, `#/$defs/${key}`);
    each.references.forEach(collect);
    definitions[key] = rewrite(jsonOf(each.text), `#/$defs/${key}`);
  };
  const rewrite = (part: Json, base: string): Json => {
    if (Array.isArray(part)) return part.map((each) => rewrite(each as Json, base));
    if (!isNode(part)) return part;
    return Object.fromEntries(
      Object.entries(part).map(([name, member]) =>
        name === '$ref' && typeof member === 'string'
          ? [name, targetOf(member, base, places)]
          : [name, rewrite(member, base)],
      ),
    );
  };
  references.forEach(collect);
  const own = rewrite(root as Json, '#') as JsonSchema;
  const whole =
    typeof own === 'object' && places.size > 0
      ? { ...own, $defs: { ...(isNode(own.$defs) ? own.$defs : {}), ...definitions } }
      : own;
  requireTargets(whole as Json, whole as Json);
  return whole as JsonSchema;
}

function targetOf(reference: string, base: string, places: ReadonlyMap<string, string>): string {
  if (reference.startsWith('#')) return reference === '#' ? base : base + reference.slice(1);
  const [name, fragment = ''] = reference.split('#', 2) as [string, string?];
  const place = places.get(reference) ?? places.get(name);
  if (place !== undefined) return places.has(reference) ? place : place + fragment;
  throw new SchemaError(`'${reference}' is referred to, but is none of its references; add it to them`);
}

function requireTargets(part: Json, root: Json): void {
  if (Array.isArray(part)) for (const each of part) requireTargets(each as Json, root);
  else if (isNode(part)) {
    const { $ref } = part;
    if (
      typeof $ref === 'string' &&
      /^#(?:\/|$)/.test($ref) &&
      resolvePointer(root, decodeURI($ref.slice(1))) === undefined
    )
      throw new SchemaError(`'${$ref}' refers to nothing`);
    for (const each of Object.values(part)) requireTargets(each, root);
  }
}

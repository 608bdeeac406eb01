import type { InputProblem, Json, JsonSchema } from '../../kernel/index.ts';
import { canonicalJson, pointer } from './canonical.ts';
import { fitsSchema } from './compile.ts';
import { referenceTarget } from './inspect.ts';
import { arrayProblem } from './subset-arrays.ts';
import { objectProblem } from './subset-objects.ts';
import { numberProblem, stringProblem } from './subset-scalars.ts';
import {
  type Comparison,
  type ComparisonRules,
  type Conjunction,
  isNode,
  type Node,
  STREAM_RULES,
} from './subset-types.ts';

/**
 * Whether every value of one JSON Schema fits another.
 *
 * C1 sound: where no problem is named, there is no value that fits `narrow` and not `wide`.
 * C2 not complete: what cannot be decided by comparing keywords is named as a problem with the reason.
 * C3 ends: recursive schemas are followed once per pair, and the number of comparisons is bounded.
 * C4 members that an object does not declare are taken to be absent (subset-objects.ts); C1 holds for values without them.
 */
const STEPS_AT_MOST = 3000;
const TYPES = ['null', 'boolean', 'integer', 'fraction', 'string', 'array', 'object'];
/** Keywords that constrain nothing by themselves. */
const SILENT = new Set([
  ...[
    '$schema',
    '$id',
    '$comment',
    '$defs',
    'definitions',
    'title',
    'description',
    'default',
    'examples',
    'example',
  ],
  ...['deprecated', 'readOnly', 'writeOnly', 'xml', 'externalDocs', 'discriminator', 'contentEncoding'],
  ...['contentMediaType', 'contentSchema', 'nullable', 'then', 'else', 'minContains', 'maxContains'],
]);
/** Compared only for being the same on both sides, together with the keywords they work with. */
const OPAQUE: Readonly<Record<string, readonly string[]>> = {
  not: ['not'],
  if: ['if', 'then', 'else'],
  contains: ['contains', 'minContains', 'maxContains'],
  propertyNames: ['propertyNames'],
  dependentRequired: ['dependentRequired'],
  dependentSchemas: ['dependentSchemas'],
  dependencies: ['dependencies'],
};
const STRUCTURED = new Set([
  ...['type', 'enum', 'const', '$ref', 'allOf', 'anyOf', 'oneOf'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['minLength', 'maxLength', 'pattern', 'format'],
  ...['items', 'prefixItems', 'additionalItems', 'minItems', 'maxItems', 'uniqueItems'],
  ...[
    'properties',
    'patternProperties',
    'additionalProperties',
    'required',
    'minProperties',
    'maxProperties',
  ],
]);

const FALSE: Node = { not: true };
/** Kinds of values a node's `type` allows; numbers are either whole or not. */
function typesOf(node: Node): Set<string> {
  const { type } = node;
  if (type === undefined) return new Set(TYPES);
  const named = Array.isArray(type) ? (type as string[]) : [type as string];
  const types = new Set(named.flatMap((name) => (name === 'number' ? ['integer', 'fraction'] : [name])));
  if (node.nullable === true) types.add('null');
  return types;
}

/** The kind of a value, in the terms of `typesOf`. */
function typeOfValue(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'fraction';
  return typeof value;
}

function finiteValues(node: Node): readonly Json[] | undefined {
  if (node.const !== undefined) return [node.const];
  return Array.isArray(node.enum) ? (node.enum as readonly Json[]) : undefined;
}

export function createComparison(
  narrowRoot: JsonSchema,
  wideRoot: JsonSchema,
  rules: ComparisonRules = STREAM_RULES,
): Comparison {
  return new SchemaComparison(narrowRoot, wideRoot, rules);
}

class SchemaComparison implements Comparison {
  readonly rules: ComparisonRules;
  readonly #narrowRoot: JsonSchema;
  readonly #wideRoot: JsonSchema;
  readonly #assumed = new Set<string>();
  #steps = 0;

  constructor(narrowRoot: JsonSchema, wideRoot: JsonSchema, rules: ComparisonRules) {
    this.rules = rules;
    this.#narrowRoot = narrowRoot;
    this.#wideRoot = wideRoot;
  }

  problem(narrow: JsonSchema, wide: JsonSchema, path: string): InputProblem | undefined {
    if (wide === true) return undefined;
    if (++this.#steps > STEPS_AT_MOST) return { path, message: 'is too large to be compared' };
    const pair = `${canonicalJson(narrow)}\n${canonicalJson(wide)}`;
    if (this.#assumed.has(pair)) return undefined;
    const before = this.#assumed.size;
    this.#assumed.add(pair);
    const found = this.#compare(narrow, wide, path);
    // What was concluded on the way may rest on the pair that failed: none of it may be taken for granted elsewhere.
    if (found) for (const later of [...this.#assumed].slice(before)) this.#assumed.delete(later);
    return found;
  }

  #compare(narrow: JsonSchema, wide: JsonSchema, path: string): InputProblem | undefined {
    const all = this.#conjunction(narrow);
    if (all.types.size === 0) return undefined;
    const whole = this.#byConjunction(all, wide, path);
    if (!whole) return undefined;
    return this.#byCases(all, wide, path) ? undefined : whole;
  }

  /** Flattens references and `allOf`. */
  #conjunction(schema: JsonSchema): Conjunction {
    const nodes: Node[] = [];
    const flatten = (part: Json | undefined): void => {
      if (part === true || part === undefined) return;
      if (!isNode(part)) return void nodes.push(FALSE);
      const { $ref, allOf, ...rest } = part;
      if (typeof $ref === 'string') flatten(referenceTarget(this.#narrowRoot, $ref));
      if (Array.isArray(allOf)) for (const member of allOf) flatten(member);
      nodes.push(rest);
    };
    flatten(schema);
    let types = new Set(TYPES);
    for (const node of nodes) {
      types = types.intersection(typesOf(node));
      const values = finiteValues(node);
      if (values) types = types.intersection(new Set(values.map(typeOfValue)));
      if (node.not === true || (isNode(node.not) && Object.keys(node.not).length === 0)) types = new Set();
    }
    return { nodes, types };
  }

  /** Splits the narrow side into cases, each of which must fit: alternatives first, then kinds of values. */
  #byCases(all: Conjunction, wide: JsonSchema, path: string): boolean {
    const listed = all.nodes.map(finiteValues).find((values) => values !== undefined);
    if (listed) return listed.every((value) => fits(this.#wideRoot, { allOf: [wide] }, value) === true);
    for (const [index, node] of all.nodes.entries()) {
      for (const keyword of ['anyOf', 'oneOf'] as const) {
        const cases = node[keyword];
        if (!Array.isArray(cases)) continue;
        const { [keyword]: _, ...others } = node;
        const rest = all.nodes.with(index, others);
        return cases.every((one) => !this.problem({ allOf: [...rest, one as Json] }, wide, path));
      }
    }
    const kinds = new Set([...all.types].map((type) => (type === 'fraction' ? 'number' : type)));
    if (kinds.has('number')) kinds.delete('integer');
    if (kinds.size < 2 || !this.#hasAlternatives(wide)) return false;
    return [...kinds].every((type) => !this.problem({ allOf: [...all.nodes, { type }] }, wide, path));
  }

  #hasAlternatives(wide: Json | undefined): boolean {
    if (!isNode(wide)) return false;
    if (wide.anyOf !== undefined || wide.oneOf !== undefined) return true;
    if (typeof wide.$ref === 'string' && this.#hasAlternatives(referenceTarget(this.#wideRoot, wide.$ref)))
      return true;
    return Array.isArray(wide.allOf) && wide.allOf.some((part) => this.#hasAlternatives(part as Json));
  }

  #byConjunction(all: Conjunction, wide: JsonSchema, path: string): InputProblem | undefined {
    if (wide === true) return undefined;
    if (!isNode(wide)) return { path, message: 'allows nothing where something was allowed' };
    return (
      this.#referenceProblem(all, wide, path) ??
      this.#typeProblem(all, wide, path) ??
      this.#valuesProblem(all, wide, path) ??
      numberProblem(all, wide, path) ??
      stringProblem(all, wide, path) ??
      arrayProblem(this, all, wide, path) ??
      objectProblem(this, all, wide, path) ??
      this.#alternativesProblem(all, wide, path) ??
      opaqueProblem(all, wide, path)
    );
  }

  #referenceProblem(all: Conjunction, wide: Node, path: string): InputProblem | undefined {
    const narrow = { allOf: all.nodes } as JsonSchema;
    if (typeof wide.$ref === 'string') {
      const target = referenceTarget(this.#wideRoot, wide.$ref) as JsonSchema;
      const found = this.problem(narrow, target, path);
      if (found) return found;
    }
    for (const part of Array.isArray(wide.allOf) ? wide.allOf : []) {
      const found = this.problem(narrow, part as JsonSchema, path);
      if (found) return found;
    }
    return undefined;
  }

  #typeProblem(all: Conjunction, wide: Node, path: string): InputProblem | undefined {
    const allowed = typesOf(wide);
    const missing = [...all.types.difference(allowed)].map((type) => (type === 'fraction' ? 'number' : type));
    return missing.length === 0
      ? undefined
      : { path, message: `no longer allows ${[...new Set(missing)].join(' or ')}` };
  }

  #valuesProblem(all: Conjunction, wide: Node, path: string): InputProblem | undefined {
    const allowed = finiteValues(wide);
    if (!allowed) return undefined;
    const texts = new Set(allowed.map(canonicalJson));
    const possible =
      all.nodes.map(finiteValues).find((values) => values !== undefined) ?? valuesOfTypes(all.types);
    if (!possible) return { path, message: 'allows only listed values where others were allowed' };
    const lost = possible.find((value) => !texts.has(canonicalJson(value)) && this.#fitsNarrow(all, value));
    return lost === undefined
      ? undefined
      : { path, message: `no longer allows the value ${JSON.stringify(lost)}` };
  }

  /** Listed values that another keyword of the same side excludes cannot have been written. */
  #fitsNarrow(all: Conjunction, value: Json): boolean {
    return fits(this.#narrowRoot, { allOf: all.nodes }, value) !== false;
  }

  #alternativesProblem(all: Conjunction, wide: Node, path: string): InputProblem | undefined {
    const narrow = { allOf: all.nodes } as JsonSchema;
    const { anyOf, oneOf } = wide;
    if (Array.isArray(anyOf) && !anyOf.some((one) => !this.problem(narrow, one as JsonSchema, path))) {
      return { path, message: 'has no alternative that takes everything that was allowed' };
    }
    if (!Array.isArray(oneOf)) return undefined;
    const chosen = oneOf.findIndex((one) => !this.problem(narrow, one as JsonSchema, path));
    if (chosen < 0) return { path, message: 'has no alternative that takes everything that was allowed' };
    const clear = oneOf.every((one, index) => index === chosen || this.#excludes(all, one as JsonSchema));
    return clear
      ? undefined
      : { path, message: 'uses oneOf with alternatives that may overlap, which cannot be judged; use anyOf' };
  }

  /** Whether no value of the conjunction can fit `other`: by its kind, or by a member with another constant. */
  #excludes(all: Conjunction, other: JsonSchema): boolean {
    if (!isNode(other)) return other === false;
    if (typeof other.$ref === 'string')
      return this.#excludes(all, referenceTarget(this.#wideRoot, other.$ref) as JsonSchema);
    if (all.types.isDisjointFrom(typesOf(other))) return true;
    const values = finiteValues(other);
    const own = all.nodes.map(finiteValues).find((list) => list !== undefined);
    if (values && own && new Set(values.map(canonicalJson)).isDisjointFrom(new Set(own.map(canonicalJson))))
      return true;
    return all.types.size === 1 && all.types.has('object') && this.#excludesByMember(all, other);
  }

  #excludesByMember(all: Conjunction, other: Node): boolean {
    const required = new Set(
      all.nodes.flatMap((node) => (Array.isArray(node.required) ? (node.required as string[]) : [])),
    );
    const members = isNode(other.properties) ? other.properties : {};
    return [...required].some((name) => {
      const own = all.nodes.flatMap((node) =>
        isNode(node.properties) && Object.hasOwn(node.properties, name) ? [node.properties[name]!] : [],
      );
      if (own.length === 0 || !Object.hasOwn(members, name)) return false;
      return this.#excludes(this.#conjunction({ allOf: own }), members[name] as JsonSchema);
    });
  }
}

function valuesOfTypes(types: ReadonlySet<string>): readonly Json[] | undefined {
  const values: Json[] = [];
  for (const type of types) {
    if (type === 'null') values.push(null);
    else if (type === 'boolean') values.push(true, false);
    else return undefined;
  }
  return values;
}

/** undefined when it cannot be told, because the part refers to places outside the definitions it is moved with. */
function fits(root: JsonSchema, part: Node, value: Json): boolean | undefined {
  const { $defs = {}, definitions = {} } = isNode(root) ? root : {};
  const moved: Node = { $defs, definitions, ...part };
  const references = canonicalJson(moved).matchAll(/"\$ref":"([^"]*)"/g);
  for (const [, reference] of references)
    if (!/^#\/(?:\$defs|definitions)\//.test(reference!)) return undefined;
  return fitsSchema(moved, value);
}

function opaqueProblem(all: Conjunction, wide: Node, path: string): InputProblem | undefined {
  for (const keyword of Object.keys(wide)) {
    if (SILENT.has(keyword) || STRUCTURED.has(keyword) || keyword.startsWith('x-')) continue;
    const together = OPAQUE[keyword];
    const same = (node: Node): boolean =>
      together!.every((name) => canonicalJson(node[name] ?? null) === canonicalJson(wide[name] ?? null));
    if (together && !canonicalJson(wide).includes('"$ref"') && all.nodes.some(same)) continue;
    return { path: pointer(path, keyword), message: 'uses a keyword whose change cannot be judged' };
  }
  return undefined;
}

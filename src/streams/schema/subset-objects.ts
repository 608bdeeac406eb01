import type { InputProblem, Json, JsonSchema } from '../../kernel/index.ts';
import { pointer } from './canonical.ts';
import { compilePattern } from './pattern.ts';
import { lowerBound, smallest, upperBound } from './subset-scalars.ts';
import {
  type Comparison,
  type ComparisonRules,
  type Conjunction,
  isNode,
  type Node,
} from './subset-types.ts';

const membersOf = (node: Node): Node => (isNode(node.properties) ? node.properties : {});
const patternsOf = (node: Node): [string, Json][] =>
  isNode(node.patternProperties) ? Object.entries(node.patternProperties) : [];
const matches = (pattern: string, name: string): boolean => compilePattern(pattern).test(name);
const requiredOf = (all: Conjunction): Set<string> =>
  new Set(all.nodes.flatMap((node) => (Array.isArray(node.required) ? (node.required as string[]) : [])));

/** What a node says of the member `name`. */
function memberSchemas(node: Node, name: string): Json[] {
  const members = membersOf(node);
  const schemas = patternsOf(node).flatMap(([pattern, schema]) => (matches(pattern, name) ? [schema] : []));
  if (Object.hasOwn(members, name)) schemas.push(members[name]!);
  return schemas.length > 0 ? schemas : [node.additionalProperties ?? true];
}

/** Keywords under which members may be declared, or allowed, that `properties` does not list. */
const DECLARING_ELSEWHERE = [
  ...['additionalProperties', 'unevaluatedProperties', 'anyOf', 'oneOf', 'not'],
  ...['if', 'dependentSchemas', 'dependencies'],
];

/**
 * C4 an object that lists its members and says nothing of others is taken to have no others: the schema libraries leave
 * objects open by default, and what nobody declared nobody reads. Only here may a value be shut out by a change that
 * passed: a publisher that sent undeclared members of another type may be refused later.
 */
const omitsUndeclared = (rules: ComparisonRules, all: Conjunction): boolean =>
  rules.undeclared === 'absent' &&
  all.nodes.some((node) => isNode(node.properties)) &&
  !all.nodes.some((node) => DECLARING_ELSEWHERE.some((keyword) => node[keyword] !== undefined));

/** Names that `properties` or `required` tell of. */
const declaredNames = (all: Conjunction): Set<string> =>
  new Set([...all.nodes.flatMap((node) => Object.keys(membersOf(node))), ...requiredOf(all)]);

function member({ rules }: Comparison, all: Conjunction, name: string): JsonSchema {
  const matched = all.nodes.some((node) => patternsOf(node).some(([pattern]) => matches(pattern, name)));
  if (!matched && !declaredNames(all).has(name) && omitsUndeclared(rules, all)) return false;
  return { allOf: all.nodes.flatMap((node) => memberSchemas(node, name)) };
}

/** What holds for members that no node names: those without a matching pattern, and those of each pattern. */
function unnamed({ rules }: Comparison, all: Conjunction): { rest: JsonSchema; patterns: [string, Json][] } {
  return {
    rest: omitsUndeclared(rules, all)
      ? false
      : { allOf: all.nodes.map((node) => node.additionalProperties ?? true) },
    patterns: all.nodes.flatMap(patternsOf),
  };
}

export function objectProblem(
  comparison: Comparison,
  all: Conjunction,
  wide: Node,
  path: string,
): InputProblem | undefined {
  if (!all.types.has('object')) return undefined;
  const closed = all.nodes.find(
    (node) => node.additionalProperties === false && patternsOf(node).length === 0,
  );
  const atMost = closed ? Object.keys(membersOf(closed)).length : Number.POSITIVE_INFINITY;
  return (
    requiredProblem(comparison, all, wide, path) ??
    lowerBound(all, wide, path, 'minProperties', requiredOf(all).size) ??
    upperBound(all, wide, path, 'maxProperties', Math.min(atMost, smallest(all, 'maxProperties'))) ??
    namedProblem(comparison, all, wide, path) ??
    patternProblem(comparison, all, wide, path) ??
    additionalProblem(comparison, all, wide, path)
  );
}

function requiredProblem(
  { rules }: Comparison,
  all: Conjunction,
  wide: Node,
  path: string,
): InputProblem | undefined {
  const required = requiredOf(all);
  const filled = (name: string): boolean => {
    const schema = membersOf(wide)[name];
    return rules.defaultsFill && isNode(schema) && schema.default !== undefined;
  };
  const added = Array.isArray(wide.required)
    ? (wide.required as string[]).find((name) => !required.has(name) && !filled(name))
    : undefined;
  return added === undefined
    ? undefined
    : { path: pointer(path, added), message: 'is required, but was not before' };
}

function namedProblem(
  comparison: Comparison,
  all: Conjunction,
  wide: Node,
  path: string,
): InputProblem | undefined {
  for (const [name, schema] of Object.entries(membersOf(wide))) {
    const found = comparison.problem(
      member(comparison, all, name),
      schema as JsonSchema,
      pointer(path, name),
    );
    if (!found) continue;
    const known = all.nodes.some((node) => Object.hasOwn(membersOf(node), name));
    if (known) return found;
    const message =
      'is new, but the other schema allows members of any kind under this name; close its object with additionalProperties: false first, or take the new member without a type';
    return { path: pointer(path, name), message };
  }
  return undefined;
}

function patternProblem(
  comparison: Comparison,
  all: Conjunction,
  wide: Node,
  path: string,
): InputProblem | undefined {
  const named = declaredNames(all);
  for (const [pattern, schema] of patternsOf(wide)) {
    const place = pointer(pointer(path, 'patternProperties'), pattern);
    for (const name of named) {
      const found =
        matches(pattern, name) &&
        comparison.problem(member(comparison, all, name), schema as JsonSchema, place);
      if (found) return found;
    }
    const same = all.nodes.flatMap((node) =>
      patternsOf(node)
        .filter(([own]) => own === pattern)
        .map(([, own]) => own),
    );
    if (same.length > 0 && !comparison.problem({ allOf: same }, schema as JsonSchema, place)) continue;
    const found = unnamedProblem(comparison, all, schema as JsonSchema, place);
    if (found) return found;
  }
  return undefined;
}

function unnamedProblem(
  comparison: Comparison,
  all: Conjunction,
  schema: JsonSchema,
  path: string,
): InputProblem | undefined {
  const { rest, patterns } = unnamed(comparison, all);
  for (const [, own] of patterns) {
    const found = comparison.problem(own as JsonSchema, schema, path);
    if (found) return found;
  }
  return comparison.problem(rest, schema, path);
}

/** Members that the wide side does not name fall under its `additionalProperties`. */
function additionalProblem(
  comparison: Comparison,
  all: Conjunction,
  wide: Node,
  path: string,
): InputProblem | undefined {
  const additional = (wide.additionalProperties ?? true) as JsonSchema;
  if (additional === true) return undefined;
  const patterns = patternsOf(wide);
  const covered = (name: string): boolean =>
    Object.hasOwn(membersOf(wide), name) || patterns.some(([pattern]) => matches(pattern, name));
  for (const name of declaredNames(all)) {
    if (covered(name)) continue;
    const found = comparison.problem(member(comparison, all, name), additional, pointer(path, name));
    if (found) return additional === false ? { path: found.path, message: 'is no longer allowed' } : found;
  }
  const { rest, patterns: own } = unnamed(comparison, all);
  const uncovered = own.filter(([pattern]) => !patterns.some(([other]) => other === pattern));
  const place = pointer(path, 'additionalProperties');
  for (const schema of [rest, ...uncovered.map(([, each]) => each as JsonSchema)]) {
    const found = comparison.problem(schema, additional, place);
    if (found)
      return additional === false ? { path: place, message: 'excludes members that were allowed' } : found;
  }
  return undefined;
}

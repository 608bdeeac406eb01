import type { InputProblem, Json, JsonSchema } from '../../kernel/index.ts';
import { pointer } from './canonical.ts';
import { lowerBound, smallest, upperBound } from './subset-scalars.ts';
import type { Comparison, Conjunction, Node } from './subset-types.ts';

interface Items {
  readonly first: readonly Json[];
  readonly rest: Json;
}

/** Draft 07 has a list in `items` and the rest in `additionalItems`; 2020-12 has `prefixItems` and `items`. */
function itemsOf(node: Node): Items {
  if (Array.isArray(node.items)) return { first: node.items, rest: node.additionalItems ?? true };
  return { first: Array.isArray(node.prefixItems) ? node.prefixItems : [], rest: node.items ?? true };
}

export function arrayProblem(
  comparison: Comparison,
  all: Conjunction,
  wide: Node,
  path: string,
): InputProblem | undefined {
  if (!all.types.has('array')) return undefined;
  const unique =
    wide.uniqueItems === true &&
    smallest(all, 'maxItems') > 1 &&
    !all.nodes.some((node) => node.uniqueItems === true);
  return (
    lowerBound(all, wide, path, 'minItems', 0) ??
    upperBound(all, wide, path, 'maxItems') ??
    (unique
      ? {
          path: pointer(path, 'uniqueItems'),
          message: 'excludes lists with repeated items, which were allowed',
        }
      : undefined) ??
    itemsProblem(comparison, all, wide, path)
  );
}

function itemsProblem(
  comparison: Comparison,
  all: Conjunction,
  wide: Node,
  path: string,
): InputProblem | undefined {
  const wanted = itemsOf(wide);
  const own = all.nodes.map(itemsOf);
  const listed = Math.max(wanted.first.length, ...own.map(({ first }) => first.length));
  const longest = smallest(all, 'maxItems');
  for (let index = 0; index <= listed && index < longest; index++) {
    // At `listed` the rest is compared, for all places from there on.
    const at = (items: Items): Json => items.first[index] ?? items.rest;
    const narrow = { allOf: own.map(at) } as JsonSchema;
    const place = index < wanted.first.length ? pointer(path, index) : `${path}/items`;
    const found = comparison.problem(narrow, at(wanted) as JsonSchema, place);
    if (found) return found;
  }
  return undefined;
}

import type { InputProblem, Json } from '../../kernel/index.ts';
import { pointer } from './canonical.ts';
import { FORMATS } from './formats.ts';
import type { Conjunction, Node } from './subset-types.ts';

function numbers(all: Conjunction, keyword: string): number[] {
  return all.nodes.flatMap((node) => (typeof node[keyword] === 'number' ? [node[keyword] as number] : []));
}

export const largest = (all: Conjunction, keyword: string): number =>
  Math.max(Number.NEGATIVE_INFINITY, ...numbers(all, keyword));
export const smallest = (all: Conjunction, keyword: string): number =>
  Math.min(Number.POSITIVE_INFINITY, ...numbers(all, keyword));

const tightened = (path: string, keyword: string, bound: Json): InputProblem => ({
  path: pointer(path, keyword),
  message: `is ${JSON.stringify(bound)}, which excludes values that were allowed`,
});

/** `minimum`, `minLength`, … : the narrow side must reach at least as far as the wide side asks. */
export function lowerBound(
  all: Conjunction,
  wide: Node,
  path: string,
  keyword: string,
  implied = Number.NEGATIVE_INFINITY,
): InputProblem | undefined {
  const bound = wide[keyword];
  if (typeof bound !== 'number' || Math.max(largest(all, keyword), implied) >= bound) return undefined;
  return tightened(path, keyword, bound);
}

export function upperBound(
  all: Conjunction,
  wide: Node,
  path: string,
  keyword: string,
  implied = Number.POSITIVE_INFINITY,
): InputProblem | undefined {
  const bound = wide[keyword];
  if (typeof bound !== 'number' || Math.min(smallest(all, keyword), implied) <= bound) return undefined;
  return tightened(path, keyword, bound);
}

function exclusiveProblem(all: Conjunction, wide: Node, path: string): InputProblem | undefined {
  const { exclusiveMinimum: above, exclusiveMaximum: below } = wide;
  if (
    typeof above === 'number' &&
    largest(all, 'exclusiveMinimum') < above &&
    largest(all, 'minimum') <= above
  ) {
    return tightened(path, 'exclusiveMinimum', above);
  }
  if (
    typeof below === 'number' &&
    smallest(all, 'exclusiveMaximum') > below &&
    smallest(all, 'maximum') >= below
  ) {
    return tightened(path, 'exclusiveMaximum', below);
  }
  return undefined;
}

function multipleProblem(all: Conjunction, wide: Node, path: string): InputProblem | undefined {
  const divisor = wide.multipleOf;
  if (typeof divisor !== 'number') return undefined;
  const known = numbers(all, 'multipleOf');
  if (!all.types.has('fraction')) known.push(1);
  const implied = known.some(
    (own) => own === divisor || (Number.isInteger(own) && Number.isInteger(divisor) && own % divisor === 0),
  );
  return implied ? undefined : tightened(path, 'multipleOf', divisor);
}

export function numberProblem(all: Conjunction, wide: Node, path: string): InputProblem | undefined {
  if (!all.types.has('integer') && !all.types.has('fraction')) return undefined;
  return (
    lowerBound(all, wide, path, 'minimum', largest(all, 'exclusiveMinimum')) ??
    upperBound(all, wide, path, 'maximum', smallest(all, 'exclusiveMaximum')) ??
    exclusiveProblem(all, wide, path) ??
    multipleProblem(all, wide, path)
  );
}

export function stringProblem(all: Conjunction, wide: Node, path: string): InputProblem | undefined {
  if (!all.types.has('string')) return undefined;
  const bounds = lowerBound(all, wide, path, 'minLength', 0) ?? upperBound(all, wide, path, 'maxLength');
  if (bounds) return bounds;
  for (const keyword of ['pattern', 'format'] as const) {
    const wanted = wide[keyword];
    const annotation = keyword === 'format' && !Object.hasOwn(FORMATS, String(wanted));
    if (wanted === undefined || annotation || all.nodes.some((node) => node[keyword] === wanted)) continue;
    return tightened(path, keyword, wanted);
  }
  return undefined;
}

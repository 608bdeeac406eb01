import type { SchemaProblem } from './problem.ts';

/** A zod schema's definition (`schema._zod.def`), as far as it is walked here. */
interface Definition {
  readonly type: string;
  readonly coerce?: boolean;
  readonly checks?: readonly { readonly _zod?: { readonly def: { readonly check: string } } }[];
  readonly [property: string]: unknown;
}

const NO_JSON = new Set([
  'bigint',
  'date',
  'file',
  'function',
  'map',
  'nan',
  'set',
  'symbol',
  'undefined',
  'void',
]);

const definitionOf = (value: unknown): Definition | undefined =>
  (value as { _zod?: { def?: Definition } } | undefined)?._zod?.def;

function childrenOf(def: Definition): [segment: string, child: unknown][] {
  const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
  const same = [def.innerType, def.left, def.right, def.in, def.out, ...list(def.options)];
  const lazy = def.type === 'lazy' ? [(def.getter as () => unknown)()] : [];
  return [
    ...Object.entries((def.shape ?? {}) as object),
    ...Object.entries(list(def.items)),
    ...[def.element, def.keyType, def.valueType, def.rest].map((child): [string, unknown] => ['*', child]),
    ...[...same, ...lazy].map((child): [string, unknown] => ['', child]),
  ];
}

function problemsOf(def: Definition): string[] {
  const found: string[] = [];
  if (def.type === 'transform' || def.type === 'catch') found.push(`transforms (${def.type})`);
  if (def.coerce === true) found.push('transforms (coerce)');
  if (NO_JSON.has(def.type)) found.push(`cannot be JSON (${def.type})`);
  if (def.type === 'promise') found.push('is async (promise)');
  if (def.type === 'custom') found.push('checks with code of its own (custom)');
  for (const check of def.checks ?? []) {
    const kind = check._zod?.def.check;
    if (kind === 'custom') found.push('checks with code of its own (refine)');
    if (kind === 'overwrite') found.push('transforms (overwrite)');
  }
  return found;
}

function walk(schema: unknown, path: string, seen: Set<unknown>, problems: SchemaProblem[]): void {
  const def = definitionOf(schema);
  if (!def || seen.has(schema)) return;
  seen.add(schema);
  for (const message of problemsOf(def)) problems.push({ path, message });
  for (const [segment, child] of childrenOf(def)) {
    walk(child, segment === '' ? path : `${path}/${segment}`, seen, problems);
  }
}

export function zodProblems(schema: unknown): SchemaProblem[] {
  const problems: SchemaProblem[] = [];
  walk(schema, '', new Set(), problems);
  return problems;
}

import type { SchemaProblem } from './problem.ts';

type Node = { readonly [property: string]: unknown };

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function members(node: Node): [segment: string, child: unknown][] {
  const keyed = [node.required, node.optional].flatMap((list) =>
    Array.isArray(list) ? (list as Node[]) : [],
  );
  const index = (Array.isArray(node.index) ? (node.index as Node[]) : []).map((each) => each.value);
  const sequence = node.sequence;
  return [
    ...keyed.map((each): [string, unknown] => [String(each.key), each.value]),
    ...[...index, sequence].map((child): [string, unknown] => ['*', child]),
    ['', node.in],
  ];
}

/** `Date`, `bigint` and others that JSON has no form for; arktype names classes with a capital letter. */
function noJson(name: unknown): name is string {
  return typeof name === 'string' && /^(bigint|symbol|undefined|(?!Array$)[A-Z]\w*)$/.test(name);
}

function walk(node: unknown, path: string, problems: SchemaProblem[]): void {
  const name = [node, (node as Node | null)?.domain, (node as Node | null)?.proto].find(noJson);
  if (name) problems.push({ path, message: `cannot be JSON (${name})` });
  if (Array.isArray(node)) for (const branch of node) walk(branch, path, problems);
  if (!isNode(node)) return;
  if (node.morphs) problems.push({ path, message: 'transforms (morph)' });
  if (node.predicate) problems.push({ path, message: 'checks with code of its own (narrow)' });
  for (const [segment, child] of members(node)) {
    walk(child, segment === '' ? path : `${path}/${segment}`, problems);
  }
}

/** Walks arktype's own description of a type (`type.json`). */
export function arktypeProblems(schema: unknown): SchemaProblem[] {
  const problems: SchemaProblem[] = [];
  walk((schema as { json?: unknown }).json, '', problems);
  return problems;
}

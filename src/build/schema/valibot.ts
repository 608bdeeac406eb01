import { toJsonSchema } from '@valibot/to-json-schema';
import type { JsonSchema } from '../../kernel/index.ts';
import type { SchemaProblem } from './problem.ts';

/** A valibot schema or action, as far as it is walked here. */
interface Part {
  readonly kind: string;
  readonly type: string;
  readonly async?: boolean;
  readonly [property: string]: unknown;
}

/** Actions that valibot counts as transformations although they change types only. */
const TYPES_ONLY = new Set(['brand', 'flavor', 'readonly', 'metadata', 'title', 'description']);
const OWN_CODE = new Set([
  'check',
  'check_items',
  'partial_check',
  'raw_check',
  'custom',
  'every_item',
  'some_item',
]);
const NO_JSON = new Set([
  'bigint',
  'blob',
  'custom',
  'date',
  'file',
  'function',
  'instance',
  'map',
  'nan',
  'promise',
  'set',
  'symbol',
  'undefined',
  'void',
]);

const isPart = (value: unknown): value is Part =>
  typeof value === 'object' && value !== null && typeof (value as Part).kind === 'string';

function childrenOf(schema: Part): [segment: string, child: unknown][] {
  const entries = Object.entries((schema.entries ?? {}) as object);
  const items = Object.entries((Array.isArray(schema.items) ? schema.items : []) as unknown[]);
  const options = (Array.isArray(schema.options) ? schema.options : []) as unknown[];
  return [
    ...entries,
    ...items,
    ...options.map((option): [string, unknown] => ['', option]),
    ['*', schema.item],
    ['*', schema.key],
    ['*', schema.value],
    ['*', schema.rest],
    ['', schema.wrapped],
  ];
}

function actionProblem(action: Part): string | undefined {
  if (action.async) return `is async (${action.type})`;
  if (action.kind === 'transformation' && !TYPES_ONLY.has(action.type)) return `transforms (${action.type})`;
  return OWN_CODE.has(action.type) ? `checks with code of its own (${action.type})` : undefined;
}

function walk(schema: unknown, path: string, seen: Set<unknown>, problems: SchemaProblem[]): void {
  if (!isPart(schema) || seen.has(schema)) return;
  seen.add(schema);
  if (schema.async) problems.push({ path, message: `is async (${schema.type})` });
  else if (NO_JSON.has(schema.type)) problems.push({ path, message: `cannot be JSON (${schema.type})` });
  for (const [index, action] of ((schema.pipe ?? []) as Part[]).entries()) {
    if (index === 0) continue;
    if (action.kind === 'schema') walk(action, path, seen, problems);
    const message = actionProblem(action);
    if (message) problems.push({ path, message });
  }
  for (const [segment, child] of childrenOf(schema)) {
    walk(child, segment === '' ? path : `${path}/${segment}`, seen, problems);
  }
}

export function valibotProblems(schema: unknown): SchemaProblem[] {
  const problems: SchemaProblem[] = [];
  walk(schema, '', new Set(), problems);
  return problems;
}

export function valibotToJsonSchema(schema: unknown): JsonSchema {
  const options = {
    target: 'draft-2020-12',
    typeMode: 'input',
    ignoreActions: ['brand', 'flavor', 'readonly'],
  } satisfies Parameters<typeof toJsonSchema>[1];
  return toJsonSchema(schema as Parameters<typeof toJsonSchema>[0], options) as JsonSchema;
}

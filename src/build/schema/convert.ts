import type { JsonSchema } from '../../kernel/index.ts';
import { arktypeProblems } from './arktype.ts';
import type { SchemaProblem } from './problem.ts';
import { valibotProblems, valibotToJsonSchema } from './valibot.ts';
import { zodProblems } from './zod.ts';

export type Converted = { readonly schema: JsonSchema } | { readonly problems: readonly SchemaProblem[] };

interface Standard {
  readonly vendor: string;
  readonly jsonSchema?: { input(options: { target: string }): JsonSchema };
}

const WALKERS: Record<string, (schema: unknown) => SchemaProblem[]> = {
  valibot: valibotProblems,
  zod: zodProblems,
  arktype: arktypeProblems,
};

/** Whether `value` is a schema of any library that follows Standard Schema. */
export function isSchema(value: unknown): boolean {
  const candidate = typeof value === 'object' || typeof value === 'function' ? value : null;
  return candidate !== null && typeof (candidate as { '~standard'?: unknown })['~standard'] === 'object';
}

/** valibot has an exporter of its own; zod (4.2 on), arktype and others carry Standard JSON Schema. */
function exported(schema: unknown, standard: Standard): JsonSchema {
  if (standard.vendor === 'valibot') return valibotToJsonSchema(schema);
  if (standard.jsonSchema) return standard.jsonSchema.input({ target: 'draft-2020-12' });
  throw new Error(
    `comes from ${standard.vendor}, which cannot give its JSON Schema; use valibot, zod 4.2 or later, or arktype`,
  );
}

function withoutDialect(schema: JsonSchema): JsonSchema {
  if (typeof schema === 'boolean') return schema;
  const { $schema: _dialect, ...rest } = schema;
  return rest;
}

/** A schema as JSON Schema (2020-12), or all the reasons why the platform could not check it as the library does. */
export function convertSchema(schema: unknown): Converted {
  const standard = (schema as { '~standard': Standard })['~standard'];
  const problems = WALKERS[standard.vendor]?.(schema) ?? [];
  if (problems.length > 0) return { problems };
  try {
    return { schema: JSON.parse(JSON.stringify(withoutDialect(exported(schema, standard)))) as JsonSchema };
  } catch (error) {
    return { problems: [{ path: '', message: (error as Error).message }] };
  }
}

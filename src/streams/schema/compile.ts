import type { Ajv, ErrorObject, Options, ValidateFunction } from 'ajv';
import { type InputProblem, type Json, type JsonSchema, MillraceError } from '../../kernel/index.ts';
import { canonicalJson } from './canonical.ts';
import { FORMATS } from './formats.ts';
import { type Inspection, inspectSchema } from './inspect.ts';
import { compilePattern } from './pattern.ts';
import { toProblems } from './problems.ts';
import { loadValidators } from './validators.ts';

export interface CompiledSchema {
  readonly schema: JsonSchema;
  /** The problems of a value, none when it fits. Values of more than `ALL_PROBLEMS_BYTES` name their first only. */
  problems(value: Json, sizeBytes: number): readonly InputProblem[];
}

export interface SchemaCompiler {
  /** Throws SCHEMA_INVALID with the path of every problem. */
  compile(schema: JsonSchema): CompiledSchema;
}

/** Listing every problem of a large value could take many times its memory. */
const ALL_PROBLEMS_BYTES = 64 * 1024;
const ANNOTATIONS = ['example', 'xml', 'externalDocs', 'discriminator'];

const pattern = Object.assign((source: string): RegExp => compilePattern(source) as RegExp, {
  code: 'new RegExp',
});

const OPTIONS: Options = {
  strict: true,
  strictTypes: false,
  strictTuples: false,
  strictRequired: false,
  allowMatchingProperties: true,
  validateSchema: false,
  meta: false,
  addUsedSchema: false,
  logger: false,
  code: { regExp: pattern },
};

/** Linear where the library's own compares every pair. */
function hasRepeatedItem(items: readonly Json[]): boolean {
  return new Set(items.map(canonicalJson)).size < items.length;
}

function createValidator({ draft, formats, extensions }: Inspection, allErrors: boolean): Ajv {
  const { Ajv, Ajv2020 } = loadValidators();
  const validator =
    draft === '07' ? new Ajv({ ...OPTIONS, allErrors }) : new Ajv2020({ ...OPTIONS, allErrors });
  for (const format of formats) validator.addFormat(format, FORMATS[format] ?? true);
  for (const keyword of [...ANNOTATIONS, ...extensions]) {
    if (!validator.getKeyword(keyword)) validator.addKeyword(keyword);
  }
  validator.removeKeyword('uniqueItems').addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (unique: boolean, items: readonly Json[]) => !unique || !hasRepeatedItem(items),
    error: { message: 'must not hold the same item twice' },
  });
  return validator;
}

function invalid(problems: readonly InputProblem[]): MillraceError {
  const shown = problems.slice(0, 100);
  const first = shown[0]!;
  return new MillraceError(
    'SCHEMA_INVALID',
    `The schema cannot be used: ${first.path === '' ? 'it' : first.path} ${first.message}.`,
    { errors: shown },
  );
}

/** The schemas of schemas take tens of milliseconds to compile, so each is compiled once, when first needed. */
function metaSchemas(): (schema: JsonSchema, draft: '2020-12' | '07') => readonly InputProblem[] {
  const known = new Map<string, Ajv>();
  return (schema, draft) => {
    let ajv = known.get(draft);
    if (!ajv) {
      const { Ajv, Ajv2020 } = loadValidators();
      const options: Options = { allErrors: true, strict: false, logger: false, validateFormats: false };
      known.set(draft, (ajv = draft === '07' ? new Ajv(options) : new Ajv2020(options)));
    }
    return ajv.validateSchema(schema) === true ? [] : toProblems(ajv.errors ?? []);
  };
}

function build(schema: JsonSchema, inspection: Inspection, allErrors: boolean): ValidateFunction {
  try {
    return createValidator(inspection, allErrors).compile(withoutDraft(schema));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw invalid([{ path: '', message: `cannot be compiled: ${message}` }]);
  }
}

/** The draft is settled by then; with the name left in, the library would look for the schema of schemas. */
function withoutDraft(schema: JsonSchema): JsonSchema {
  if (typeof schema !== 'object') return schema;
  const { $schema: _, ...rest } = schema;
  return rest;
}

export function createSchemaCompiler(): SchemaCompiler {
  const checkAgainstDraft = metaSchemas();
  return {
    compile(schema) {
      const inspection = inspectSchema(schema);
      if (inspection.problems.length > 0) throw invalid(inspection.problems);
      const faults = checkAgainstDraft(schema, inspection.draft);
      if (faults.length > 0) throw invalid(faults);
      const first = build(schema, inspection, false);
      let all: ValidateFunction | undefined;
      const errorsOf = (value: Json, sizeBytes: number): readonly ErrorObject[] => {
        if (sizeBytes > ALL_PROBLEMS_BYTES) return first.errors ?? [];
        all ??= build(schema, inspection, true);
        all(value);
        return all.errors ?? [];
      };
      return {
        schema,
        problems: (value, sizeBytes) => (first(value) ? [] : toProblems(errorsOf(value, sizeBytes))),
      };
    },
  };
}

/** The first problem of `value` under a schema that was compiled, and so checked, before; none when it fits. */
export function valueProblems(schema: JsonSchema, value: Json): readonly InputProblem[] {
  const validate = build(schema, inspectSchema(schema), false);
  return validate(value) ? [] : toProblems(validate.errors ?? []);
}

/** Whether `value` fits a part of a schema that was compiled before. */
export const fitsSchema = (schema: JsonSchema, value: Json): boolean =>
  valueProblems(schema, value).length === 0;

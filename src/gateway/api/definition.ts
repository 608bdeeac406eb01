import {
  COMPATIBILITY_MODES,
  type InputProblem,
  type Json,
  type JsonSchema,
  MillraceError,
  nearest,
  parseDurationMs,
  parseSizeBytes,
} from '../../kernel/index.ts';
import type { StreamDefinition } from '../../streams/index.ts';

type Reader = (value: Json, path: string) => Partial<StreamDefinition>;

/** What `POST /streams` understands, as the SDK writes it; values are checked further by the streams room. */
const FIELDS: { readonly [name: string]: Reader } = {
  name: (value, path) => ({ name: text(value, path) }),
  partitions: (value, path) => ({ partitions: wholeNumber(value, path) }),
  key: (value, path) => ({ keyPath: pointer(text(value, path)) }),
  schema: (value, path) => ({ schema: schema(value, path) }),
  compatibility: (value, path) => ({ compatibility: choice(value, path, COMPATIBILITY_MODES) }),
  onInvalid: (value, path) => ({ onInvalid: choice(value, path, ['refuse', 'divert']) }),
  retention: (value, path) => ({ retentionMs: orNull(value, path, parseDurationMs) }),
  retentionBytes: (value, path) => ({ retentionBytes: orNull(value, path, parseSizeBytes) }),
  cleanup: (value, path) => ({ cleanup: choice(value, path, ['delete', 'compact', 'compact,delete']) }),
  maxRecordBytes: (value, path) => ({ maxRecordBytes: parseSizeBytes(value as string, path) }),
  repartition: (value, path) => ({ repartition: flag(value, path) }),
};

/** Reads a stream's definition; `name` comes from the body or, where it is given, from the path. Throws INVALID_INPUT. */
export function readDefinition(body: Json, name?: string): StreamDefinition {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new MillraceError(
      'INVALID_INPUT',
      'A stream is described by a JSON object, such as {"name":"payments"}.',
    );
  }
  const problems: InputProblem[] = [];
  const definition: Partial<StreamDefinition> = {};
  for (const [field, value] of Object.entries(body)) {
    try {
      Object.assign(definition, readerOf(field)(value, `/${field}`));
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      problems.push({ path: `/${field}`, message: error.message });
    }
  }
  if (name !== undefined && definition.name !== undefined && definition.name !== name) {
    problems.push({ path: '/name', message: `The path says ${name}.` });
  }
  const named = name ?? definition.name;
  if (named === undefined && !('name' in body))
    problems.push({ path: '/name', message: 'A name is required.' });
  if (problems.length > 0) {
    const all = problems.map((problem) => problem.message).join(' ');
    throw new MillraceError('INVALID_INPUT', `The stream is not described well: ${all}`, {
      errors: problems,
    });
  }
  return { ...definition, name: named! };
}

function readerOf(field: string): Reader {
  if (Object.hasOwn(FIELDS, field)) return FIELDS[field]!;
  const near = nearest(field, Object.keys(FIELDS));
  const hint = near === undefined ? `Known: ${Object.keys(FIELDS).join(', ')}.` : `Did you mean ${near}?`;
  throw new MillraceError('INVALID_INPUT', `There is no field ${field.slice(0, 50)}. ${hint}`);
}

/** `card.id` or `/card/id` → `/card/id`. */
function pointer(path: string): string {
  if (path === '' || path.startsWith('/')) return path;
  return `/${path
    .split('.')
    .map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1'))
    .join('/')}`;
}

function text(value: Json, path: string): string {
  if (typeof value === 'string') return value;
  throw wrong(path, 'a string');
}

function flag(value: Json, path: string): boolean {
  if (typeof value === 'boolean') return value;
  throw wrong(path, 'true or false');
}

function wholeNumber(value: Json, path: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw wrong(path, 'a whole number');
}

function schema(value: Json, path: string): JsonSchema {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonSchema;
  throw wrong(path, 'a JSON Schema');
}

function choice<const Choice extends string>(value: Json, path: string, choices: readonly Choice[]): Choice {
  const found = choices.find((each) => each === value);
  if (found !== undefined) return found;
  throw wrong(path, `one of ${choices.join(', ')}`);
}

function orNull(
  value: Json,
  path: string,
  parse: (value: string | number, path: string) => number,
): number | null {
  return value === null ? null : parse(value as string | number, path);
}

function wrong(path: string, what: string): MillraceError {
  return new MillraceError('INVALID_INPUT', `${path.slice(1)} must be ${what}.`);
}

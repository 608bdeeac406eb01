import {
  formatBytes,
  formatDuration,
  isMillraceError,
  type JsonSchema,
  nearest,
  parseDurationMs,
  parseSizeBytes,
} from '../../kernel/index.ts';
import type { Plain, TaggedSchema } from '../description.ts';
import type { Problems, SourcePlace } from '../problems.ts';

/**
 * Reads the options of one resource. Whatever is wrong becomes a problem with its place and a remedy, and the reader
 * goes on with the default, so that all problems are told at once.
 */
export interface OptionReader {
  has(name: string): boolean;
  integer(name: string, range: Range): number;
  number(name: string, range: Range): number;
  durationMs(name: string, range: Range): number;
  sizeBytes(name: string, range: Range): number;
  oneOf<const Choice extends string>(
    name: string,
    choices: readonly Choice[],
    preset: NoInfer<Choice>,
  ): Choice;
  boolean(name: string): boolean;
  text(name: string): string | undefined;
  texts(name: string, check?: (text: string) => string | undefined): readonly string[];
  schema(name: string): JsonSchema | undefined;
  /** The options inside `name`; empty when it is left out. */
  group(name: string, known: readonly string[]): OptionReader;
  raw(name: string): Plain;
  problem(name: string, message: string): void;
}

export interface Range {
  readonly min: number;
  readonly max: number;
  readonly preset: number;
}

export interface Subject {
  /** `function 'score'`. */
  readonly title: string;
  /** `/functions/score`. */
  readonly pointer: string;
  readonly place: SourcePlace | undefined;
}

type Fields = { readonly [name: string]: Plain };

/** What a value is, for the sentence `must be a number, not …`. */
export function kindOf(value: Plain): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') {
    const { tag } = value as { tag?: string };
    if (tag === 'schema') return 'a schema';
    if (tag === 'resource') return `a ${(value as { kind: string }).kind}`;
    return tag === 'other' ? `a ${(value as { type: string }).type}` : 'an object';
  }
  return typeof value === 'string' ? `'${value}'` : String(value);
}

export const fieldsOf = (value: Plain): Fields | undefined =>
  typeof value === 'object' && value !== null && 'fields' in value && value.tag === undefined
    ? value.fields
    : undefined;

export function createReader(
  fields: Fields,
  known: readonly string[],
  subject: Subject,
  problems: Problems,
  prefix = '',
): OptionReader {
  const problem = (name: string, message: string): void => {
    const pointer = `${subject.pointer}/${`${prefix}${name}`.replaceAll('.', '/')}`;
    problems.add(pointer, `${subject.title}: ${prefix}${name} ${message}`, subject.place);
  };
  for (const name of Object.keys(fields)) {
    if (known.includes(name)) continue;
    const meant = nearest(name, known);
    problem(name, `is not an option${meant === undefined ? '' : `; did you mean '${meant}'?`}`);
  }
  const value = (name: string): Plain => (Object.hasOwn(fields, name) ? fields[name] : undefined);

  /** `convert` answers undefined for a value of the wrong kind. */
  const measured = (
    name: string,
    range: Range,
    what: string,
    show: (value: number) => string,
    convert: (value: Plain) => number | undefined,
  ): number => {
    const given = value(name);
    if (given === undefined) return range.preset;
    const converted = convert(given);
    if (converted === undefined) problem(name, `must be ${what}, not ${kindOf(given)}.`);
    else if (converted < range.min || converted > range.max) {
      problem(name, `is ${show(converted)}; it must lie between ${show(range.min)} and ${show(range.max)}.`);
    } else return converted;
    return range.preset;
  };

  const list = (name: string): readonly Plain[] => {
    const given = value(name);
    if (given === undefined) return [];
    if (Array.isArray(given)) return given as readonly Plain[];
    problem(name, `must be a list, not ${kindOf(given)}.`);
    return [];
  };

  return {
    raw: value,
    problem,
    has: (name) => value(name) !== undefined,
    integer: (name, range) =>
      measured(name, range, 'a whole number', String, (given) =>
        Number.isSafeInteger(given) ? (given as number) : undefined,
      ),
    number: (name, range) =>
      measured(name, range, 'a number', String, (given) =>
        typeof given === 'number' && Number.isFinite(given) ? given : undefined,
      ),
    durationMs: (name, range) =>
      measured(name, range, "a duration such as '500ms' or '7d'", formatDuration, (given) =>
        parsed(given, parseDurationMs),
      ),
    sizeBytes: (name, range) =>
      measured(name, range, "a size such as '256mb'", formatBytes, (given) => parsed(given, parseSizeBytes)),
    oneOf(name, choices, preset) {
      const given = value(name);
      if (given === undefined) return preset;
      const found = choices.find((choice) => choice === given);
      if (found === undefined) {
        problem(
          name,
          `must be ${choices.map((choice) => `'${choice}'`).join(' or ')}, not ${kindOf(given)}.`,
        );
      }
      return found ?? preset;
    },
    boolean(name) {
      const given = value(name);
      if (given !== undefined && typeof given !== 'boolean') {
        problem(name, `must be true or false, not ${kindOf(given)}.`);
      }
      return given === true;
    },
    text(name) {
      const given = value(name);
      if (given === undefined || typeof given === 'string') return given;
      problem(name, `must be text, not ${kindOf(given)}.`);
      return undefined;
    },
    texts: (name, check) =>
      list(name).flatMap((each) => {
        const wrong = typeof each === 'string' ? check?.(each) : `holds ${kindOf(each)}, which is not text.`;
        if (wrong !== undefined) problem(name, wrong);
        return typeof each === 'string' ? [each] : [];
      }),
    schema(name) {
      const given = value(name);
      if (given === undefined) return undefined;
      const tagged = given as TaggedSchema;
      if (tagged?.tag !== 'schema') {
        problem(name, `must be a schema of valibot, zod or arktype, not ${kindOf(given)}.`);
        return undefined;
      }
      for (const { path, message } of tagged.problems) {
        problem(name, `${path === '' ? '' : `at ${path} `}${message}: ${remedyFor(message)}`);
      }
      return tagged.schema;
    },
    group(name, names) {
      const given = value(name);
      const inner = given === undefined ? {} : fieldsOf(given);
      if (!inner) problem(name, `must be an object, not ${kindOf(given)}.`);
      return createReader(inner ?? {}, names, subject, problems, `${prefix}${name}.`);
    },
  };
}

function parsed(given: Plain, parse: (value: string | number) => number): number | undefined {
  if (typeof given !== 'string' && typeof given !== 'number') return undefined;
  try {
    return parse(given);
  } catch (error) {
    if (isMillraceError(error)) return undefined;
    throw error;
  }
}

/** The platform checks values by JSON Schema, without running an app's code: it says what to do instead. */
function remedyFor(message: string): string {
  if (message.startsWith('transforms'))
    return 'describe the value as it is sent, and transform it in the handler.';
  if (message.startsWith('is async')) return 'use the synchronous form, and look things up in the handler.';
  if (message.startsWith('checks with code'))
    return 'use rules that JSON Schema knows, and check the rest in the handler.';
  if (message.startsWith('cannot be JSON'))
    return 'describe the JSON that is sent, such as text in ISO 8601 for a date.';
  return 'the platform needs it as JSON Schema.';
}

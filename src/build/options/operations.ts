import { isMillraceError, type Json, type ModelOperations, readModelOperations } from '../../kernel/index.ts';
import type { Plain } from '../description.ts';
import { kindOf, type OptionReader } from './reader.ts';

export const OPERATION_OPTIONS = ['watch', 'gates', 'release', 'retrain'] as const;

/** How the model is operated; undefined where the app says nothing. */
export function readOperations(options: OptionReader): ModelOperations | undefined {
  const said = OPERATION_OPTIONS.filter((name) => options.has(name));
  if (said.length === 0) return undefined;
  const given: { [name: string]: Json } = {};
  for (const name of said) {
    given[name] = toJson(options.raw(name), (path, value) => {
      options.problem(`${name}${path}`, `cannot hold ${kindOf(value)}.`);
    });
  }
  try {
    return readModelOperations(given);
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    for (const { path, message } of error.errors) {
      options.problem(path.slice(1).replaceAll('/', '.'), `${message}.`);
    }
    return undefined;
  }
}

/** Streams become their names; other resources, such as a schedule, their fields. */
export function toJson(value: Plain, problem: (path: string, value: Plain) => void, path = ''): Json {
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return (value as readonly Plain[]).map((each, index) => toJson(each, problem, `${path}.${index}`));
  }
  if (!('fields' in value)) {
    problem(path, value as Plain);
    return null;
  }
  const { fields, tag } = value;
  if (tag === 'resource' && (value as { kind: string }).kind === 'stream') return String(fields.name);
  return Object.fromEntries(
    Object.entries(fields).map(([name, each]) => [name, toJson(each, problem, `${path}.${name}`)]),
  );
}

import { isMillraceError, type Json, type ModelOperations, readModelOperations } from '../../kernel/index.ts';
import type { Plain } from '../description.ts';
import { cronProblem, timezoneProblem } from './cron.ts';
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
    const operations = readModelOperations(given);
    checkCron(operations, options);
    return operations;
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    for (const { path, message } of error.errors) {
      options.problem(path.slice(1).replaceAll('/', '.'), `${message}.`);
    }
    return undefined;
  }
}

function checkCron({ retrain }: ModelOperations, options: OptionReader): void {
  for (const [index, trigger] of (retrain?.on ?? []).entries()) {
    if (trigger.kind !== 'cron') continue;
    const { expression, timezone } = trigger;
    const problem = cronProblem(expression);
    if (problem !== undefined) options.problem(`retrain.on.${index}`, `cron ${problem}`);
    const zone = timezoneProblem(timezone);
    if (zone !== undefined) options.problem(`retrain.on.${index}.timezone`, zone);
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
  const own = Object.entries(fields).map(([name, each]) => [name, toJson(each, problem, `${path}.${name}`)]);
  return Object.fromEntries(tag === 'resource' ? [['kind', (value as { kind: string }).kind], ...own] : own);
}

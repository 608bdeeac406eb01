import type { FunctionManifest, Trigger } from '../../kernel/index.ts';
import type { Plain, TaggedResource } from '../description.ts';
import type { Problems } from '../problems.ts';
import { cronProblem, timezoneProblem } from './cron.ts';
import { ROUTE_OPTIONS, readHttpTrigger, routePathProblem, secretNameProblem } from './http.ts';
import { createReader, fieldsOf, kindOf, type OptionReader, type Subject } from './reader.ts';

export const FUNCTION_OPTIONS = [
  'on',
  'from',
  'batch',
  'input',
  'instances',
  'perInstance',
  'timeout',
  'memory',
  'cpu',
  'tmp',
  'retry',
  'env',
  'secrets',
] as const;

const MB = 1024 ** 2;
const SECOND_MS = 1000;
const DAY_MS = 86_400_000;
const MOST_INSTANCES = 1000;
const MOST_ENV_BYTES = 4096;
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** What a function's manifest says besides its code. */
export type FunctionSettings = Omit<FunctionManifest, 'name' | 'version' | 'entry' | 'exportName'>;

function readTrigger(value: Plain, subject: Subject, problems: Problems): Trigger | undefined {
  const problem = (message: string): void =>
    problems.add(`${subject.pointer}/on`, `${subject.title}: on ${message}`, subject.place);
  const { tag, kind, fields } = (value ?? {}) as TaggedResource;
  if (tag !== 'resource' || !['stream', 'http', 'every', 'cron'].includes(kind)) {
    problem(`must be a stream, http.…(…), every(…) or cron(…), or a list of these, not ${kindOf(value)}.`);
    return undefined;
  }
  if (kind === 'stream') return { kind, stream: String(fields.name) };
  if (kind === 'http') return readRoute(fields, subject, problems);
  if (kind === 'cron') {
    const expression = String(fields.expression);
    const timezone = String(fields.timezone);
    const wrong = cronProblem(expression);
    if (wrong !== undefined) problem(`cron ${wrong}`);
    const wrongZone = timezoneProblem(timezone);
    if (wrongZone !== undefined) problem(`timezone ${wrongZone}`);
    return { kind, expression, timezone };
  }
  const interval = createReader(fields, ['interval'], subject, problems, 'on.');
  return {
    kind: 'every',
    everyMs: interval.durationMs('interval', { min: 100, max: 365 * DAY_MS, preset: SECOND_MS }),
  };
}

function readRoute(fields: TaggedResource['fields'], subject: Subject, problems: Problems): Trigger {
  const path = String(fields.path);
  const method = METHODS.find((each) => each === fields.method) ?? 'GET';
  const route: Subject = {
    ...subject,
    title: `${subject.title} (${method} ${path})`,
    pointer: `${subject.pointer}/on`,
  };
  const options = createReader(fieldsOf(fields.options) ?? {}, ROUTE_OPTIONS, route, problems);
  const wrong = routePathProblem(path);
  if (wrong !== undefined)
    problems.add(`${subject.pointer}/on`, `${subject.title}: path ${wrong}`, subject.place);
  return readHttpTrigger(method, path, options);
}

function readEnv(options: OptionReader): { readonly [name: string]: string } {
  const given = options.raw('env');
  const fields = given === undefined ? {} : fieldsOf(given);
  if (!fields) options.problem('env', `must be an object of text, not ${kindOf(given)}.`);
  const entries = Object.entries(fields ?? {});
  for (const [name, value] of entries) {
    if (typeof value !== 'string') options.problem(`env.${name}`, `must be text, not ${kindOf(value)}.`);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      options.problem('env', `holds '${name}', which cannot be the name of a variable.`);
    }
  }
  const bytes = entries.reduce((sum, [name, value]) => sum + Buffer.byteLength(`${name}${String(value)}`), 0);
  if (bytes > MOST_ENV_BYTES) options.problem('env', `takes ${bytes} bytes; at most ${MOST_ENV_BYTES} fit.`);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function readInstances(options: OptionReader): FunctionManifest['instances'] {
  const group = options.group('instances', ['min', 'max']);
  const min = group.integer('min', { min: 0, max: MOST_INSTANCES, preset: 0 });
  const max = group.integer('max', { min: 1, max: MOST_INSTANCES, preset: Math.max(10, min) });
  if (min > max) group.problem('min', `is ${min}, more than max, ${max}.`);
  return { min, max };
}

function readBatch(options: OptionReader, triggers: readonly Trigger[]): FunctionManifest['batch'] {
  if (!options.has('batch')) return null;
  if (!triggers.some((trigger) => trigger.kind === 'stream')) {
    options.problem('batch', 'is for functions on a stream; this one has none in `on`.');
  }
  const batch = options.group('batch', ['size', 'wait']);
  return {
    size: batch.integer('size', { min: 1, max: 10_000, preset: 100 }),
    waitMs: batch.durationMs('wait', { min: 0, max: 300 * SECOND_MS, preset: 0 }),
  };
}

export function readFunction(options: OptionReader, subject: Subject, problems: Problems): FunctionSettings {
  const on = options.raw('on');
  const handles = on === undefined ? [] : Array.isArray(on) ? (on as readonly Plain[]) : [on];
  const triggers = handles.flatMap((each) => readTrigger(each, subject, problems) ?? []);
  const input = options.schema('input');
  if (input !== undefined && triggers.length > 0) {
    options.problem('input', 'is for functions without triggers; this one gets what its trigger brings.');
  }
  const retry = options.group('retry', ['attempts', 'backoff']);
  return {
    runtime: 'worker',
    triggers,
    from: options.oneOf('from', ['start', 'end'], 'end'),
    batch: readBatch(options, triggers),
    instances: readInstances(options),
    perInstance: options.integer('perInstance', { min: 1, max: 1000, preset: 80 }),
    timeoutMs: options.durationMs('timeout', { min: 1, max: 900 * SECOND_MS, preset: 30 * SECOND_MS }),
    memoryBytes: options.sizeBytes('memory', { min: 128 * MB, max: 10_240 * MB, preset: 128 * MB }),
    cpu: options.number('cpu', { min: 0.1, max: 16, preset: 1 }),
    tmpBytes: options.sizeBytes('tmp', { min: 0, max: 10_240 * MB, preset: 512 * MB }),
    retry: {
      attempts: retry.integer('attempts', { min: 1, max: 100, preset: 5 }),
      backoffMs: retry.durationMs('backoff', { min: 0, max: 3600 * SECOND_MS, preset: 200 }),
    },
    env: readEnv(options),
    secrets: options.texts('secrets', secretNameProblem),
    ...(input === undefined ? {} : { input }),
  };
}

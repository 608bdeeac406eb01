import type { InputProblem } from './errors.ts';
import { readModelOperations } from './model-operations.ts';
import type { Json } from './ports/state-store.ts';

/** Everything that there can be: what a manifest from outside holds must look like a part of it. */
const EVERYTHING = readModelOperations({
  watch: {
    window: { rows: 1, every: '1h' },
    labels: { from: 's', key: 'k', label: 'l', output: 'o', groups: ['g'] },
  },
  gates: {
    heldBack: 'h',
    label: 'l',
    output: 'o',
    metrics: { accuracy: { atLeast: 0.5 } },
    latency: { p99: '1s' },
    fairness: { by: 'b' },
  },
  release: {
    canary: { by: 'auc' },
    live: { agreement: 1, labels: { metrics: { accuracy: { atLeast: 0.5 } }, fairness: {} } },
  },
  retrain: { on: { kind: 'drift' }, from: 's', fresh: { after: '1s' }, spec: {} },
}) as unknown as Json;

const MAY_BE_NULL = new Set([
  ...['windowRows', 'windowMs', 'labels', 'gates', 'retrain', 'output', 'heldBack', 'limit', 'p99Ms'],
  ...['fairness', 'agreement', 'by', 'afterMs'],
]);
/** A union, and what only training can read. */
const FREE = new Set(['on', 'spec']);

/** What is wrong with operations that were read before, such as those of a manifest. */
export function modelOperationsProblems(value: Json): InputProblem[] {
  const problems: InputProblem[] = [];
  compare(value, EVERYTHING, '', '', problems);
  return problems;
}

const isObject = (value: Json | undefined): value is { readonly [field: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function compare(
  value: Json | undefined,
  like: Json,
  name: string,
  path: string,
  problems: InputProblem[],
): void {
  const wrong = (message: string): void => void problems.push({ path, message });
  if (value === null && MAY_BE_NULL.has(name)) return;
  if (FREE.has(name)) {
    if (typeof value !== 'object' || value === null) wrong('must be an object or a list');
  } else if (Array.isArray(like)) {
    if (!Array.isArray(value)) wrong('must be a list');
    for (const [at, item] of (Array.isArray(value) ? (value as readonly Json[]) : []).entries()) {
      compare(item, (like as readonly Json[])[0] ?? '', '', `${path}/${at}`, problems);
    }
  } else if (isObject(like) && !isObject(value)) {
    wrong('must be an object');
  } else if (isObject(like)) {
    const fields = value as { readonly [field: string]: Json };
    for (const [field, each] of Object.entries(like)) {
      compare(fields[field], each, field, `${path}/${field}`, problems);
    }
  } else if (typeof value !== typeof like) wrong(`must be a ${typeof like}`);
}

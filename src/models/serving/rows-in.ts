import { type InputProblem, isMillraceError, type Json, MillraceError } from '../../kernel/index.ts';
import type { Values } from '../inference.port.ts';
import type { Prediction } from '../rows/decode.ts';
import { elementCount, isFloat, isTensor, isTensorSpec, type Tensor, type TensorSpec } from '../tensor.ts';
import type { PredictionCache } from './cache.ts';
import type { Served } from './served.ts';

const MOST_PROBLEMS = 100;

/** Rows as inputs of the version. Throws INVALID_INPUT with the path of every problem. */
export function encodeRows(served: Served, rows: readonly unknown[], path: string): Values | Promise<Values> {
  if (!served.rows) throw served.noRows;
  if (rows.length === 0) {
    const message = 'There are no rows. Send at least one.';
    throw new MillraceError('INVALID_INPUT', message, { errors: [{ path, message }] });
  }
  checkSchema(served, rows, path);
  return served.rows.encoder.encode(rows, path);
}

function checkSchema({ schema, record }: Served, rows: readonly unknown[], path: string): void {
  if (!schema) return;
  const errors: InputProblem[] = [];
  for (let row = 0; row < rows.length && errors.length < MOST_PROBLEMS; row++) {
    const value = rows[row];
    // Lists in the model's order and bytes have no property that the schema could name.
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
    for (const problem of schema.problems(value as Json, 0)) {
      errors.push({ path: `${path}/${row}${problem.path}`, message: problem.message });
    }
  }
  if (errors.length === 0) return;
  const [first] = errors;
  const message = `The rows do not fit the input of '${record.model}': ${first!.path} ${first!.message}.`;
  throw new MillraceError('INVALID_INPUT', message, { errors });
}

/**
 * How many rows the tensors hold. Throws INVALID_INPUT where a name, a type, a rank or a size is not the model's, and for
 * NaN where the model has not said that it knows missing values.
 */
export function checkTensors({ model, record, rows }: Served, inputs: Values): number {
  const errors: InputProblem[] = [];
  const known = new Set(model.inputs.map((spec) => spec.name));
  for (const name of Object.keys(inputs)) {
    if (!known.has(name))
      errors.push({
        path: `/inputs/${name}`,
        message: `is not an input; there are ${[...known].join(', ')}`,
      });
  }
  for (const spec of model.inputs) {
    const value = inputs[spec.name];
    const problem =
      value === undefined
        ? 'is missing'
        : isTensorSpec(spec) && isTensor(value) && tensorProblem(spec, value);
    if (problem) errors.push({ path: `/inputs/${spec.name}`, message: problem });
    else if (value && isTensor(value) && !record.serving.missing && hasNaN(value)) {
      errors.push({
        path: `/inputs/${spec.name}`,
        message: 'holds NaN; declare the model with missing: true if it knows what to do',
      });
    }
  }
  const counts = model.inputs.map((spec) => (inputs[spec.name] as Tensor | undefined)?.dims?.[0]);
  const batched = rows?.plan.batched ?? false;
  if (errors.length === 0 && batched && new Set(counts).size > 1) {
    errors.push({ path: '/inputs', message: `hold ${counts.join(', ')} rows; all need the same number` });
  }
  if (errors.length === 0) return batched ? counts[0]! : 1;
  const [first] = errors;
  const message = `The inputs do not fit '${record.model}': ${first!.path} ${first!.message}.`;
  throw new MillraceError('INVALID_INPUT', message, { errors });
}

function tensorProblem(spec: TensorSpec, { type, dims, data }: Tensor): string | undefined {
  if (type !== spec.type) return `is ${type}; the model takes ${spec.type}`;
  if (data.length !== elementCount(dims))
    return `has ${data.length} values for the sizes [${dims.join(', ')}]`;
  if (spec.anyRank === true) return undefined;
  const fits =
    dims.length === spec.dims.length &&
    spec.dims.every((size, at) => typeof size !== 'number' || size === dims[at]);
  if (fits) return dims[0] === 0 ? 'has no rows' : undefined;
  const wanted = spec.dims.map((size) => (typeof size === 'number' ? size : 'any'));
  return `has the sizes [${dims.join(', ')}]; the model takes [${wanted.join(', ')}]`;
}

function hasNaN({ type, data }: Tensor): boolean {
  if (!isFloat(type)) return false;
  const numbers = data as Float32Array;
  for (let at = 0; at < numbers.length; at++) if (Number.isNaN(numbers[at])) return true;
  return false;
}

/** Answers from the cache what it has, and asks for the rest, all of it at once. */
export async function withCache<Answer extends { readonly predictions: readonly Prediction[] }>(
  cache: PredictionCache,
  rows: readonly unknown[],
  answer: (rest: readonly unknown[]) => Promise<Answer>,
  empty: (predictions: readonly Prediction[]) => Answer,
): Promise<Answer> {
  const keys = rows.map((row) => cache.keyOf(row));
  const found = keys.map((key) => (key === undefined ? undefined : cache.get(key)));
  if (found.every((each) => each === undefined)) {
    const all = await answer(rows);
    for (const [at, key] of keys.entries()) if (key !== undefined) cache.set(key, all.predictions[at]!);
    return all;
  }
  const missing = [...rows.keys()].filter((at) => found[at] === undefined);
  if (missing.length === 0) return empty(found as Prediction[]);
  const some = answer(missing.map((at) => rows[at]));
  // Problems are told by the places of all the rows.
  const rest = await some.catch((error: unknown) => {
    if (isMillraceError(error, 'INVALID_INPUT')) return answer(rows);
    throw error;
  });
  if (rest.predictions.length === rows.length && missing.length < rows.length) return rest;
  for (const [index, at] of missing.entries()) {
    const prediction = rest.predictions[index]!;
    found[at] = prediction;
    const key = keys[at];
    if (key !== undefined) cache.set(key, prediction);
  }
  return { ...rest, predictions: found as Prediction[] };
}

import { type InputProblem, MillraceError, type ModelServing } from '../../kernel/index.ts';
import type { Values } from '../inference.port.ts';
import { arrayOf, elementCount, type Tensor, type TensorData } from '../tensor.ts';
import { kindOf, type PutElement, putterFor } from './elements.ts';
import type { InputPlan, RowPlan } from './shape.ts';

/** Turns bytes or text of rows into an input of the model: one part a row, one after the other. */
export interface Preprocessor {
  /** Sizes of one row's part. */
  readonly dims: readonly number[];
  /** Field of the row that it reads. */
  readonly from: string;
  /** Throws nothing: what is wrong with a row is a problem at its path. */
  put(data: TensorData, at: number, value: unknown): string | undefined | Promise<string | undefined>;
}

/** Rows as JSON has them to a model's inputs. */
export interface RowEncoder {
  /** Throws INVALID_INPUT with every problem; `path` is where the rows stand in what the caller sent. */
  encode(rows: readonly unknown[], path: string): Values | Promise<Values>;
}

const MOST_PROBLEMS = 100;

type Problems = InputProblem[];
const add = (problems: Problems, path: string, message: string): void => {
  if (problems.length < MOST_PROBLEMS) problems.push({ path, message });
};

type EncodeInput = (rows: readonly unknown[], path: string, problems: Problems) => Tensor | Promise<Tensor>;

export function createRowEncoder(
  plan: RowPlan,
  serving: ModelServing,
  preprocessors: ReadonlyMap<string, Preprocessor>,
): RowEncoder {
  const { missing } = serving;
  const single = plan.inputs.length === 1;
  const inputs = plan.inputs.map((input) => {
    const { name } = input.spec;
    const preprocessor = preprocessors.get(name);
    const encode = preprocessor
      ? preprocessed(plan, input, preprocessor)
      : plan.features
        ? matrix(input, plan.features, missing, plan.leadingOne)
        : column(plan, input, missing, single);
    return { name, encode };
  });
  return {
    encode(rows, path) {
      const problems: Problems = [];
      const values: { [name: string]: Tensor } = {};
      let waits: Promise<void>[] | undefined;
      for (const { name, encode } of inputs) {
        const made = encode(rows, path, problems);
        if (!(made instanceof Promise)) values[name] = made;
        else (waits ??= []).push(made.then((tensor) => void (values[name] = tensor)));
      }
      if (!waits) return checked(values, problems);
      return Promise.all(waits).then(() => checked(values, problems));
    },
  };
}

function checked(values: Values, problems: Problems): Values {
  if (problems.length === 0) return values;
  const [first] = problems;
  const more = problems.length > 1 ? ` and ${problems.length - 1} more problems` : '';
  const message = `The rows do not fit the model: ${first!.path} ${first!.message}${more}.`;
  throw new MillraceError('INVALID_INPUT', message, { errors: problems });
}

/** A matrix with a named column each: rows are objects by these names, or lists in their order. */
function matrix(
  { spec }: InputPlan,
  features: readonly string[],
  missing: boolean,
  leadingOne: boolean,
): EncodeInput {
  const put = putterFor(spec.type, missing);
  const width = features.length;
  return (rows, path, problems) => {
    const data = arrayOf(spec.type, rows.length * width);
    for (let row = 0, at = 0; row < rows.length; row++, at += width) {
      const value = rows[row];
      if (Array.isArray(value)) {
        putList(put, data, at, value, width, `${path}/${row}`, problems);
      } else if (typeof value !== 'object' || value === null) {
        add(
          problems,
          `${path}/${row}`,
          `must be an object or a list of ${width} values, not ${kindOf(value)}`,
        );
      } else putObject(put, data, at, value as Row, features, `${path}/${row}`, problems);
    }
    return { type: spec.type, dims: leadingOne ? [1, width] : [rows.length, width], data };
  };
}

type Row = { readonly [name: string]: unknown };

function putObject(
  put: PutElement,
  data: TensorData,
  at: number,
  row: Row,
  features: readonly string[],
  path: string,
  problems: Problems,
): void {
  for (let index = 0; index < features.length; index++) {
    const name = features[index]!;
    const value = row[name];
    const wrong = put(data, at + index, value);
    if (wrong === undefined) continue;
    add(problems, `${path}/${name}`, value === undefined ? 'is missing; every feature is needed' : wrong);
  }
}

function putList(
  put: PutElement,
  data: TensorData,
  at: number,
  values: readonly unknown[],
  width: number,
  path: string,
  problems: Problems,
): void {
  if (values.length !== width) {
    add(problems, path, `has ${values.length} values; the model takes ${width}`);
    return;
  }
  for (let index = 0; index < width; index++) {
    const wrong = put(data, at + index, values[index]);
    if (wrong !== undefined) add(problems, `${path}/${index}`, wrong);
  }
}

/** An input under its own name in the row: a value, or nested lists of the input's shape. */
function column(plan: RowPlan, { spec, rowDims }: InputPlan, missing: boolean, single: boolean): EncodeInput {
  const put = putterFor(spec.type, missing);
  return (rows, path, problems) => {
    let dims: readonly number[] | undefined;
    let data: TensorData | undefined;
    let width = 0;
    for (let index = 0; index < rows.length; index++) {
      const found = partOfRow(rows[index], spec.name, single);
      const place = found.named ? `${path}/${index}/${spec.name}` : `${path}/${index}`;
      if (found.value === undefined) {
        add(problems, place, 'is missing');
        continue;
      }
      if (!dims) {
        dims = sizesOf(found.value, rowDims);
        width = elementCount(dims);
        data = arrayOf(spec.type, width * rows.length);
      }
      putNested(put, data!, index * width, found.value, dims, place, problems);
    }
    const sizes = dims ?? rowDims.map((size) => size ?? 0);
    return {
      type: spec.type,
      dims: withRows(plan, rows.length, sizes),
      data: data ?? arrayOf(spec.type, elementCount(sizes) * rows.length),
    };
  };
}

/** Of a model with one input the row itself may be the value. */
function partOfRow(
  row: unknown,
  name: string,
  single: boolean,
): { readonly value: unknown; readonly named: boolean } {
  if (typeof row === 'object' && row !== null && !Array.isArray(row) && !(row instanceof Uint8Array)) {
    return { value: (row as Row)[name], named: true };
  }
  return { value: single ? row : undefined, named: !single };
}

function withRows(plan: RowPlan, rows: number, dims: readonly number[]): number[] {
  if (plan.batched) return [rows, ...dims];
  return plan.leadingOne ? [1, ...dims] : [...dims];
}

/** Sizes of a nested list, where the model leaves them open; a flat list of as many values will do as well. */
function sizesOf(value: unknown, rowDims: readonly (number | null)[]): number[] {
  const sizes: number[] = [];
  let at = value;
  for (const size of rowDims) {
    sizes.push(size ?? (Array.isArray(at) ? at.length : 1));
    at = Array.isArray(at) ? at[0] : undefined;
  }
  return sizes;
}

function putNested(
  put: PutElement,
  data: TensorData,
  start: number,
  value: unknown,
  dims: readonly number[],
  path: string,
  problems: Problems,
): void {
  const count = elementCount(dims);
  const values = Array.isArray(value) ? flatten(value, dims.length) : [value];
  if (values.length !== count) {
    const shape = `[${dims.join(', ')}]`;
    add(problems, path, `has ${values.length} values; the model takes ${dims.length === 0 ? 'one' : shape}`);
    return;
  }
  for (let index = 0; index < count; index++) {
    const wrong = put(data, start + index, values[index]);
    if (wrong !== undefined) add(problems, Array.isArray(value) ? `${path}/${index}` : path, wrong);
  }
}

/** `flat` goes through every value by its name; most lists are flat already. */
function flatten(values: readonly unknown[], depth: number): readonly unknown[] {
  for (let index = 0; index < values.length; index++) {
    if (Array.isArray(values[index])) return values.flat(depth);
  }
  return values;
}

function preprocessed(plan: RowPlan, { spec }: InputPlan, preprocessor: Preprocessor): EncodeInput {
  const width = elementCount(preprocessor.dims);
  return (rows, path, problems) => {
    const data = arrayOf(spec.type, rows.length * width);
    const tensor: Tensor = { type: spec.type, dims: withRows(plan, rows.length, preprocessor.dims), data };
    const waits: Promise<void>[] = [];
    for (const [index, row] of rows.entries()) {
      const { value, named } = partOfRow(row, preprocessor.from, true);
      const place = named ? `${path}/${index}/${preprocessor.from}` : `${path}/${index}`;
      const wrong = value === undefined ? 'is missing' : preprocessor.put(data, index * width, value);
      if (wrong instanceof Promise)
        waits.push(wrong.then((text) => void (text && add(problems, place, text))));
      else if (wrong !== undefined) add(problems, place, wrong);
    }
    return waits.length === 0 ? tensor : Promise.all(waits).then(() => tensor);
  };
}

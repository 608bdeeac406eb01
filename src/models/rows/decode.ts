import type { Json } from '../../kernel/index.ts';
import type { Values } from '../inference.port.ts';
import { isTensor, type MapValue, type Tensor, type Value } from '../tensor.ts';
import { elementToJson, joinData, partOfData } from './elements.ts';

/** What a model says about one row, by the names of its outputs. */
export type Prediction = { readonly [output: string]: Json };

/** Outputs of a run of `rows` rows, from one row on, as predictions. */
export function decodeRows(outputs: Values, rows: number, start = 0, end = rows): Prediction[] {
  const names = Object.keys(outputs);
  const predictions: { [output: string]: Json }[] = [];
  for (let row = start; row < end; row++) predictions.push({});
  for (const name of names) {
    const value = outputs[name]!;
    for (let row = start; row < end; row++) predictions[row - start]![name] = rowOf(value, row, rows);
  }
  return predictions;
}

function rowOf(value: Value, row: number, rows: number): Json {
  if (!isTensor(value)) {
    if (value.kind === 'sequence' && value.items.length === rows) return toJson(value.items[row]!);
    return toJson(value);
  }
  const { dims, data, type } = value;
  if (dims.length === 0 || dims[0] !== rows) return toJson(value);
  const stride = data.length / rows;
  if (stride === 1) return elementToJson(data[row]!, type);
  return nested(value, row * stride, dims.slice(1));
}

/** A scalar as it is, any other tensor as nested lists, a map as an object. */
export function toJson(value: Value): Json {
  if (isTensor(value)) return nested(value, 0, value.dims);
  if (value.kind === 'sequence') return value.items.map(toJson);
  if (value.kind === 'map') return mapToJson(value);
  return value.value === undefined ? null : toJson(value.value);
}

function mapToJson({ entries }: MapValue): Json {
  const object: { [key: string]: Json } = {};
  for (const [key, value] of entries) {
    object[String(key)] =
      typeof value === 'object'
        ? toJson(value)
        : elementToJson(value, typeof value === 'bigint' ? 'int64' : 'float32');
  }
  return object;
}

function nested(value: Tensor, start: number, dims: readonly number[]): Json {
  const { data, type } = value;
  const [size, ...rest] = dims;
  if (size === undefined) return elementToJson(data[start]!, type);
  const list: Json[] = [];
  const stride = rest.reduce((product, each) => product * each, 1);
  for (let index = 0; index < size; index++) {
    const at = start + index * stride;
    list.push(rest.length === 0 ? elementToJson(data[at]!, type) : nested(value, at, rest));
  }
  return list;
}

/** Inputs or outputs of several requests as one batch, along the first size. */
export function joinValues(parts: readonly Values[]): Values {
  const [first] = parts;
  if (parts.length === 1) return first!;
  const joined: { [name: string]: Value } = {};
  for (const name of Object.keys(first!)) {
    const tensors = parts.map((part) => part[name] as Tensor);
    const [{ type, dims }] = tensors as [Tensor];
    const rows = tensors.reduce((sum, tensor) => sum + tensor.dims[0]!, 0);
    joined[name] = {
      type,
      dims: [rows, ...dims.slice(1)],
      data: joinData(
        type,
        tensors.map((tensor) => tensor.data),
      ),
    };
  }
  return joined;
}

/** The part of a run's values that belongs to the rows from `start` on; values that do not count rows are everyone's. */
export function partOfValues(values: Values, rows: number, start: number, end: number): Values {
  if (start === 0 && end === rows) return values;
  const part: { [name: string]: Value } = {};
  for (const [name, value] of Object.entries(values)) part[name] = partOfValue(value, rows, start, end);
  return part;
}

function partOfValue(value: Value, rows: number, start: number, end: number): Value {
  if (!isTensor(value)) {
    const counts = value.kind === 'sequence' && value.items.length === rows;
    return counts ? { kind: 'sequence', items: value.items.slice(start, end) } : value;
  }
  const { type, dims, data } = value;
  if (dims[0] !== rows) return value;
  const stride = data.length / rows;
  return {
    type,
    dims: [end - start, ...dims.slice(1)],
    data: partOfData(data, start * stride, end * stride),
  };
}

/** Whether two sets of inputs can be one batch: same names, types and sizes but for the first. */
export function canJoin(a: Values, b: Values): boolean {
  for (const name of Object.keys(a)) {
    const [one, other] = [a[name]!, b[name]];
    if (!other || !isTensor(one) || !isTensor(other) || one.type !== other.type) return false;
    if (one.dims.length !== other.dims.length || one.dims.length === 0) return false;
    for (let at = 1; at < one.dims.length; at++) if (one.dims[at] !== other.dims[at]) return false;
  }
  return true;
}

/** Outputs of several runs as one: like `joinValues`, sequences included; of values that do not count rows, the last. */
export function joinAnyValues(parts: readonly Values[]): Values {
  const joined: { [name: string]: Value } = {};
  for (const [name, last] of Object.entries(parts.at(-1)!)) {
    const values = parts.map((part) => part[name]!);
    if (values.every((value) => isTensor(value) && value.dims.length > 0)) {
      joined[name] = joinValues(values.map((value) => ({ [name]: value })))[name]!;
    } else if (values.every((value) => 'kind' in value && value.kind === 'sequence')) {
      joined[name] = {
        kind: 'sequence',
        items: values.flatMap((value) => ('kind' in value && value.kind === 'sequence' ? value.items : [])),
      };
    } else joined[name] = last;
  }
  return joined;
}

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  decodeModel,
  elementCount,
  type OnnxType,
  type SequenceValue,
  type Tensor,
  type Value,
} from '../../src/models/index.ts';
import { decodeTensor } from '../../src/models/onnx/index.ts';
import { WireReader } from '../../src/models/onnx/wire.ts';

/** Where Debian's `libonnx-testdata` lands: the node tests and small models of the ONNX project, with inputs and outputs. */
export const ONNX_TEST_DATA = '/usr/share/libonnx-testdata/data';

export const skipWithoutTestData = existsSync(ONNX_TEST_DATA)
  ? false
  : `${ONNX_TEST_DATA} is not there: apt-get install libonnx-testdata`;

export interface OnnxCase {
  /** `node/test_abs`. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly sets: () => readonly { readonly inputs: readonly Value[]; readonly outputs: readonly Value[] }[];
}

/** Every case that has a model; the large pretrained ones have only an address. */
export function onnxCases(folder = ONNX_TEST_DATA): readonly OnnxCase[] {
  return globSync('*/*/model.onnx', { cwd: folder })
    .sort()
    .map((path) => {
      const at = join(folder, dirname(path));
      const bytes = readFileSync(join(at, 'model.onnx'));
      return { name: dirname(path), bytes, sets: () => readSets(at, bytes) };
    });
}

function readSets(folder: string, bytes: Uint8Array): ReturnType<OnnxCase['sets']> {
  const { graph } = decodeModel(bytes);
  return globSync('test_data_set_*', { cwd: folder }).map((set) => ({
    inputs: readValues(
      join(folder, set),
      'input',
      graph.inputs.map(({ type }) => type),
    ),
    outputs: readValues(
      join(folder, set),
      'output',
      graph.outputs.map(({ type }) => type),
    ),
  }));
}

function readValues(folder: string, kind: string, types: readonly (OnnxType | undefined)[]): Value[] {
  const number = (path: string): number => Number(/\d+/.exec(basename(path))![0]);
  const paths = globSync(`${kind}_*.pb`, { cwd: folder }).sort((a, b) => number(a) - number(b));
  return paths.map((path, index) => {
    const value = decodeValue(readFileSync(join(folder, path)), types[index]);
    return retyped(value, types[index]);
  });
}

/**
 * Data of bfloat16 were written as uint16, because numpy had no such type; then each is the upper half of a float32. And
 * where only the type of an input counts, one element stands for as many as the model declares.
 */
function retyped(value: Value, type: OnnxType | undefined): Value {
  if ('kind' in value || !type || !('type' in type)) return value;
  let { data } = value;
  if (value.type === 'uint16' && type.type === 'bfloat16') {
    data = new Float32Array(Uint32Array.from(data as Uint16Array, (half) => half * 2 ** 16).buffer);
  }
  const dims = type.dims?.every((size) => typeof size === 'number') ? type.dims : value.dims;
  if (!(data instanceof Float32Array) || data.length !== 1)
    return { type: type.type, dims: value.dims, data };
  return { type: type.type, dims, data: new Float32Array(elementCount(dims)).fill(data[0]!) };
}

/** TensorProto, SequenceProto and OptionalProto, as the value's type says (onnx-data.proto). */
function decodeValue(bytes: Uint8Array, type: OnnxType | undefined): Value {
  if (type?.kind === 'sequence') return decodeSequence(bytes);
  if (type?.kind === 'optional') return { kind: 'optional', value: decodeOptional(bytes) };
  return decodeTensor(bytes);
}

function decodeSequence(bytes: Uint8Array): SequenceValue {
  const reader = new WireReader(bytes);
  const items: Value[] = [];
  while (reader.next()) {
    if (reader.field === 3) items.push(decodeTensor(reader.chunk()));
    else if (reader.field === 5) items.push(decodeSequence(reader.chunk()));
    else reader.skip();
  }
  return { kind: 'sequence', items };
}

function decodeOptional(bytes: Uint8Array): Value | undefined {
  const reader = new WireReader(bytes);
  let value: Value | undefined;
  while (reader.next()) {
    if (reader.field === 3) value = decodeTensor(reader.chunk());
    else if (reader.field === 5) value = decodeSequence(reader.chunk());
    else reader.skip();
  }
  return value;
}

/** Values are alike when types, shapes and integers are, and floats are within `tolerance` of 1 + their size. */
export function assertAlike(actual: Value, expected: Value, tolerance: number): void {
  if ('kind' in expected) {
    assert.ok('kind' in actual && actual.kind === expected.kind, `is not a ${expected.kind}`);
    if (expected.kind === 'sequence') {
      const items = (actual as SequenceValue).items;
      assert.equal(items.length, expected.items.length);
      for (const [index, item] of expected.items.entries()) assertAlike(items[index]!, item, tolerance);
    } else if (expected.kind === 'optional' && actual.kind === 'optional') {
      assert.equal(actual.value === undefined, expected.value === undefined);
      if (expected.value) assertAlike(actual.value!, expected.value, tolerance);
    }
    return;
  }
  assert.ok(!('kind' in actual), 'is not a tensor');
  assert.equal(actual.type, expected.type);
  assert.deepEqual([...actual.dims], [...expected.dims]);
  assertElements(actual, expected, tolerance);
}

function assertElements(actual: Tensor, expected: Tensor, tolerance: number): void {
  for (let index = 0; index < expected.data.length; index += 1) {
    const [a, e] = [actual.data[index]!, expected.data[index]!];
    if (a === e || (Number.isNaN(a) && Number.isNaN(e))) continue;
    const close =
      typeof a === 'number' && typeof e === 'number' && Math.abs(a - e) <= tolerance * (1 + Math.abs(e));
    if (!close) assert.fail(`element ${index} is ${a} and should be ${e}`);
  }
}

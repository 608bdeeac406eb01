import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError } from '../../kernel/index.ts';
import { arrayOf, elementCount, type TensorType } from '../tensor.ts';
import {
  attribute,
  decodeModel,
  encodeModel,
  type NamedTensor,
  named,
  node,
  type OnnxModel,
} from './index.ts';
import { roundTo, valuesOf } from './narrow-floats.ts';
import { decodeTensor, encodeTensor } from './tensors.ts';
import { WireWriter } from './wire.ts';

const TYPES: readonly TensorType[] = [
  ...(['float32', 'float64', 'float16', 'bfloat16', 'float8e4m3fn', 'float8e5m2', 'float4e2m1'] as const),
  ...(['int2', 'int4', 'int8', 'int16', 'int32', 'int64', 'uint2', 'uint4'] as const),
  ...(['uint8', 'uint16', 'uint32', 'uint64', 'bool'] as const),
];

function sample(type: TensorType, count: number, seed: number): NamedTensor {
  const data = arrayOf(type, count);
  for (let index = 0; index < count; index += 1) {
    const number = ((seed + index * 7919) % 211) - (type.startsWith('u') || type === 'bool' ? 0 : 100);
    if (data instanceof BigInt64Array || data instanceof BigUint64Array)
      data[index] = BigInt(number) * 2n ** 55n;
    else if (type === 'bool') data[index] = number % 2;
    else if (/int[24]$/.test(type)) data[index] = number % 2;
    else data[index] = type.includes('float') ? roundTo(type, 'saturate')(number / 7) : number;
  }
  return named('x', { type, dims: [count], data });
}

const MODEL: OnnxModel = {
  irVersion: 8,
  producerName: 'test',
  opsets: [{ domain: '', version: 17 }],
  metadata: [{ key: 'a', value: 'ä' }],
  graph: {
    name: 'g',
    nodes: [
      node('Add', ['x', 'w'], ['sum'], [attribute.int('a', -5), attribute.ints('b', [1, -2, 2 ** 40])]),
      node(
        'If',
        ['sum'],
        ['y'],
        [
          attribute.graph('then_branch', { nodes: [], initializers: [], inputs: [], outputs: [] }),
          attribute.strings('c', ['', 'ü']),
          attribute.floats('d', [0.5, -1]),
          attribute.float('e', 0),
        ],
      ),
    ],
    initializers: [named('w', { type: 'float32', dims: [2, 1], data: Float32Array.of(1, 2) })],
    inputs: [{ name: 'x', type: { kind: 'tensor', type: 'float32', dims: ['N', null, 3] } }],
    outputs: [
      {
        name: 'y',
        type: {
          kind: 'sequence',
          element: { kind: 'map', keyType: 'string', element: { kind: 'tensor', type: 'float32', dims: [] } },
        },
      },
    ],
  },
};

const refused = (bytes: Uint8Array, message: RegExp): void =>
  assert.throws(
    () => decodeModel(bytes),
    (error) => isMillraceError(error, 'MODEL_INVALID') && message.test(error.message),
  );

/** A field with raw bytes, for files that no encoder would write. */
function field(number: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const writer = new WireWriter();
  writer.tag(number, 2);
  writer.chunk(Buffer.concat(parts));
  return writer.finish();
}

function integer(number: number, value: number | bigint): Uint8Array {
  const writer = new WireWriter();
  writer.tag(number, 0);
  writer.varint(value);
  return writer.finish();
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const withTensor = (...fields: readonly Uint8Array[]): Uint8Array => field(7, field(5, ...fields));

describe('an ONNX file', () => {
  it('is read as it was written', () => {
    const again = decodeModel(encodeModel(MODEL));
    assert.deepEqual(decodeModel(encodeModel(again)), again);
    const plain = again.graph.nodes[0]!.attributes.map((each) => ({
      ...each,
      ...(each.ints ? { ints: Array.from(each.ints) } : {}),
      ...(each.floats ? { floats: Array.from(each.floats) } : {}),
    }));
    assert.deepEqual(plain, MODEL.graph.nodes[0]!.attributes);
    assert.deepEqual(again.graph.inputs, MODEL.graph.inputs);
    assert.deepEqual(again.graph.outputs, MODEL.graph.outputs);
    assert.deepEqual(again.graph.initializers, MODEL.graph.initializers);
    assert.deepEqual(again.metadata, MODEL.metadata);
  });

  it('may hold its lists of numbers packed, one by one, or both', () => {
    const ints = [1, 300, 2 ** 31, -7, 5];
    const varints = (values: readonly number[]): Uint8Array =>
      Buffer.concat(values.map((value) => integer(1, value).subarray(1)));
    const list = Buffer.concat([
      field(1, text('list')),
      integer(8, ints[0]!),
      integer(8, ints[1]!),
      field(8, varints(ints.slice(2, 4))),
      integer(8, ints[4]!),
      integer(20, 7),
    ]);
    const { graph } = decodeModel(field(7, field(1, field(4, text('Add')), field(5, list))));
    assert.deepEqual(Array.from(graph.nodes[0]!.attributes[0]!.ints!), ints);
  });

  it('holds tensors of every type', () => {
    fc.assert(
      fc.property(fc.constantFrom(...TYPES), fc.nat(20), fc.nat(1000), (type, count, seed) => {
        const before = sample(type, count, seed);
        assert.deepEqual(decodeTensor(encodeTensor(before)), before);
      }),
    );
    const texts = named('t', { type: 'string', dims: [2], data: ['', 'ß'] });
    assert.deepEqual(decodeTensor(encodeTensor(texts)), texts);
  });

  it('may hold narrow floats as bit patterns in int32_data', () => {
    const bytes = Buffer.concat([integer(1, 2), integer(2, 10), integer(5, 0x3c00), integer(5, 0xc000)]);
    assert.deepEqual([...(decodeTensor(bytes).data as Float32Array)], [1, -2]);
  });

  it('is refused when it is cut short anywhere, or is something else', () => {
    const bytes = encodeModel(MODEL);
    for (let length = 0; length < bytes.length; length += 1) {
      try {
        const model = decodeModel(bytes.subarray(0, length));
        assert.ok(model.graph, 'cut between two fields of the model');
      } catch (error) {
        assert.ok(isMillraceError(error, 'MODEL_INVALID'), String(error));
      }
    }
    refused(text('{"not": "onnx"}'), /./);
    refused(new Uint8Array(), /no graph/);
  });

  it('never says anything but MODEL_INVALID or MODEL_UNSUPPORTED when bytes of it change', () => {
    const bytes = encodeModel(MODEL);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        (changes) => {
          const changed = bytes.slice();
          for (const [at, byte] of changes) changed[at] = byte;
          try {
            decodeModel(changed);
          } catch (error) {
            assert.ok(isMillraceError(error) && error.code.startsWith('MODEL_'), String(error));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('cannot claim a tensor larger than its data', () => {
    refused(withTensor(integer(1, 2 ** 40), integer(2, 1), field(9, new Uint8Array(4))), /elements/);
    refused(withTensor(integer(1, 2 ** 52), integer(1, 2 ** 52), integer(2, 1)), /too much/);
    refused(withTensor(integer(1, -1), integer(2, 1)), /size of -1/);
    refused(withTensor(...Array.from({ length: 70 }, () => integer(1, 1)), integer(2, 1)), /too much/);
    refused(withTensor(integer(2, 99)), /no element type/);
  });

  it('cannot name data outside itself', () => {
    const external = (location: string): Uint8Array =>
      withTensor(
        integer(1, 1),
        integer(2, 1),
        integer(14, 1),
        field(13, field(1, text('location')), field(2, text(location))),
      );
    for (const path of ['../weights', '/etc/passwd', 'a/../../b', 'C:\\weights', '..\\w', '']) {
      refused(external(path), /not beside the model.*save_as_external_data=False/);
    }
    assert.throws(() => decodeModel(external('weights.bin')), /another file.*save_as_external_data=False/);
  });

  it('cannot nest without end', () => {
    let graph = new Uint8Array();
    for (let level = 0; level < 100; level += 1) graph = Uint8Array.from(field(1, field(5, field(6, graph))));
    refused(field(7, graph), /nests more than/);
  });

  it('cannot hold integers that a number cannot', () => {
    const withInteger = (value: bigint): Uint8Array =>
      field(7, field(1, field(5, integer(3, value), integer(20, 2))));
    refused(withInteger(2n ** 60n + 1n), /beyond 2\^53/);
    assert.equal(decodeModel(withInteger(2n ** 63n - 1n)).graph.nodes[0]!.attributes[0]!.int, 2 ** 63);
  });
});

describe('narrow floats', () => {
  it('round to the nearest value, ties to even', () => {
    for (const type of [
      'float8e4m3fn',
      'float8e5m2',
      'float8e4m3fnuz',
      'float8e5m2fnuz',
      'float4e2m1',
    ] as const) {
      const values = [...new Set([...valuesOf(type)].filter(Number.isFinite))].sort((a, b) => a - b);
      const round = roundTo(type, 'saturate');
      for (const [index, value] of values.entries()) {
        assert.equal(round(value) + 0, value + 0, `${type} ${value}`);
        const next = values[index + 1];
        if (next === undefined) continue;
        const middle = round((value + next) / 2);
        assert.ok(middle === value || middle === next);
        assert.equal(round(value * 0.6 + next * 0.4) + 0, value + 0);
      }
    }
    assert.equal(roundTo('bfloat16')(1 + 2 ** -8), 1);
    assert.equal(roundTo('bfloat16')(1 + 3 * 2 ** -8), 1 + 2 ** -6);
    assert.equal(roundTo('float8e4m3fn', 'saturate')(1e6), 448);
    assert.ok(Number.isNaN(roundTo('float8e4m3fn')(1e6)));
    assert.equal(roundTo('float8e5m2')(1e6), Number.POSITIVE_INFINITY);
    assert.equal(elementCount([]), 1);
  });
});

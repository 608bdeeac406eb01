import {
  arrayOf,
  bytesPerElement,
  elementCount,
  isBig,
  type TensorData,
  type TensorType,
} from '../tensor.ts';
import { invalid, unsupported } from './invalid.ts';
import type { NamedTensor } from './model.ts';
import { patternOf, valuesOf } from './narrow-floats.ts';
import { WireReader, WireWriter } from './wire.ts';

/** `TensorProto.DataType`: the number of a type is its place here. Complex numbers have places and no support. */
const TYPES: readonly (TensorType | undefined)[] = [
  ...([
    undefined,
    'float32',
    'uint8',
    'int8',
    'uint16',
    'int16',
    'int32',
    'int64',
    'string',
    'bool',
  ] as const),
  ...(['float16', 'float64', 'uint32', 'uint64', undefined, undefined, 'bfloat16'] as const),
  ...(['float8e4m3fn', 'float8e4m3fnuz', 'float8e5m2', 'float8e5m2fnuz', 'uint4', 'int4'] as const),
  ...(['float4e2m1', 'float8e8m0', 'uint2', 'int2'] as const),
];

/** Most dims a tensor may have: ONNX sets no limit, numpy's is 64. */
const MOST_DIMS = 64;

export function typeOfNumber(number: number): TensorType {
  const type = TYPES[number];
  if (type) return type;
  if (number === 14 || number === 15) {
    throw unsupported(
      'The model uses complex numbers',
      'Serve it with ONNX Runtime, or export it with real numbers',
    );
  }
  throw invalid(`${number} is no element type of ONNX`);
}

export function numberOfType(type: TensorType): number {
  return TYPES.indexOf(type);
}

/** What of TensorProto lies in the file; typed fields are kept apart until the type is known. */
interface RawTensor {
  name: string;
  type: number;
  readonly dims: number[];
  raw: Uint8Array | undefined;
  /** float_data, double_data, int32_data. */
  readonly numbers: number[];
  /** int64_data, uint64_data. */
  readonly bigs: bigint[];
  readonly texts: string[];
  external: string | undefined;
  isExternal: boolean;
}

/** Reads a TensorProto. MODEL_INVALID when its data are not exactly as many as its dims say. */
export function decodeTensor(bytes: Uint8Array): NamedTensor {
  const reader = new WireReader(bytes);
  const raw: RawTensor = {
    ...{ name: '', type: 0, dims: [], raw: undefined, numbers: [], bigs: [], texts: [] },
    ...{ external: undefined, isExternal: false },
  };
  while (reader.next()) readField(reader, raw);
  const label = raw.name === '' ? 'A tensor' : `The tensor ${JSON.stringify(raw.name)}`;
  if (raw.isExternal) throw externalData(label, raw.external);
  const count = elementCount(raw.dims);
  if (raw.dims.length > MOST_DIMS || !Number.isSafeInteger(count)) {
    throw invalid(`${label} says to be of [${raw.dims.slice(0, 8).join(', ')}], which is too much`);
  }
  const type = typeOfNumber(raw.type);
  return { name: raw.name, type, dims: raw.dims, data: dataOf(raw, type, count, label) };
}

function readField(reader: WireReader, raw: RawTensor): void {
  const field = FIELDS[reader.field];
  if (field) field(reader, raw);
  else reader.skip();
}

const FIELDS: { readonly [field: number]: (reader: WireReader, raw: RawTensor) => void } = {
  1: (reader, raw) => repeated(reader, 0, () => raw.dims.push(dimOf(reader))),
  2: (reader, raw) => {
    raw.type = enumOf(reader);
  },
  4: (reader, raw) => repeated(reader, 5, () => raw.numbers.push(reader.float())),
  5: (reader, raw) =>
    repeated(reader, 0, () => raw.numbers.push(Number(BigInt.asIntN(32, reader.bigVarint())))),
  6: (reader, raw) => void raw.texts.push(reader.text()),
  7: (reader, raw) => repeated(reader, 0, () => raw.bigs.push(BigInt.asIntN(64, reader.bigVarint()))),
  8: (reader, raw) => {
    raw.name = reader.text();
  },
  9: (reader, raw) => {
    raw.raw = reader.chunk();
  },
  10: (reader, raw) => repeated(reader, 1, () => raw.numbers.push(reader.double())),
  11: (reader, raw) => repeated(reader, 0, () => raw.bigs.push(reader.bigVarint())),
  13: (reader, raw) => readExternal(new WireReader(reader.chunk()), raw),
  14: (reader, raw) => {
    raw.isExternal = enumOf(reader) === 1;
  },
};

function enumOf(reader: WireReader): number {
  if (reader.wireType !== 0) throw reader.wrongType();
  return reader.varint();
}

function dimOf(reader: WireReader): number {
  const size = Number(BigInt.asIntN(64, reader.bigVarint()));
  if (size < 0 || size > Number.MAX_SAFE_INTEGER) throw invalid(`A tensor cannot have a size of ${size}`);
  return size;
}

/** Calls `read` for each element of a field that may be packed into one chunk or not. */
export function repeated(reader: WireReader, wireType: 0 | 1 | 5, read: () => unknown): void {
  if (reader.wireType === wireType) {
    read();
    return;
  }
  const chunk = reader.chunk();
  const end = reader.position;
  reader.position -= chunk.length;
  while (reader.position < end) read();
  if (reader.position !== end) throw invalid('The ONNX file has a list that ends in the middle of a number');
}

function readExternal(reader: WireReader, raw: RawTensor): void {
  let key = '';
  let value = '';
  while (reader.next()) {
    if (reader.field === 1) key = reader.text();
    else if (reader.field === 2) value = reader.text();
    else reader.skip();
  }
  if (key === 'location') raw.external = value;
}

/** A model is one file here: what lies beside it is never opened, least of all by a path that leads elsewhere. */
function externalData(label: string, location = ''): Error {
  const climbs = /^([/\\]|[a-z]:)/i.test(location) || location.split(/[/\\]/).includes('..');
  const remedy = 'Save the model as one file: onnx.save(model, path, save_as_external_data=False)';
  if (climbs || location === '' || location.includes('\0')) {
    const path = JSON.stringify(location.slice(0, 100));
    return invalid(`${label} names a file for its data that is not beside the model: ${path}`, remedy);
  }
  return unsupported(
    `${label} has its data in another file, ${JSON.stringify(location.slice(0, 100))}`,
    remedy,
  );
}

function dataOf(raw: RawTensor, type: TensorType, count: number, label: string): TensorData {
  const check = (found: number): void => {
    if (found === count) return;
    throw invalid(`${label} says to have ${count} elements of ${type} and has ${found}`);
  };
  if (raw.raw && type !== 'string') {
    const packed = elementBits(type) < 8;
    const held = packed ? Math.ceil((count * elementBits(type)) / 8) : (count * elementBits(type)) / 8;
    if (raw.raw.length !== held) check((raw.raw.length * 8) / elementBits(type));
    return fromRaw(raw.raw, type, count);
  }
  if (type === 'string') {
    check(raw.texts.length);
    return raw.texts;
  }
  if (isBig(type) || type === 'uint32') {
    check(raw.bigs.length);
    if (type === 'uint32') return Uint32Array.from(raw.bigs, Number);
    return type === 'int64' ? BigInt64Array.from(raw.bigs) : BigUint64Array.from(raw.bigs);
  }
  const bits = elementBits(type);
  if (bits < 8) {
    if (raw.numbers.length !== Math.ceil((count * bits) / 8)) check(raw.numbers.length);
    return fromRaw(Uint8Array.from(raw.numbers), type, count);
  }
  check(raw.numbers.length);
  const data = arrayOf(type, count) as Float32Array;
  const narrow = data instanceof Float32Array && type !== 'float32' ? valuesOf(type) : undefined;
  for (let index = 0; index < count; index += 1) {
    const number = raw.numbers[index]!;
    data[index] = narrow ? narrow[number & (narrow.length - 1)]! : number;
  }
  return data;
}

/** Bits of one element in `raw_data`. */
function elementBits(type: TensorType): number {
  if (type === 'int2' || type === 'uint2') return 2;
  if (type === 'int4' || type === 'uint4' || type === 'float4e2m1') return 4;
  if (type.startsWith('float8')) return 8;
  if (type === 'float16' || type === 'bfloat16') return 16;
  return bytesPerElement(type) * 8;
}

/** `raw_data` is little-endian, as are all machines that Node runs on but s390x; elements below a byte fill it from its low end. */
function fromRaw(bytes: Uint8Array, type: TensorType, count: number): TensorData {
  const bits = elementBits(type);
  const data = arrayOf(type, count) as Exclude<TensorData, readonly string[]>;
  if (bits < 8) {
    for (let index = 0; index < count; index += 1) data[index] = fewBits(bytes, index, bits, type);
    return data;
  }
  if (data instanceof Float32Array && type !== 'float32') {
    const values = valuesOf(type);
    for (let index = 0; index < count; index += 1) {
      const pattern = bits === 8 ? bytes[index]! : bytes[2 * index]! | (bytes[2 * index + 1]! << 8);
      data[index] = values[pattern]!;
    }
    return data;
  }
  new Uint8Array(data.buffer).set(bytes);
  return data;
}

function fewBits(bytes: Uint8Array, index: number, bits: number, type: TensorType): number {
  const place = index * bits;
  const pattern = (bytes[place >> 3]! >> (place & 7)) & (2 ** bits - 1);
  if (type === 'float4e2m1') return valuesOf(type)[pattern]!;
  return type.startsWith('int') && pattern >= 2 ** (bits - 1) ? pattern - 2 ** bits : pattern;
}

/** Writes a TensorProto: texts as `string_data`, all others as `raw_data`. */
export function encodeTensor(tensor: NamedTensor): Uint8Array {
  const writer = new WireWriter();
  for (const size of tensor.dims) {
    writer.tag(1, 0);
    writer.varint(size);
  }
  writer.tag(2, 0);
  writer.varint(numberOfType(tensor.type));
  if (tensor.type === 'string') {
    for (const text of tensor.data as readonly string[]) {
      writer.tag(6, 2);
      writer.text(text);
    }
  }
  if (tensor.name !== '') {
    writer.tag(8, 2);
    writer.text(tensor.name);
  }
  if (tensor.type !== 'string') {
    writer.tag(9, 2);
    writer.chunk(toRaw(tensor));
  }
  return writer.finish();
}

function toRaw({ type, data }: NamedTensor): Uint8Array {
  const bits = elementBits(type);
  const array = data as Exclude<TensorData, readonly string[]>;
  const narrow = array instanceof Float32Array && type !== 'float32';
  if (!narrow && bits >= 8) return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const bytes = new Uint8Array(Math.ceil((array.length * bits) / 8));
  for (let index = 0; index < array.length; index += 1) {
    const pattern = narrow ? patternOf(type, Number(array[index])) : Number(array[index]) & (2 ** bits - 1);
    const place = index * bits;
    bytes[place >> 3]! |= (pattern << (place & 7)) & 255;
    if (bits === 16) bytes[(place >> 3) + 1]! |= pattern >> 8;
  }
  return bytes;
}

import { type InputProblem, MillraceError } from '../../kernel/index.ts';
import {
  arrayOf,
  elementCount,
  isTensor,
  isTensorSpec,
  type Tensor,
  type TensorType,
  toJson,
  type Value,
  type ValueSpec,
} from '../../models/index.ts';

/**
 * Tensors as the Open Inference Protocol (version 2) has them
 * (https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#tensor-data-types).
 */
const DATATYPES = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BF16: 'bfloat16',
  BYTES: 'string',
} as const satisfies { readonly [datatype: string]: TensorType };

export type Datatype = keyof typeof DATATYPES;

const NAMES = new Map(
  Object.entries(DATATYPES).map(([name, type]) => [type as TensorType, name as Datatype]),
);

/** Types that the protocol has no name for travel as the next wider one that holds their values. */
export function datatypeOf(type: TensorType): Datatype {
  const found = NAMES.get(type);
  if (found) return found;
  if (type.startsWith('uint')) return 'UINT8';
  return type.startsWith('int') ? 'INT8' : 'FP32';
}

/** Throws INVALID_INPUT. */
export function typeOfDatatype(datatype: unknown, path: string): TensorType {
  if (typeof datatype === 'string' && Object.hasOwn(DATATYPES, datatype))
    return DATATYPES[datatype as Datatype];
  throw wrongTensor(path, `is '${String(datatype)}'; it must be one of ${Object.keys(DATATYPES).join(', ')}`);
}

export function wrongTensor(path: string, message: string): MillraceError {
  const errors: InputProblem[] = [{ path, message }];
  return new MillraceError('INVALID_INPUT', `${path.slice(1).replaceAll('/', '.')} ${message}.`, { errors });
}

const MOST_DIMS = 32;
const MOST_ELEMENTS = 256 * 1024 * 1024;

/** Throws INVALID_INPUT for sizes that are none. */
export function checkShape(shape: unknown, path: string): readonly number[] {
  const fits =
    Array.isArray(shape) &&
    shape.length <= MOST_DIMS &&
    shape.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
  if (!fits) throw wrongTensor(path, 'must be a list of whole numbers from 0 on');
  if (elementCount(shape as number[]) > MOST_ELEMENTS)
    throw wrongTensor(path, `has more than ${MOST_ELEMENTS} elements`);
  return shape as readonly number[];
}

/** What a client sees of an input or output: outputs that are no tensors are told as JSON, one text a row. */
export function describeSpec(spec: ValueSpec): { name: string; datatype: Datatype; shape: number[] } {
  if (!isTensorSpec(spec)) return { name: spec.name, datatype: 'BYTES', shape: [-1] };
  const shape = spec.dims.map((size) => (typeof size === 'number' ? size : -1));
  return { name: spec.name, datatype: datatypeOf(spec.type), shape };
}

/** Sequences and maps as a tensor of texts. */
export function asTensor(value: Value): Tensor {
  if (isTensor(value)) return value;
  const items = value.kind === 'sequence' ? value.items : [value];
  return { type: 'string', dims: [items.length], data: items.map((item) => JSON.stringify(toJson(item))) };
}

/** Little-endian, row-major, without padding; texts each after their length in four bytes. */
export function tensorToBytes({ type, data }: Tensor): Uint8Array {
  if (type === 'string') return textsToBytes(data as readonly string[]);
  const numbers = data as Float32Array;
  if (type === 'float16') return bytesOf(new Float16Array(numbers));
  if (type === 'bfloat16') return bytesOf(Uint16Array.from(numbers, upperHalf));
  return bytesOf(numbers);
}

const bytesOf = (view: NodeJS.ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

const SCRATCH = new Float32Array(1);
const SCRATCH_BITS = new Uint32Array(SCRATCH.buffer);

/** Values of bfloat16 in a float32 end in sixteen zero bits. */
function upperHalf(value: number): number {
  SCRATCH[0] = value;
  return SCRATCH_BITS[0]! >>> 16;
}

function textsToBytes(texts: readonly string[]): Uint8Array {
  const parts = texts.map((text) => Buffer.from(text, 'utf8'));
  const bytes = Buffer.alloc(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  let at = 0;
  for (const part of parts) {
    at = bytes.writeUInt32LE(part.length, at);
    at += part.copy(bytes, at);
  }
  return bytes;
}

const WIDTHS: { readonly [datatype in Exclude<Datatype, 'BYTES'>]: number } = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  BF16: 2,
};

/** Throws INVALID_INPUT when the bytes are not what the shape says. */
export function tensorFromBytes(
  type: TensorType,
  dims: readonly number[],
  bytes: Uint8Array,
  path: string,
): Tensor {
  const count = elementCount(dims);
  if (type === 'string') return { type, dims, data: textsFromBytes(bytes, count, path) };
  const width = WIDTHS[datatypeOf(type) as Exclude<Datatype, 'BYTES'>];
  if (bytes.length !== count * width) {
    throw wrongTensor(
      path,
      `has ${bytes.length} bytes; the shape [${dims.join(', ')}] takes ${count * width}`,
    );
  }
  // A copy: the bytes need not lie where numbers may begin.
  const aligned = new Uint8Array(bytes).buffer;
  if (type === 'float16') return { type, dims, data: Float32Array.from(new Float16Array(aligned)) };
  if (type === 'bfloat16') return { type, dims, data: widened(new Uint16Array(aligned)) };
  const Kind = arrayOf(type, 0).constructor as new (buffer: ArrayBuffer) => Float32Array;
  return { type, dims, data: new Kind(aligned) };
}

function widened(halves: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

function textsFromBytes(bytes: Uint8Array, count: number, path: string): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = at + 4 <= bytes.length ? view.getUint32(at, true) : Number.POSITIVE_INFINITY;
    if (at + 4 + length > bytes.length) throw wrongTensor(path, 'ends in the middle of a text');
    texts.push(textOf(bytes.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  if (texts.length === count) return texts;
  throw wrongTensor(path, `has ${texts.length} texts; the shape takes ${count}`);
}

/** Bytes of a BYTES element are taken as UTF-8, and where they are not as one character a byte. */
export function textOf(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8');
  return text.includes('\ufffd') ? buffer.toString('latin1') : text;
}

/** Whether two ways of saying the same type may stand for each other: what is given as INT8 may be meant as int4. */
export function fitType(given: Tensor, wanted: TensorType): Tensor {
  return given.type !== wanted && datatypeOf(wanted) === datatypeOf(given.type)
    ? { ...given, type: wanted }
    : given;
}

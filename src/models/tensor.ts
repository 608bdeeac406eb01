import { MillraceError } from '../kernel/index.ts';

/**
 * Element types, named as numpy names them. How each lies in memory:
 *
 * | type | data |
 * |---|---|
 * | `float32`, `float64`, `int8` … `uint32` | the typed array of that name |
 * | `int64`, `uint64` | `BigInt64Array`, `BigUint64Array` |
 * | `bool` | `Uint8Array` of 0 and 1 |
 * | `float16`, `bfloat16`, `float8…`, `float4e2m1` | `Float32Array`; every element is a value of the narrow type |
 * | `int4`, `uint4`, `int2`, `uint2` | `Int8Array` or `Uint8Array`, one element each |
 * | `string` | an array of texts |
 */
export type TensorType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'float8e4m3fn'
  | 'float8e4m3fnuz'
  | 'float8e5m2'
  | 'float8e5m2fnuz'
  | 'float8e8m0'
  | 'float4e2m1'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint2'
  | 'uint4'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool'
  | 'string';

export type BigData = BigInt64Array | BigUint64Array;
export type NumberData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array;
export type TensorData = NumberData | BigData | readonly string[];

/** `data` is row-major and has as many elements as `dims` multiply to; no dims is a scalar of one element. */
export interface Tensor {
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export interface SequenceValue {
  readonly kind: 'sequence';
  readonly items: readonly Value[];
}

/** Keys are texts, or numbers for integer keys; values are tensors in the order of the keys. */
export interface MapValue {
  readonly kind: 'map';
  readonly keyType: TensorType;
  readonly entries: ReadonlyMap<string | number | bigint, Value | number | string | bigint>;
}

export interface OptionalValue {
  readonly kind: 'optional';
  readonly value: Value | undefined;
}

/** What flows between operators. Only tensors have no `kind`. */
export type Value = Tensor | SequenceValue | MapValue | OptionalValue;

export interface TensorSpec {
  readonly name: string;
  readonly type: TensorType;
  /** A text or null stands for any size: the text is the model's name for it, such as `batch`. */
  readonly dims: readonly (number | string | null)[];
  /** The model does not say how many dims there are: `dims` is empty and means nothing. */
  readonly anyRank?: true;
}

/** An input or output that is no tensor, such as the maps from label to probability that ZipMap makes. */
export interface OtherSpec {
  readonly name: string;
  readonly kind: 'sequence' | 'map' | 'optional';
  /** Of a map: the type of its keys. */
  readonly keyType?: TensorType;
  /** What it holds; its `name` is empty. */
  readonly element: ValueSpec;
}

export type ValueSpec = TensorSpec | OtherSpec;

export function isTensor(value: Value): value is Tensor {
  return !('kind' in value);
}

export function isTensorSpec(spec: ValueSpec): spec is TensorSpec {
  return !('kind' in spec);
}

export function elementCount(dims: readonly number[]): number {
  let count = 1;
  for (const size of dims) count *= size;
  return count;
}

/** Bytes of one element in memory; texts count as a pointer. */
export function bytesPerElement(type: TensorType): number {
  switch (type) {
    case 'float64':
    case 'int64':
    case 'uint64':
    case 'string':
      return 8;
    case 'int16':
    case 'uint16':
      return 2;
    case 'int2':
    case 'int4':
    case 'int8':
    case 'uint2':
    case 'uint4':
    case 'uint8':
    case 'bool':
      return 1;
    default:
      return 4;
  }
}

/** The kind of array that holds elements of a type (see `TensorType`). */
export function arrayOf(type: 'int64', length: number): BigInt64Array<ArrayBuffer>;
export function arrayOf(type: 'uint64', length: number): BigUint64Array<ArrayBuffer>;
export function arrayOf(type: 'string', length: number): string[];
export function arrayOf(type: TensorType, length: number): Exclude<TensorData, readonly string[]> | string[];
export function arrayOf(type: TensorType, length: number): Exclude<TensorData, readonly string[]> | string[] {
  switch (type) {
    case 'float64':
      return new Float64Array(length);
    case 'int64':
      return new BigInt64Array(length);
    case 'uint64':
      return new BigUint64Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'uint32':
      return new Uint32Array(length);
    case 'int16':
      return new Int16Array(length);
    case 'uint16':
      return new Uint16Array(length);
    case 'int8':
    case 'int4':
    case 'int2':
      return new Int8Array(length);
    case 'uint8':
    case 'uint4':
    case 'uint2':
    case 'bool':
      return new Uint8Array(length);
    case 'string':
      return new Array<string>(length).fill('');
    default:
      return new Float32Array(length);
  }
}

export function isBig(type: TensorType): boolean {
  return type === 'int64' || type === 'uint64';
}

export function isFloat(type: TensorType): boolean {
  return type.startsWith('float') || type === 'bfloat16';
}

/** A tensor over `data`, checked: INVALID_INPUT when sizes or the kind of array do not fit. Nothing is copied. */
export function tensor(type: TensorType, dims: readonly number[], data: TensorData): Tensor {
  const bad = dims.find((size) => !Number.isInteger(size) || size < 0);
  if (bad !== undefined) throw new MillraceError('INVALID_INPUT', `A tensor cannot have a size of ${bad}.`);
  const expected = elementCount(dims);
  if (data.length !== expected) {
    throw new MillraceError(
      'INVALID_INPUT',
      `A tensor of [${dims.join(', ')}] has ${expected} elements, not ${data.length}. Send as many values as its sizes multiply to.`,
    );
  }
  if (data.constructor !== arrayOf(type, 0).constructor) {
    throw new MillraceError(
      'INVALID_INPUT',
      `Elements of ${type} lie in a ${arrayOf(type, 0).constructor.name}, not a ${data.constructor.name}.`,
    );
  }
  return { type, dims, data };
}

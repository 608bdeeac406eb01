import { arrayOf, type TensorData, type TensorType } from '../tensor.ts';

/** Puts one value of a row into the data of a tensor; answers what is wrong with it, or undefined. */
export type PutElement = (data: TensorData, at: number, value: unknown) => string | undefined;

const RANGES: { readonly [type: string]: readonly [min: number, max: number] } = {
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
  int4: [-8, 7],
  int2: [-2, 1],
  uint8: [0, 255],
  uint16: [0, 65_535],
  uint32: [0, 4_294_967_295],
  uint4: [0, 15],
  uint2: [0, 3],
};

const LARGEST_FLOAT32 = 3.402_823_466_385_288_6e38;

/** `missing`: whether null and NaN may stand for a value that is not known (floating point only). */
export function putterFor(type: TensorType, missing: boolean): PutElement {
  if (type === 'string') return putText;
  if (type === 'int64' || type === 'uint64') return type === 'int64' ? putBig : putUnsignedBig;
  if (type === 'bool') return putFlag;
  const range = RANGES[type];
  if (range) return putInteger(range[0], range[1]);
  return putFloat(type === 'float64' ? Number.MAX_VALUE : LARGEST_FLOAT32, missing);
}

function putFloat(largest: number, missing: boolean): PutElement {
  return (data, at, value) => {
    const numbers = data as Float64Array;
    if (typeof value === 'number' && value >= -largest && value <= largest) {
      numbers[at] = value;
      return undefined;
    }
    if (typeof value === 'boolean') {
      numbers[at] = value ? 1 : 0;
      return undefined;
    }
    const isMissing = value === null || (typeof value === 'number' && Number.isNaN(value));
    if (isMissing && missing) {
      numbers[at] = Number.NaN;
      return undefined;
    }
    if (isMissing)
      return `is missing; give a number, or declare the model with missing: true if it knows what to do`;
    if (typeof value === 'number') return `is ${value}, which is too large for the model`;
    return `must be a number, not ${kindOf(value)}`;
  };
}

function putInteger(min: number, max: number): PutElement {
  return (data, at, value) => {
    const number = typeof value === 'boolean' ? Number(value) : value;
    if (!Number.isInteger(number)) return `must be a whole number, not ${kindOf(value)}`;
    if ((number as number) < min || (number as number) > max) return `must lie between ${min} and ${max}`;
    (data as Int32Array)[at] = number as number;
    return undefined;
  };
}

function putBig(data: TensorData, at: number, value: unknown): string | undefined {
  const number = typeof value === 'boolean' ? Number(value) : value;
  if (typeof number === 'bigint') (data as BigInt64Array)[at] = number;
  else if (Number.isSafeInteger(number)) (data as BigInt64Array)[at] = BigInt(number as number);
  else return `must be a whole number, not ${kindOf(value)}`;
  return undefined;
}

function putUnsignedBig(data: TensorData, at: number, value: unknown): string | undefined {
  if ((value as number) < 0) return 'must not be negative';
  return putBig(data, at, value);
}

function putFlag(data: TensorData, at: number, value: unknown): string | undefined {
  if (typeof value !== 'boolean' && value !== 0 && value !== 1)
    return `must be true or false, not ${kindOf(value)}`;
  (data as Uint8Array)[at] = Number(value);
  return undefined;
}

function putText(data: TensorData, at: number, value: unknown): string | undefined {
  if (typeof value !== 'string') return `must be text, not ${kindOf(value)}`;
  (data as string[])[at] = value;
  return undefined;
}

export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'text' : String(value);
}

/** Elements as JSON has them: whole numbers of 64 bits as numbers while they are exact, else as text; no NaN. */
export function elementToJson(
  value: number | bigint | string,
  type: TensorType,
): number | string | boolean | null {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (type === 'bool') return value !== 0;
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

/** Data of several tensors of one type, one after the other. */
export function joinData(type: TensorType, parts: readonly TensorData[]): TensorData {
  if (type === 'string') return (parts as readonly (readonly string[])[]).flat();
  const joined = arrayOf(
    type,
    parts.reduce((sum, part) => sum + part.length, 0),
  ) as Float32Array;
  let at = 0;
  for (const part of parts) {
    joined.set(part as Float32Array, at);
    at += part.length;
  }
  return joined;
}

/** A part of the data; numbers are not copied. */
export function partOfData(data: TensorData, start: number, end: number): TensorData {
  return Array.isArray(data) ? data.slice(start, end) : (data as Float32Array).subarray(start, end);
}

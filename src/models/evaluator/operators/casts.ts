import { type Overflow, typeOfNumber } from '../../onnx/index.ts';
import { isBig, isFloat, type Tensor, type TensorType } from '../../tensor.ts';
import type { Budget, Writable } from '../limits.ts';
import { type Operators, rounded, tensorOperator } from '../operator.ts';
import { misfit } from '../shapes.ts';

/** Converts elements; floats to integers drop the fraction and wrap around, as C does. Narrow floats round. */
export function castTo(budget: Budget, x: Tensor, type: TensorType, overflow: Overflow = 'saturate'): Tensor {
  if (x.type === type) return x;
  const out = budget.array(type, x.dims);
  if (type === 'string') toTexts(x, out as string[]);
  else if (x.type === 'string') fromTexts(x.data as readonly string[], out, type);
  else if (type === 'bool') toBool(x, out as Uint8Array);
  else if (isBig(x.type) || isBig(type)) throughBig(x, out);
  else (out as Float32Array).set(x.data as Float32Array);
  // IEEE formats go to infinity as float16 does; the formats of 8 bits saturate unless the node says otherwise.
  return { type, dims: x.dims, data: narrowed(type, out, type.startsWith('float8') ? overflow : 'infinity') };
}

function narrowed(type: TensorType, out: Writable, overflow: Overflow): Writable {
  if (/int[24]$/.test(type)) {
    const bits = Number(type.at(-1));
    const array = out as Int8Array;
    for (let index = 0; index < array.length; index += 1) {
      const pattern = array[index]! & (2 ** bits - 1);
      array[index] = type.startsWith('int') && pattern >= 2 ** (bits - 1) ? pattern - 2 ** bits : pattern;
    }
  }
  return rounded(type, out, overflow);
}

function toBool({ data }: Tensor, out: Uint8Array): void {
  for (let index = 0; index < out.length; index += 1) out[index] = data[index] ? 1 : 0;
}

function throughBig({ data }: Tensor, out: Writable): void {
  const big = out instanceof BigInt64Array || out instanceof BigUint64Array;
  for (let index = 0; index < out.length; index += 1) {
    const value = data[index] as number | bigint;
    if (!big) (out as Float32Array)[index] = Number(value);
    else if (typeof value === 'bigint') out[index] = value;
    else out[index] = BigInt(Number.isFinite(value) ? Math.trunc(value) : 0);
  }
}

/** Plain or scientific decimals, NaN and infinities, as ONNX lists them. */
function fromTexts(texts: readonly string[], out: Writable, type: TensorType): void {
  const big = out instanceof BigInt64Array || out instanceof BigUint64Array;
  for (let index = 0; index < texts.length; index += 1) {
    const text = texts[index]!.trim();
    const value = numberOf(text);
    if (Number.isNaN(value) && !/^[+-]?nan$/i.test(text))
      throw misfit(`${JSON.stringify(text.slice(0, 40))}, which is no number`);
    if (big) out[index] = /^[+-]?\d+$/.test(text) ? BigInt(text) : BigInt(Math.trunc(value));
    else (out as Float32Array)[index] = type === 'bool' ? (value ? 1 : 0) : value;
  }
}

function numberOf(text: string): number {
  const infinite = /^([+-]?)inf(inity)?$/i.exec(text);
  if (infinite) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return text === '' ? Number.NaN : Number(text);
}

/** Floats in as few digits as tell them apart, as numpy and ONNX Runtime write them. */
function toTexts({ type, data }: Tensor, out: string[]): void {
  for (let index = 0; index < out.length; index += 1) {
    const value = data[index]!;
    out[index] = isFloat(type)
      ? floatText(Number(value), type)
      : type === 'bool'
        ? value
          ? '1'
          : '0'
        : String(value);
  }
}

function floatText(value: number, type: TensorType): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'INF' : '-INF';
  if (type === 'float64') return String(value);
  for (let digits = 1; digits < 10; digits += 1) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(value);
}

const cast = tensorOperator(6, 1, (node) => {
  const type = typeOfNumber(node.int('to', 0));
  const overflow = node.int('saturate', 1) === 1 ? 'saturate' : 'infinity';
  return (x) => castTo(node.budget, x!, type, overflow);
});

const castLike = tensorOperator(15, 2, (node) => {
  const overflow = node.int('saturate', 1) === 1 ? 'saturate' : 'infinity';
  return (x, like) => castTo(node.budget, x!, like!.type, overflow);
});

export const casts: Operators = { Cast: cast, CastLike: castLike };

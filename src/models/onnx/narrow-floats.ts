import type { TensorType } from '../tensor.ts';

/** How a float of 4 to 16 bits is made: `bias` of the exponent, and which patterns are not numbers. */
interface NarrowFloat {
  readonly bits: number;
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  /** `ieee`: the highest exponent is infinity and NaN. `fn`: only all ones is NaN. `fnuz`: only minus zero is NaN. `none`: all are numbers. */
  readonly special: 'ieee' | 'fn' | 'fnuz' | 'none';
}

/** Sizes and biases from onnx.proto and https://onnx.ai/onnx/technical/float8.html. */
const FORMATS: { readonly [type in TensorType]?: NarrowFloat } = {
  float16: { bits: 16, exponentBits: 5, mantissaBits: 10, bias: 15, special: 'ieee' },
  bfloat16: { bits: 16, exponentBits: 8, mantissaBits: 7, bias: 127, special: 'ieee' },
  float8e4m3fn: { bits: 8, exponentBits: 4, mantissaBits: 3, bias: 7, special: 'fn' },
  float8e4m3fnuz: { bits: 8, exponentBits: 4, mantissaBits: 3, bias: 8, special: 'fnuz' },
  float8e5m2: { bits: 8, exponentBits: 5, mantissaBits: 2, bias: 15, special: 'ieee' },
  float8e5m2fnuz: { bits: 8, exponentBits: 5, mantissaBits: 2, bias: 16, special: 'fnuz' },
  float4e2m1: { bits: 4, exponentBits: 2, mantissaBits: 1, bias: 1, special: 'none' },
};

const tables = new Map<TensorType, Float32Array>();

/** The value of every bit pattern of a narrow float. */
export function valuesOf(type: TensorType): Float32Array {
  let table = tables.get(type);
  if (!table) {
    const format = FORMATS[type];
    const size = format ? 2 ** format.bits : 256;
    table = Float32Array.from({ length: size }, (_, bits) => (format ? decode(format, bits) : scaleOf(bits)));
    tables.set(type, table);
  }
  return table;
}

/** `float8e8m0` is a power of two without a sign. */
function scaleOf(bits: number): number {
  return bits === 255 ? Number.NaN : 2 ** (bits - 127);
}

function decode(format: NarrowFloat, pattern: number): number {
  const { mantissaBits, exponentBits, bias, special, bits } = format;
  const sign = pattern >> (bits - 1) ? -1 : 1;
  const magnitude = pattern & (2 ** (bits - 1) - 1);
  const exponent = magnitude >> mantissaBits;
  const mantissa = magnitude & (2 ** mantissaBits - 1);
  if (special === 'ieee' && exponent === 2 ** exponentBits - 1) {
    return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  if (special === 'fn' && magnitude === 2 ** (bits - 1) - 1) return Number.NaN;
  if (special === 'fnuz' && sign < 0 && magnitude === 0) return Number.NaN;
  const fraction = mantissa / 2 ** mantissaBits;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

/** What is above the largest number of a float of 8 bits: the largest number, or infinity (NaN where there is none). */
export type Overflow = 'saturate' | 'infinity';

/** The nearest value of a narrow float, ties to even; for types that are not narrow, what `Math.fround` says. */
export function roundTo(type: TensorType, overflow: Overflow = 'infinity'): (value: number) => number {
  if (type === 'float16') return Math.f16round;
  if (type === 'float32') return Math.fround;
  if (type === 'float64') return (value) => value;
  if (type === 'float8e8m0') return roundToScale;
  const format = FORMATS[type];
  if (!format) return Math.fround;
  return (value) => round(format, value, overflow);
}

function roundToScale(value: number): number {
  if (!(value > 0)) return Number.NaN;
  return 2 ** Math.min(127, Math.max(-127, Math.round(Math.log2(value))));
}

function largestOf({ exponentBits, mantissaBits, bias, special }: NarrowFloat): number {
  const top = 2 ** exponentBits - 1 - bias - (special === 'ieee' ? 1 : 0);
  return (2 - 2 ** -mantissaBits * (special === 'fn' ? 2 : 1)) * 2 ** top;
}

function round(format: NarrowFloat, value: number, overflow: Overflow): number {
  if (Number.isNaN(value)) return format.special === 'none' ? 0 : value;
  if (value === 0) return format.special === 'fnuz' ? 0 : value;
  const largest = largestOf(format);
  const size = Math.abs(value);
  const exponent =
    size === Number.POSITIVE_INFINITY ? 0 : Math.max(Math.floor(Math.log2(size)), 1 - format.bias);
  const step = 2 ** (exponent - format.mantissaBits);
  const scaled = size / step;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
  const rounded = size === Number.POSITIVE_INFINITY ? size : (floor + (up ? 1 : 0)) * step;
  if (rounded <= largest) return rounded === 0 && format.special === 'fnuz' ? 0 : Math.sign(value) * rounded;
  const most = overflow === 'saturate' || format.special === 'none';
  if (most) return Math.sign(value) * largest;
  return format.special === 'ieee' ? Math.sign(value) * Number.POSITIVE_INFINITY : Number.NaN;
}

const patterns = new Map<TensorType, Map<number, number>>();

/** The bit pattern of a value that is one of `valuesOf(type)`. */
export function patternOf(type: TensorType, value: number): number {
  let table = patterns.get(type);
  if (!table) {
    table = new Map();
    // Downwards, so that of several patterns of NaN the lowest stays.
    const values = valuesOf(type);
    for (let bits = values.length - 1; bits >= 0; bits -= 1) {
      if (!Object.is(values[bits], -0)) table.set(values[bits]!, bits);
    }
    patterns.set(type, table);
  }
  const minusZero = Object.is(value, -0) && FORMATS[type] && FORMATS[type].special !== 'fnuz';
  if (minusZero) return 2 ** (FORMATS[type]!.bits - 1);
  return table.get(value) ?? 0;
}

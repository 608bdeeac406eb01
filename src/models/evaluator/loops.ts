import { elementCount, type TensorData } from '../tensor.ts';
import type { Writable } from './limits.ts';
import { broadcastStrides, collapse } from './shapes.ts';

/**
 * Loops over elements, made from an expression for each operator and element type. A loop shared by all operators
 * would call a function for each element that the engine can neither inline nor specialise: several times slower. The
 * expressions are constants of this program; nothing of a model becomes code.
 */
export type UnaryLoop = (x: TensorData, out: Writable, count: number, p: number, q: number) => void;

type BinaryInner = (
  x: TensorData,
  xAt: number,
  xStep: number,
  y: TensorData,
  yAt: number,
  yStep: number,
  out: Writable,
  outAt: number,
  count: number,
) => void;

const made = new Map<string, unknown>();

/** Error function and its like are handed in, because an expression knows nothing but `x`, `y` and Math. */
export type Helper = (x: number, p: number, q: number) => number;

function make<Loop>(key: string, code: string, helper?: Helper): Loop {
  let loop = made.get(key) as Loop | undefined;
  if (!loop) {
    loop = new Function('helper', `return ${code}`)(helper) as Loop;
    made.set(key, loop);
  }
  return loop;
}

/** `expression` over `x`, `p` and `q`; `kind` names the arrays, so that each loop sees one. */
export function unaryLoop(expression: string, kind: string, helper?: Helper): UnaryLoop {
  return make(
    `${expression}/${kind}/${helper?.name}`,
    `function (a, out, count, p, q) {
      for (let index = 0; index < count; index += 1) {
        const x = a[index];
        out[index] = ${expression};
      }
    }`,
    helper,
  );
}

function binaryInner(expression: string, kind: string): BinaryInner {
  return make(
    `${expression}/${kind}`,
    `function (a, aAt, aStep, b, bAt, bStep, out, outAt, count) {
      for (let index = 0; index < count; index += 1, aAt += aStep, bAt += bStep) {
        const x = a[aAt], y = b[bAt];
        out[outAt + index] = ${expression};
      }
    }`,
  );
}

/** `expression` over two rows of equal length, in float64 that holds float32. */
export function columnLoop(
  expression: string,
): (x: Float64Array, y: Float64Array, out: Float64Array) => void {
  const inner = binaryInner(`Math.fround(${expression})`, 'row');
  return (x, y, out) => inner(x, 0, 1, y, 0, 1, out, 0, out.length);
}

/** What a broadcast binary loop needs of the shapes; worth keeping while they stay the same. */
interface BroadcastPlan {
  readonly dims: readonly number[];
  readonly total: number;
  readonly xSteps: readonly number[];
  readonly ySteps: readonly number[];
}

export function planBroadcast(
  x: readonly number[],
  y: readonly number[],
  dims: readonly number[],
): BroadcastPlan {
  const flat = collapse(dims, broadcastStrides(x, dims), broadcastStrides(y, dims));
  return { dims: flat.dims, total: elementCount(dims), xSteps: flat.strides[0]!, ySteps: flat.strides[1]! };
}

/** Runs `expression` over `x` and `y` for each element of the broadcast shape. */
export function binaryLoop(
  expression: string,
  kind: string,
): (plan: BroadcastPlan, x: TensorData, y: TensorData, out: Writable) => void {
  const inner = binaryInner(expression, kind);
  return ({ dims, total, xSteps, ySteps }, x, y, out) => {
    if (total === 0) return;
    const last = dims.length - 1;
    const length = dims[last]!;
    if (last === 0) {
      inner(x, 0, xSteps[0]!, y, 0, ySteps[0]!, out, 0, length);
      return;
    }
    const counter = new Array<number>(last).fill(0);
    let xAt = 0;
    let yAt = 0;
    for (let at = 0; at < total; at += length) {
      inner(x, xAt, xSteps[last]!, y, yAt, ySteps[last]!, out, at, length);
      for (let dim = last - 1; dim >= 0; dim -= 1) {
        xAt += xSteps[dim]!;
        yAt += ySteps[dim]!;
        if (++counter[dim]! < dims[dim]!) break;
        xAt -= xSteps[dim]! * dims[dim]!;
        yAt -= ySteps[dim]! * dims[dim]!;
        counter[dim] = 0;
      }
    }
  };
}

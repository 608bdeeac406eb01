import { unsupported } from '../onnx/index.ts';
import { arrayOf, bytesPerElement, elementCount, type TensorData, type TensorType } from '../tensor.ts';
import { misfit, show } from './shapes.ts';

/** What one run of a model may take: a file may come from anybody. */
export interface EvaluatorLimits {
  /** Largest tensor. */
  readonly tensorBytes: number;
  /** All tensors that a run makes, those that are let go again too. */
  readonly runBytes: number;
  /** Multiplications, comparisons and copies, roughly: 10^9 are in the order of a second. */
  readonly operations: number;
  /** Nodes after functions have been put in place of their calls. */
  readonly nodes: number;
}

export const EVALUATOR_LIMITS: EvaluatorLimits = {
  tensorBytes: 2 ** 30,
  runBytes: 2 ** 33,
  operations: 1e10,
  nodes: 200_000,
};

/** The mutable side of a typed array or a list of texts. */
export type Writable = Exclude<TensorData, readonly string[]> | string[];

/** Counts what a run takes and refuses what goes beyond the limits: MODEL_UNSUPPORTED. */
export class Budget {
  readonly limits: EvaluatorLimits;
  #bytes = 0;
  #operations = 0;

  constructor(limits: EvaluatorLimits) {
    this.limits = limits;
  }

  /** Starts counting again, for the next run. */
  reset(): void {
    this.#bytes = 0;
    this.#operations = 0;
  }

  /** A new array for `dims`. */
  array(type: TensorType, dims: readonly number[]): Writable {
    for (let dim = 0; dim < dims.length; dim += 1) {
      const size = dims[dim]!;
      if (!(size >= 0 && Number.isInteger(size))) throw misfit(`a tensor of ${show(dims)}`);
    }
    const count = elementCount(dims);
    if (count === 0) refuseVast(dims);
    this.take(count * bytesPerElement(type));
    return arrayOf(type, count);
  }

  take(bytes: number): void {
    if (bytes > this.limits.tensorBytes) {
      throw beyond(`a tensor of ${bytes} bytes, and the limit is ${this.limits.tensorBytes}`);
    }
    this.#bytes += bytes;
    if (this.#bytes > this.limits.runBytes)
      throw beyond(`more than ${this.limits.runBytes} bytes in one run`);
    this.work(bytes / 4);
  }

  work(operations: number): void {
    this.#operations += operations;
    if (!(this.#operations <= this.limits.operations)) {
      throw beyond(`more than ${this.limits.operations} operations in one run`);
    }
  }
}

/** Places along the sizes that are not zero, in a tensor that has no elements. */
const MOST_EMPTY_PLACES = 2 ** 24;

/** A tensor of [2^53, 0] takes no memory, and whoever walks along its first dim never comes to an end. */
export function refuseVast(dims: readonly number[]): void {
  let places = 1;
  for (const size of dims) if (size !== 0) places *= size;
  if (!(places <= MOST_EMPTY_PLACES)) throw beyond(`an empty tensor of ${show(dims)}`);
}

function beyond(what: string): Error {
  return unsupported(
    `The model asks for ${what}`,
    'Send fewer rows at once or smaller inputs, or serve the model with ONNX Runtime',
  );
}

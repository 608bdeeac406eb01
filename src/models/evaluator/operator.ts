import { type OnnxNode, type Overflow, roundTo } from '../onnx/index.ts';
import {
  isTensor,
  type NumberData,
  type Tensor,
  type TensorData,
  type TensorType,
  type Value,
} from '../tensor.ts';
import type { Budget, Writable } from './limits.ts';
import { misfit } from './shapes.ts';

/** What an operator knows of its node when the model is compiled. */
export interface NodeFacts {
  readonly node: OnnxNode;
  /** Version of the operator's domain that the model imports. */
  readonly opset: number;
  /** Inputs that are known already, by place. */
  readonly constants: readonly (Value | undefined)[];
  readonly outputCount: number;
  readonly budget: Budget;
  has(name: string): boolean;
  int(name: string, fallback: number): number;
  float(name: string, fallback: number): number;
  string(name: string, fallback: string): string;
  ints(name: string): number[] | undefined;
  /** The same without a copy, for long lists; empty where the attribute is not there. */
  integers(name: string): ArrayLike<number>;
  floats(name: string): Float32Array | undefined;
  strings(name: string): readonly string[] | undefined;
  tensor(name: string): Tensor | undefined;
  /** A graph of the node's own, compiled; it sees the values around the node. */
  graph(name: string): SubGraph;
}

export interface SubGraph {
  readonly inputCount: number;
  readonly outputCount: number;
  run(inputs: readonly (Value | undefined)[]): (Value | undefined)[];
}

/** Runs a node: absent optional inputs are undefined. */
export type Kernel = (inputs: readonly (Value | undefined)[]) => readonly (Value | undefined)[];

/** A kernel of tensors alone; it may count on those inputs that the operator requires. */
export type TensorKernel = (...inputs: readonly Tensor[]) => Tensor | readonly Tensor[];

export interface Operator {
  /** First version of the domain whose meaning is covered; older files are refused. */
  readonly since: number;
  /** How many inputs have to be there. */
  readonly required: number;
  readonly compile: (node: NodeFacts) => Kernel;
}

export type Operators = { readonly [type: string]: Operator };

/** An operator that takes and gives tensors. `required` inputs are there; more may be. */
export function tensorOperator(
  since: number,
  required: number,
  compile: (node: NodeFacts) => TensorKernel,
): Operator {
  return {
    since,
    required,
    compile(node) {
      const kernel = compile(node);
      return (inputs) => {
        for (const input of inputs) {
          if (input && !isTensor(input)) throw misfit(`a ${input.kind} where it takes tensors`);
        }
        const output = kernel(...(inputs as readonly Tensor[]));
        return isOne(output) ? [output] : output;
      };
    },
  };
}

function isOne(output: Tensor | readonly Tensor[]): output is Tensor {
  return !Array.isArray(output);
}

/** The elements as numbers; refuses texts and 64-bit integers. */
export function numbersOf(tensor: Tensor): NumberData {
  const { data } = tensor;
  if (Array.isArray(data) || data instanceof BigInt64Array || data instanceof BigUint64Array) {
    throw misfit(`${tensor.type} where it takes numbers`);
  }
  return data as NumberData;
}

/** Integers of any width as plain numbers: sizes, axes, indices. */
export function integersOf(tensor: Tensor): number[] {
  const { data } = tensor;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, Number);
  if (Array.isArray(data)) throw misfit('texts where it takes integers');
  return Array.from(data as NumberData);
}

/** All numbers as float64, 64-bit integers too. */
export function floatsOf(tensor: Tensor): ArrayLike<number> {
  const { data } = tensor;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float64Array.from(data, Number);
  if (Array.isArray(data)) throw misfit('texts where it takes numbers');
  return data as NumberData;
}

export function textsOf(tensor: Tensor): readonly string[] {
  if (tensor.type !== 'string') throw misfit(`${tensor.type} where it takes texts`);
  return tensor.data as readonly string[];
}

/** The only element of a tensor. */
export function scalarOf(tensor: Tensor): number {
  if (tensor.data.length !== 1) throw misfit(`${tensor.data.length} values where it takes one`);
  return integersOrFloat(tensor.data);
}

function integersOrFloat(data: TensorData): number {
  const value = data[0]!;
  if (typeof value === 'string') throw misfit('a text where it takes a number');
  return Number(value);
}

/** Arrays in `Float32Array` that hold a narrower type: rounded in place to values of that type. */
export function rounded(type: TensorType, data: Writable, overflow?: Overflow): Writable {
  if (type === 'float32' || !(data instanceof Float32Array)) return data;
  const round = roundTo(type, overflow);
  for (let index = 0; index < data.length; index += 1) data[index] = round(data[index]!);
  return data;
}

/** The same data under other dims. */
export function reshaped(tensor: Tensor, dims: readonly number[]): Tensor {
  return { type: tensor.type, dims, data: tensor.data };
}

export function int64(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return { type: 'int64', dims, data: BigInt64Array.from(values as number[], (value) => BigInt(value)) };
}

/** Elements that are only moved, never looked at: one static type for all kinds of arrays. */
export function elementsOf(data: TensorData | Writable): Float32Array {
  return data as Float32Array;
}

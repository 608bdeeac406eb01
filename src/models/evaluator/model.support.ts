import { encodeModel, type NamedTensor, type OnnxNode, type OnnxValueInfo } from '../onnx/index.ts';
import type { Tensor, TensorType } from '../tensor.ts';
import { type CompiledModel, compileModel } from './compile.ts';
import type { EvaluatorLimits } from './limits.ts';

type Dims = readonly (number | string | null)[];

export interface ModelParts {
  readonly nodes: readonly OnnxNode[];
  /** `[type, dims]` by name; float32 when only dims are given. */
  readonly inputs: { readonly [name: string]: Dims | readonly [TensorType, Dims] };
  readonly outputs: readonly string[];
  readonly initializers?: readonly NamedTensor[];
  readonly opset?: number;
  readonly limits?: Partial<EvaluatorLimits>;
}

/** The bytes of a model for a test. */
export function modelBytes({
  nodes,
  inputs,
  outputs,
  initializers = [],
  opset = 17,
}: ModelParts): Uint8Array {
  const info = (name: string): OnnxValueInfo => {
    const given = inputs[name]!;
    const [type, dims] = Array.isArray(given[1])
      ? (given as [TensorType, Dims])
      : (['float32', given as Dims] as const);
    return { name, type: { kind: 'tensor', type, dims } };
  };
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: opset }, { domain: 'ai.onnx.ml', version: 3 }],
    graph: {
      ...{ nodes, initializers, inputs: Object.keys(inputs).map(info) },
      outputs: outputs.map((name) => ({ name })),
    },
  });
}

export function modelOf(parts: ModelParts): CompiledModel {
  return compileModel(modelBytes(parts), parts.limits);
}

export function floats(dims: readonly number[], values: Iterable<number>): Tensor {
  return { type: 'float32', dims, data: Float32Array.from(values) };
}

export function integers(dims: readonly number[], values: Iterable<number>): Tensor {
  return { type: 'int64', dims, data: BigInt64Array.from([...values], BigInt) };
}

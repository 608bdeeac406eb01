import type { Tensor } from '../tensor.ts';

/**
 * An ONNX file as plain structures: the messages of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto)
 * with tensors unpacked. Fields that say nothing about what a model computes are left out on reading: documentation
 * of nodes and values, annotations, device placement.
 */
export interface OnnxModel {
  readonly irVersion: number;
  readonly opsets: readonly OnnxOpset[];
  readonly producerName?: string;
  readonly producerVersion?: string;
  readonly domain?: string;
  readonly modelVersion?: number;
  readonly documentation?: string;
  readonly metadata?: readonly OnnxMetadata[];
  readonly graph: OnnxGraph;
  readonly functions?: readonly OnnxFunction[];
}

/** The default domain `ai.onnx` is the empty text. */
export interface OnnxOpset {
  readonly domain?: string;
  readonly version: number;
}

export interface OnnxMetadata {
  readonly key?: string;
  readonly value?: string;
}

export interface OnnxGraph {
  readonly name?: string;
  readonly documentation?: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly NamedTensor[];
  readonly sparseInitializers?: readonly OnnxSparseTensor[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly values?: readonly OnnxValueInfo[];
}

export interface NamedTensor extends Tensor {
  readonly name: string;
}

/** Coordinates of the values that are not zero: [count] indices into the flat tensor, or [count, rank]. */
export interface OnnxSparseTensor {
  readonly values: NamedTensor;
  readonly indices: NamedTensor;
  readonly dims: readonly number[];
}

/** An absent optional input or output is the empty text. */
export interface OnnxNode {
  readonly name?: string;
  readonly type: string;
  readonly domain?: string;
  readonly overload?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly OnnxAttribute[];
}

export type OnnxAttributeType =
  | 'float'
  | 'int'
  | 'string'
  | 'tensor'
  | 'graph'
  | 'floats'
  | 'ints'
  | 'strings'
  | 'tensors'
  | 'graphs'
  | 'sparseTensor'
  | 'sparseTensors'
  | 'type'
  | 'types';

/**
 * The field named like `type` holds the value (types themselves lie in `valueType` and `valueTypes`). Integers are numbers: a file with one beyond 2^53 is refused, but for the
 * ends of int64, which stand for "to the end".
 */
export interface OnnxAttribute {
  readonly name: string;
  readonly type: OnnxAttributeType;
  /** In a function's body: the attribute of the function whose value this one takes. */
  readonly reference?: string;
  readonly float?: number;
  readonly int?: number;
  readonly string?: string;
  readonly tensor?: NamedTensor;
  readonly graph?: OnnxGraph;
  readonly floats?: ArrayLike<number>;
  readonly ints?: ArrayLike<number>;
  readonly strings?: readonly string[];
  readonly tensors?: readonly NamedTensor[];
  readonly graphs?: readonly OnnxGraph[];
  readonly sparseTensor?: OnnxSparseTensor;
  readonly sparseTensors?: readonly OnnxSparseTensor[];
  /** Of the type `type`. */
  readonly valueType?: OnnxType;
  readonly valueTypes?: readonly OnnxType[];
}

export interface OnnxValueInfo {
  readonly name: string;
  /** Absent where the file gives no type. Dims are absent where only the element type is known. */
  readonly type?: OnnxType;
}

export type OnnxType =
  | {
      readonly kind: 'tensor' | 'sparse';
      readonly type: Tensor['type'];
      readonly dims?: readonly (number | string | null)[];
    }
  | { readonly kind: 'sequence' | 'optional'; readonly element: OnnxType }
  | { readonly kind: 'map'; readonly keyType: Tensor['type']; readonly element: OnnxType };

/** A function of the model's own: nodes that call it run its body. */
export interface OnnxFunction {
  readonly name: string;
  readonly domain?: string;
  readonly overload?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Attributes that a caller must give. */
  readonly attributes: readonly string[];
  /** Attributes with what they are when a caller gives none. */
  readonly defaults: readonly OnnxAttribute[];
  readonly nodes: readonly OnnxNode[];
  readonly opsets: readonly OnnxOpset[];
}

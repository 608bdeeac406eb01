import type { Service } from '../kernel/index.ts';
import { isTensor, type TensorData, type Value, type ValueSpec } from './tensor.ts';

export type {
  MapValue,
  OptionalValue,
  OtherSpec,
  SequenceValue,
  Tensor,
  TensorData,
  TensorSpec,
  TensorType,
  Value,
  ValueSpec,
} from './tensor.ts';

/** Inputs or outputs of a model by their names. */
export type Values = { readonly [name: string]: Value };

/**
 * Something that runs ONNX models: the evaluator in this program, or a native runtime.
 *
 * I1 the same model and the same inputs give the same outputs, whatever else the engine holds or runs.
 * I2 `load` looks at all of the model before it resolves: what cannot be decoded is MODEL_INVALID, what this engine has not
 *    got (an operator, a type, the engine's own library) is MODEL_UNSUPPORTED and says what it would take.
 * I3 a loaded model never touches the network or files, and `close` releases what it holds; runs under way finish first.
 * Must not leak: sessions, threads, the runtime's own tensors and element types.
 */
export interface InferenceEngine extends Service {
  /** `typescript`, `onnxruntime`. */
  readonly name: string;
  /** Whether a run occupies the caller's thread. */
  readonly place: 'caller' | 'worker';
  /** The bytes of an ONNX file; they are not kept. */
  load(bytes: Uint8Array): Promise<LoadedModel>;
}

export interface LoadedModel {
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  /** `metadata_props` of the file. */
  readonly metadata: { readonly [key: string]: string };
  /** Estimate of what it takes while it is loaded. */
  readonly memoryBytes: number;
  /**
   * Inputs by name, all of them, with the declared types; outputs by name. An engine in the caller's thread answers at once,
   * others with a promise. Throws INVALID_INPUT when shapes do not fit; several may be under way.
   */
  run(inputs: Values): Values | Promise<Values>;
  close(): Promise<void>;
}

/** Values as they travel to another thread: a view would be cloned with all that lies behind it, so its part is cut out. */
export function portable(values: Values): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, portableValue(value)]));
}

function portableValue(value: Value): Value {
  if (!isTensor(value) || Array.isArray(value.data)) return value;
  const data = value.data as Exclude<TensorData, readonly string[]>;
  return data.byteLength === data.buffer.byteLength ? value : { ...value, data: data.slice() };
}

export { attribute, named, node } from './attributes.ts';
export { decodeModel, encodeModel } from './codec.ts';
export { invalid, unsupported } from './invalid.ts';
export type {
  NamedTensor,
  OnnxAttribute,
  OnnxAttributeType,
  OnnxFunction,
  OnnxGraph,
  OnnxMetadata,
  OnnxModel,
  OnnxNode,
  OnnxOpset,
  OnnxSparseTensor,
  OnnxType,
  OnnxValueInfo,
} from './model.ts';
export { type Overflow, roundTo } from './narrow-floats.ts';
export { decodeTensor, typeOfNumber } from './tensors.ts';

export { type ModelsConfig, modelsSection } from './config.ts';
export { modelsDeployable } from './deployable.ts';
export {
  type CompiledModel,
  compileModel,
  EVALUATOR_LIMITS,
  type EvaluatorLimits,
  type Feeds,
  type RowOutput,
  type RowProgram,
} from './evaluator/index.ts';
export { type Contributions, type Explanation, explainInWorkers } from './explain/index.ts';
export type { InferenceEngine, LoadedModel, Values } from './inference.port.ts';
export {
  attribute,
  decodeModel,
  encodeModel,
  type NamedTensor,
  named,
  node,
  type OnnxAttribute,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxOpset,
  type OnnxType,
  type OnnxValueInfo,
} from './onnx/index.ts';
export { WireReader, WireWriter } from './onnx/wire.ts';
export { createOperations, type Operations } from './operations/operations.ts';
export { modelProvider } from './provider.ts';
export type { ModelRecord, VersionRecord } from './registry/records.ts';
export { PRODUCTION, type Registry, type VersionDraft } from './registry/registry.ts';
export {
  createSearchIndex,
  type MetricCondition,
  parseMetricCondition,
  type VersionQuery,
} from './registry/search.ts';
export { readVersionFacts } from './registry/version-facts.ts';
export type { ReleaseRecord } from './releases/record.ts';
export type { RetrainRun } from './retraining/store.ts';
export { decodeRows, type Prediction, toJson } from './rows/decode.ts';
export { elementToJson, putterFor } from './rows/elements.ts';
export {
  type Answer,
  checkRowCount,
  createModels,
  DEFAULT_SERVING,
  type Explainer,
  type Models,
  type ModelsOptions,
  type Observation,
  type Observer,
  type PredictOptions,
  type Route as ModelRoute,
  type Router as ModelRouter,
} from './service.ts';
export { evaluatorEngine, evaluatorWorkersEngine } from './serving/evaluator-engine.ts';
export type { Engines, Tier } from './serving/tiers.ts';
export {
  arrayOf,
  elementCount,
  isTensor,
  isTensorSpec,
  type MapValue,
  type OptionalValue,
  type OtherSpec,
  type SequenceValue,
  type Tensor,
  type TensorData,
  type TensorSpec,
  type TensorType,
  tensor,
  type Value,
  type ValueSpec,
} from './tensor.ts';
export {
  ALGORITHMS,
  type Algorithm,
  createTrainer,
  type Trainer,
  type Training,
  type TrainingSource,
  type TrainingSpec,
} from './training/index.ts';
export {
  createMonitor,
  DEFAULT_DRIFT,
  type DriftOptions,
  type JudgedWindow,
  type Monitor,
} from './watch/monitor.ts';
export {
  buildReference,
  type CategoricalReference,
  type ColumnReference,
  checkReference,
  type NumericReference,
  type Reference,
  type ReferenceColumn,
} from './watch/reference.ts';

export {
  type ConfigPart,
  defineConfig,
  type KafkaStreams,
  kafka,
  type MillraceConfig,
  type Port,
} from './config.ts';
export type {
  Context,
  Cursor,
  EmitOptions,
  Fn,
  Log,
  ReadOptions,
  ReadPage,
  StateCell,
  StreamContext,
} from './context.ts';
export type { BatchResult, HttpRequest, HttpResponse, StreamRecord, Tick } from './events.ts';
export { type BatchOptions, type FunctionOptions, fn, type TriggerHandle } from './fn.ts';
export {
  type AnyPrediction,
  type ImageInput,
  type Model,
  type ModelCalls,
  type ModelOptions,
  model,
  type NgramInput,
  type PredictOptions,
  type TokenizerInput,
  type WordPieceInput,
} from './model.ts';
export {
  type DriftTrigger,
  drift,
  type GateOptions,
  type GroupOptions,
  type LabelOptions,
  type MetricsOptions,
  type ModelOperationsOptions,
  type RecordsTrigger,
  type ReleaseOptions,
  type RetrainOptions,
  records,
  type WatchOptions,
} from './model-operations.ts';
export type {
  FunctionResource,
  ModelResource,
  Resource,
  StateResource,
  StreamResource,
  TriggerResource,
} from './resources.ts';
export type { Duration, Size, StandardSchema, ValueOf } from './schema.ts';
export { type State, state } from './state.ts';
export { type Compatibility, type KeyPath, type Stream, type StreamOptions, stream } from './stream.ts';
export {
  type BoostedTreesOptions,
  boostedTrees,
  type CommonTrainingOptions,
  type EitherTrainingOptions,
  type IsolationForestOptions,
  isolationForest,
  type KMeansOptions,
  kMeans,
  type LabelledTrainingOptions,
  type LinearRegressionOptions,
  type LogisticRegressionOptions,
  linearRegression,
  logisticRegression,
  type MlpOptions,
  mlp,
  type TextClassifierOptions,
  type TrainingDeclaration,
  textClassifier,
} from './training.ts';
export {
  type CacheOptions,
  type CorsOptions,
  type CronSchedule,
  cron,
  every,
  type HttpMethod,
  type HttpRoute,
  http,
  type ParamsOf,
  type RateLimitOptions,
  type RouteOptions,
  type Schedule,
} from './triggers.ts';

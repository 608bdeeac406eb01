export {
  ARTIFACT_TYPE,
  ARTIFACTS_TYPE,
  type Artifact,
  canonicalJson,
  MOST_ARTIFACT_BYTES,
  manifestVersion,
  packArtifact,
  packArtifacts,
  sha256,
  sha256Aside,
  sliceFiles,
  splitArtifacts,
  unpackArtifact,
} from './artifact.ts';
export { type Clock, type ManualClock, manualClock, systemClock, type Timer } from './clock.ts';
export { type ConfigRow, configRows, type FlagOption, flagOptions, renderConfigHelp } from './config/help.ts';
export { loadConfigFile } from './config/load-file.ts';
export { editDistance, nearest } from './config/nearest.ts';
export { platformSection } from './config/platform-section.ts';
export { type ConfigSources, resolveConfig } from './config/resolve.ts';
export {
  type Config,
  defineSection,
  type Field,
  flagName,
  type Port,
  type Section,
  type SectionValues,
  variableName,
} from './config/section.ts';
export { removeAddresses, writeAddresses } from './data-folder/addresses.ts';
export { type DataFolder, openDataFolder } from './data-folder/data-folder.ts';
export type { Migration, MigrationStep } from './data-folder/migrate.ts';
export { ERROR_TABLE, type ErrorCode, type ErrorEntry } from './error-table.ts';
export {
  type ErrorDetails,
  type InputProblem,
  isMillraceError,
  MillraceError,
  type Problem,
  toProblem,
} from './errors.ts';
export { createIds, type Ids } from './ids.ts';
export { createLifecycle, type Lifecycle, type LifecycleState, type Service } from './lifecycle.ts';
export { LIMITS } from './limits.ts';
export type {
  ArtifactFile,
  CronTrigger,
  EveryTrigger,
  FunctionManifest,
  HashedText,
  HttpTrigger,
  ImagePreprocessing,
  JsonSchema,
  Manifest,
  ModelManifest,
  ModelServing,
  Preprocessing,
  Reference,
  StateManifest,
  StreamManifest,
  StreamTrigger,
  TextPreprocessing,
  TokenizedText,
  Trigger,
  WordPieceText,
} from './manifest.ts';
export { COMPATIBILITY_MODES, type CompatibilityMode } from './manifest.ts';
export {
  DEFAULT_OPERATIONS,
  LOWER_IS_BETTER,
  MODEL_METRICS,
  type ModelFairness,
  type ModelGates,
  type ModelLabels,
  type ModelLiveLabels,
  type ModelMetric,
  type ModelMetricGate,
  type ModelOperations,
  type ModelRelease,
  type ModelRetraining,
  type ModelStage,
  type ModelTruth,
  type ModelWatch,
  type RetrainTrigger,
  readModelOperations,
  VALUE_METRICS,
} from './model-operations.ts';
export { modelOperationsProblems } from './model-operations-check.ts';
export { blobNotFound, checkBlobKey, checkBlobRange } from './ports/blob-rules.ts';
export type { BlobInfo, BlobStore } from './ports/blob-store.ts';
export type { ContextCaller, ContextProvider } from './ports/context-provider.ts';
export type { AppVersion, Deployable, PlannedChange } from './ports/deployable.ts';
export type { FactStream, Facts } from './ports/facts.ts';
export type { Credentials, Guard, GuardAction, Principal } from './ports/guard.ts';
export type { Secrets } from './ports/secrets.ts';
export {
  checkLease,
  checkStateKey,
  checkStateOperations,
  checkStateRange,
  encodeStateValue,
  stateConflict,
} from './ports/state-rules.ts';
export type { Json, StateEntry, StateOperation, StateRange, StateStore } from './ports/state-store.ts';
export { type Random, seededRandom, systemRandom } from './random.ts';
export { siblingModule } from './sibling.ts';
export { onSignal, type SignalName, type Signals, signal, signalled } from './signals.ts';
export { chooseWeighted, type WeightedChoice } from './traffic.ts';
export { formatBytes, formatDuration, parseDurationMs, parseSizeBytes } from './units.ts';
export type { TaskContext } from './workers/worker-main.ts';
export { createWorkers, type RunOptions, type TaskName, type Workers } from './workers/workers.ts';

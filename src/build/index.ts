export {
  ARTIFACT_TYPE,
  ARTIFACTS_TYPE,
  type Artifact,
  packArtifact,
  packArtifacts,
} from '../kernel/index.ts';
export {
  type Builder,
  type BuilderOptions,
  type BuildOptions,
  type BuiltApp,
  createBuilder,
} from './build.ts';
export { manifestOfModule } from './from-module.ts';

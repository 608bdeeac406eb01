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
export { artifactOfModule } from './from-module.ts';
export { type AppIdentity, identifyApp } from './package.ts';

export { ARTIFACT_TYPE, type Artifact, packArtifact } from '../kernel/index.ts';
export {
  type Builder,
  type BuilderOptions,
  type BuildOptions,
  type BuiltApp,
  createBuilder,
} from './build.ts';
export { manifestOfModule } from './from-module.ts';

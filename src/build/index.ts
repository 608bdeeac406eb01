export {
  type Builder,
  type BuilderOptions,
  type BuildOptions,
  type BuiltApp,
  createBuilder,
} from './build.ts';

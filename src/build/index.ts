export {
  type Builder,
  type BuilderOptions,
  type BuildOptions,
  type BuiltApp,
  createBuilder,
} from './build.ts';
export type { BundledFile } from './bundle.ts';

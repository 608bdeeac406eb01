import { relative, sep } from 'node:path';
import { fileOf } from './variants.ts';

export interface BundleRequest {
  /** Absolute path of the app's module. */
  readonly entry: string;
  /** The app's folder: paths in source maps and messages are relative to it. */
  readonly root: string;
  readonly app: string;
}

/** The same wherever the app lies: relative to its folder, or from the last `node_modules` on. */
export function portablePath(path: string, root: string): string {
  const file = fileOf(path);
  const inside = relative(root, file).split(sep).join('/');
  if (!inside.startsWith('..')) return inside;
  const modules = file.split(sep).join('/').lastIndexOf('/node_modules/');
  return modules >= 0 ? file.slice(modules + 1) : inside;
}

import { siblingModule } from '../kernel/index.ts';

/** The module that a runtime loads inside an instance; it exports an `InstanceHarness`. */
export function harnessModule(): URL {
  return siblingModule(import.meta.url, './instance/main');
}

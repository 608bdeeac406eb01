import type { Deployable, FunctionManifest, Manifest } from '../../kernel/index.ts';
import type { StreamConsumers } from './consumers.ts';

/**
 * Makes the consumers of an app follow its versions. What there is to say about a change of a function is said by the
 * engine of functions; this one only moves the consumers, after that engine has switched.
 */
export function streamConsumersDeployable(consumers: StreamConsumers): Deployable {
  return {
    kind: 'stream-consumers',
    plan: async () => [],
    prepare: async () => undefined,
    activate: (current, next) => {
      const app = (next ?? current)?.app;
      if (app === undefined) return Promise.resolve();
      return consumers.apply(app, next ? streamFunctions(next.manifest) : [], next?.manifest.states ?? []);
    },
    abandon: async () => undefined,
  };
}

function streamFunctions(manifest: Manifest): FunctionManifest[] {
  return manifest.functions.filter(({ triggers }) => triggers.some(({ kind }) => kind === 'stream'));
}

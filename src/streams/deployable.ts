import {
  type AppVersion,
  type Deployable,
  isMillraceError,
  type PlannedChange,
  type StreamManifest,
} from '../kernel/index.ts';
import type { StreamDefinition, Streams } from './service.ts';

/**
 * Streams as delivery sees them. Preparing a version creates and evolves its streams, which is safe beside what runs:
 * a schema that breaks the compatibility mode is refused before. Streams that a version no longer has are detached when
 * it is activated; no deployment deletes records.
 */
export function streamsDeployable(streams: Streams): Deployable {
  const define = async (next: AppVersion | undefined): Promise<void> => {
    for (const stream of next?.manifest.streams ?? []) await streams.define(definitionOf(stream, next!.app));
  };
  return {
    kind: 'streams',
    async plan(current, next) {
      const changes: PlannedChange[] = [];
      for (const stream of next?.manifest.streams ?? []) {
        changes.push(await planStream(streams, definitionOf(stream, next!.app)));
      }
      for (const name of vanished(current, next)) {
        const details = ['its records stay; deploying a version that exports it attaches it again'];
        changes.push({ resource: `stream/${name}`, action: 'detach', details });
      }
      return [...changes, ...missing(streams, next)];
    },
    prepare: (_current, next) => define(next),
    async activate(current, next) {
      await define(next);
      for (const name of vanished(current, next)) await streams.detach(name, current!.app);
    },
    /** Streams made by `prepare` stay, detached: by now they may hold records. */
    async abandon(current, next) {
      for (const name of vanished(next, current)) {
        if (streams.find(name)?.owner === next!.app) await streams.detach(name, next!.app);
      }
      await define(current).catch((error: unknown) => {
        // The older schema may not be reachable from the newer one; both accept what is there, so it can stay.
        if (!isMillraceError(error, 'SCHEMA_INCOMPATIBLE')) throw error;
      });
    },
  };
}

function definitionOf(stream: StreamManifest, owner: string): StreamDefinition {
  return { ...stream, owner };
}

/** Names of streams that `from` has and `to` has not. */
function vanished(from: AppVersion | undefined, to: AppVersion | undefined): string[] {
  const kept = new Set(to?.manifest.streams.map((stream) => stream.name));
  return (from?.manifest.streams ?? []).map((stream) => stream.name).filter((name) => !kept.has(name));
}

async function planStream(streams: Streams, definition: StreamDefinition): Promise<PlannedChange> {
  const resource = `stream/${definition.name}`;
  const action = streams.find(definition.name) ? 'update' : 'create';
  try {
    const details = await streams.planDefine(definition);
    return { resource, action: details.length === 0 ? 'keep' : action, details };
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    const { code } = error;
    const named = code === 'SCHEMA_INCOMPATIBLE' || code === 'NAME_TAKEN' ? { code } : {};
    const details = error.errors.map((problem) => `${problem.path || '/'} ${problem.message}`);
    return { resource, action, details, refusal: error.message, ...named };
  }
}

function missing(streams: Streams, next: AppVersion | undefined): PlannedChange[] {
  const referred = (next?.manifest.references ?? []).filter((each) => each.kind === 'stream');
  return referred
    .filter((each) => !streams.find(each.name))
    .map((each) => ({
      resource: `stream/${each.name}`,
      action: 'keep',
      details: [],
      refusal: `There is no stream '${each.name}', which the app imports from another. Deploy the app that exports it first.`,
      code: 'REFERENCE_MISSING',
    }));
}

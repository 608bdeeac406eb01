import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AppVersion,
  type Deployable,
  type Json,
  type ModelManifest,
  modelOperationsProblems,
  type PlannedChange,
} from '../kernel/index.ts';
import type { Operations } from './operations/operations.ts';
import { PRODUCTION } from './registry/registry.ts';
import { checkServing } from './registry/serving.ts';
import type { Models } from './service.ts';

/**
 * Models as delivery sees them. Preparing a version of an app registers the files it brings, each looked at and run once,
 * so that a broken one refuses the deployment, and loads those that are new, so that their first row is no slower than the next; activating
 * it points `production` at them. Versions are never deleted, so a rollback finds what ran before.
 */
export function modelsDeployable(models: Models, operations: Operations): Deployable {
  const { registry } = models;
  const prepared = async (app: AppVersion, model: ModelManifest): Promise<string | undefined> => {
    if (model.file === undefined) return undefined;
    const bytes = await readFile(join(app.folder, model.file));
    const version = await models.register(model.name, {
      bytes,
      serving: model.serving,
      by: `${app.app}@${app.version}`,
      owner: app.app,
      tags: model.tags,
      lineage: { app: `${app.app}@${app.version}` },
      ...(model.card === undefined ? {} : { card: model.card }),
    });
    return version.version;
  };

  return {
    kind: 'models',
    async plan(current, next) {
      const changes = modelsOf(next).map((model) => planModel(models, current, next!, model));
      const gone = vanished(current, next).map(({ name }): PlannedChange => {
        const details = ['its versions stay and are served; deploying an app that exports it takes it over'];
        return { resource: `model/${name}`, action: 'detach', details };
      });
      return [...changes, ...gone, ...missing(models, next)];
    },
    async prepare(current, next) {
      for (const model of modelsOf(next)) {
        const version = await prepared(next!, model);
        if (version === undefined) continue;
        await models.checkAlias(model.name, PRODUCTION, version);
        if (!isKept(model, current, next!)) await models.load(model.name, version);
      }
    },
    async activate(current, next) {
      for (const model of modelsOf(next)) {
        const version = await prepared(next!, model);
        await operations.adopt(model, next!.folder);
        // Unchanged in this deployment: what was put into production since stays there.
        if (version === undefined || isKept(model, current, next!)) continue;
        const by = `${next!.app}@${next!.version}`;
        if (await operations.takesOver(model.name, version, by)) continue;
        await registry.setAlias(model.name, PRODUCTION, { version, by, breaking: true });
      }
      for (const { name } of vanished(current, next)) await registry.release(name, current!.app);
    },
    async abandon(current, next) {
      // Versions that were registered stay: nothing points at them. A model that is new has no owner without the app.
      for (const { name } of vanished(next, current)) {
        if (registry.find(name)?.owner === next!.app) await registry.release(name, next!.app);
      }
    },
  };
}

const modelsOf = (version: AppVersion | undefined): readonly ModelManifest[] =>
  version?.manifest.models ?? [];

/** Models that `from` has and `to` has not. */
function vanished(from: AppVersion | undefined, to: AppVersion | undefined): ModelManifest[] {
  const kept = new Set(modelsOf(to).map(({ name }) => name));
  return modelsOf(from).filter(({ name }) => !kept.has(name));
}

function hashOf(model: ModelManifest, { manifest }: AppVersion): string | undefined {
  return manifest.files.find(({ path }) => path === model.file)?.sha256;
}

function same(a: ModelManifest, inA: AppVersion, b: ModelManifest, inB: AppVersion): boolean {
  return hashOf(a, inA) === hashOf(b, inB) && JSON.stringify(a.serving) === JSON.stringify(b.serving);
}

/** Whether the app had the same model before this deployment. */
function isKept(model: ModelManifest, current: AppVersion | undefined, next: AppVersion): boolean {
  const before = modelsOf(current).find(({ name }) => name === model.name);
  return before !== undefined && same(before, current!, model, next);
}

function planModel(
  models: Models,
  current: AppVersion | undefined,
  next: AppVersion,
  model: ModelManifest,
): PlannedChange {
  const resource = `model/${model.name}`;
  const record = models.registry.find(model.name);
  const action = record === undefined ? 'create' : isKept(model, current, next) ? 'keep' : 'update';
  const problems = checkServing(model.serving as unknown as Json);
  if (record?.owner != null && record.owner !== next.app) {
    const refusal = `The name '${model.name}' belongs to the app '${record.owner}'. Choose another, or import it from there.`;
    return { resource, action, details: [], refusal, code: 'NAME_TAKEN' };
  }
  if (problems.length > 0) {
    const details = problems.map(({ path, message }) => `${path} ${message}`);
    return {
      resource,
      action,
      details,
      refusal: `How '${model.name}' is served cannot be used: ${details[0]}.`,
    };
  }
  const wrong =
    model.operations === undefined ? [] : modelOperationsProblems(model.operations as unknown as Json);
  if (wrong.length > 0) {
    const details = wrong.map(({ path, message }) => `${path} ${message}`);
    const refusal = `How '${model.name}' is operated cannot be used: ${details[0]}.`;
    return { resource, action, details, refusal };
  }
  const hash = hashOf(model, next);
  const details = action === 'keep' || hash === undefined ? [] : [`file ${hash.slice(0, 16)}`];
  return { resource, action, details };
}

function missing({ registry }: Models, next: AppVersion | undefined): PlannedChange[] {
  const referred = (next?.manifest.references ?? []).filter(({ kind }) => kind === 'model');
  return referred
    .filter(({ name }) => registry.find(name) === undefined)
    .map(({ name }) => ({
      resource: `model/${name}`,
      action: 'keep',
      details: [],
      refusal: `There is no model '${name}', which the app imports from another. Deploy the app that exports it first.`,
      code: 'REFERENCE_MISSING',
    }));
}

import { type Json, MillraceError, type Workers } from '../../kernel/index.ts';
import {
  DEFAULT_SERVING,
  type ModelRecord,
  type Models,
  parseMetricCondition,
  readVersionFacts,
  type VersionRecord,
} from '../../models/index.ts';
import { parseJson } from '../http/json.ts';
import { bodyOf, jsonOf } from './context-body.ts';
import { MODEL_OPERATIONS, MODEL_SCHEMAS } from './models.openapi.ts';
import { createPredict } from './predict.ts';
import type { ApiContext, Route, RouteGroup } from './route.ts';

export interface ModelRoutesOptions {
  readonly models: Models;
  /** Parse large bodies. */
  readonly workers: Workers;
  /** Largest ONNX file. */
  readonly fileBytes: number;
}

const ofModel = ([name]: readonly string[]): string => `model/${name}`;

/** Models: predictions, versions and what these are for. */
export function modelRoutes(options: ModelRoutesOptions): RouteGroup {
  const { models } = options;
  const named = { resource: ofModel } as const;
  const name = (context: ApiContext): string => context.req.param('name')!;
  return {
    name: 'models',
    description: 'Models: predictions, versions, and what these are for.',
    schemas: MODEL_SCHEMAS,
    hot: [
      {
        ...named,
        method: 'POST',
        path: '/models/{name}/predict',
        whole: true,
        action: 'invoke',
        operation: MODEL_OPERATIONS.predict,
        handle: createPredict(models, options.workers),
      },
    ],
    routes: [
      {
        method: 'GET',
        path: '/models',
        action: 'read',
        resource: () => 'model/*',
        operation: MODEL_OPERATIONS.list,
        handle: (context) => context.json({ models: models.registry.list().map(modelView) }),
      },
      {
        method: 'GET',
        path: '/model-versions',
        action: 'read',
        resource: () => 'model/*',
        operation: MODEL_OPERATIONS.search,
        handle: async (context) => context.json(await search(models, context)),
      },
      {
        ...named,
        method: 'GET',
        path: '/models/{name}',
        action: 'read',
        operation: MODEL_OPERATIONS.read,
        handle: async (context) => context.json(await modelInFull(models, name(context))),
      },
      {
        ...named,
        method: 'PUT',
        path: '/models/{name}/tags',
        action: 'deploy',
        operation: MODEL_OPERATIONS.tagModel,
        handle: async (context) => {
          await models.registry.setTags(name(context), undefined, tagsIn(await jsonOf(context)));
          return context.json(await modelInFull(models, name(context)));
        },
      },
      ...aliasRoutes(models),
      ...versionRoutes(options),
    ],
  };
}

function aliasRoutes({ registry }: Models): readonly Route[] {
  const named = { path: '/models/{name}/aliases/{alias}', action: 'deploy', resource: ofModel } as const;
  const change = async (context: ApiContext, version: string | null, more: object): Promise<Response> => {
    const [name, alias] = [context.req.param('name')!, context.req.param('alias')!];
    const by = context.get('principal').id;
    return context.json(modelView(await registry.setAlias(name, alias, { version, by, ...more })));
  };
  return [
    {
      ...named,
      method: 'PUT',
      operation: MODEL_OPERATIONS.setAlias,
      handle: async (context) => {
        const { version, breaking, reason } = (await jsonOf(context)) as { readonly [field: string]: Json };
        if (typeof version !== 'string')
          throw wrongField('version', 'must be a version, its number or an alias, as text');
        return change(context, version, {
          ...(breaking === true ? { breaking } : {}),
          ...(typeof reason === 'string' ? { reason } : {}),
        });
      },
    },
    {
      ...named,
      method: 'DELETE',
      operation: MODEL_OPERATIONS.removeAlias,
      handle: (context) => change(context, null, {}),
    },
  ];
}

function versionRoutes({ models, fileBytes }: ModelRoutesOptions): readonly Route[] {
  const { registry } = models;
  const named = { resource: ofModel, action: 'read' } as const;
  const found = (context: ApiContext): Promise<VersionRecord> =>
    registry.version(context.req.param('name')!, context.req.param('version')!);
  return [
    {
      ...named,
      method: 'GET',
      path: '/models/{name}/versions',
      operation: MODEL_OPERATIONS.versions,
      handle: async (context) => {
        const [before, limit] = [wholeQuery(context, 'before'), wholeQuery(context, 'limit')];
        const page = {
          ...(before === undefined ? {} : { before }),
          ...(limit === undefined ? {} : { limit }),
        };
        const versions = await registry.versions(context.req.param('name')!, page);
        return context.json({ versions: versions.map((each) => versionView(models, each)) });
      },
    },
    {
      ...named,
      method: 'POST',
      path: '/models/{name}/versions',
      action: 'deploy',
      operation: MODEL_OPERATIONS.upload,
      handle: (context) => upload(models, context, fileBytes),
    },
    {
      ...named,
      method: 'GET',
      path: '/models/{name}/versions/{version}',
      operation: MODEL_OPERATIONS.version,
      handle: async (context) => context.json(versionView(models, await found(context))),
    },
    {
      ...named,
      method: 'DELETE',
      path: '/models/{name}/versions/{version}',
      action: 'deploy',
      operation: MODEL_OPERATIONS.removeVersion,
      handle: async (context) => {
        const { model, version } = await found(context);
        await models.remove(model, version, context.get('principal').id);
        return context.body(null, 204);
      },
    },
    {
      ...named,
      method: 'GET',
      path: '/models/{name}/versions/{version}/file',
      operation: MODEL_OPERATIONS.file,
      handle: async (context) => {
        const bytes = await registry.bytes(await found(context));
        return new Response(Buffer.from(bytes), { headers: { 'Content-Type': 'application/octet-stream' } });
      },
    },
    {
      ...named,
      method: 'PUT',
      path: '/models/{name}/versions/{version}/tags',
      action: 'deploy',
      operation: MODEL_OPERATIONS.tagVersion,
      handle: async (context) => {
        const { model, version } = await found(context);
        await registry.setTags(model, version, tagsIn(await jsonOf(context)));
        return context.json(versionView(models, await registry.version(model, version)));
      },
    },
  ];
}

/** The file as the body, or a form with the file as `onnx` and what there is to say about it as `facts`. */
async function upload(models: Models, context: ApiContext, fileBytes: number): Promise<Response> {
  const name = context.req.param('name')!;
  const body = await bodyOf(context, fileBytes);
  const { bytes, facts } = await takeApart(body, context.req.header('content-type') ?? '');
  const by = context.get('principal').id;
  const { serving, alias, ...about } = readVersionFacts(facts);
  const wanted = alias ?? context.req.query('alias');
  const version = await models.register(name, {
    bytes,
    by,
    ...about,
    serving: { ...DEFAULT_SERVING, ...serving },
  });
  if (wanted !== undefined) await models.registry.setAlias(name, wanted, { version: version.version, by });
  return context.json(versionView(models, version), 201);
}

async function takeApart(
  body: Buffer,
  type: string,
): Promise<{ readonly bytes: Uint8Array; readonly facts: Json }> {
  if (!type.startsWith('multipart/form-data')) return { bytes: body, facts: {} };
  const form = await new Response(new Uint8Array(body), { headers: { 'Content-Type': type } })
    .formData()
    .catch((cause: unknown) => {
      throw new MillraceError(
        'BAD_REQUEST',
        'The form is malformed. Send multipart/form-data with a file named onnx.',
        { cause },
      );
    });
  const [file, facts] = [form.get('onnx'), form.get('facts')];
  if (file === null || typeof file === 'string')
    throw wrongField('onnx', 'must be a file: curl -F onnx=@model.onnx');
  const text = facts === null ? '{}' : typeof facts === 'string' ? facts : await facts.text();
  return { bytes: new Uint8Array(await file.arrayBuffer()), facts: parseJson(Buffer.from(text)) };
}

async function search(models: Models, context: ApiContext): Promise<object> {
  const query = context.req.queries();
  const [text, model] = [query.q?.join(' '), query.model?.[0]];
  const [limit, after] = [wholeQuery(context, 'limit'), wholeQuery(context, 'after')];
  const tags = (query.tag ?? []).map((each): [string, string] => {
    const at = each.indexOf('=');
    if (at < 1) throw wrongField('tag', 'must be name=value');
    return [each.slice(0, at), each.slice(at + 1)];
  });
  const page = await models.registry.search({
    tags,
    metrics: (query.metric ?? []).map(parseMetricCondition),
    ...(text === undefined ? {} : { text }),
    ...(model === undefined ? {} : { model }),
    ...(limit === undefined ? {} : { limit }),
    ...(after === undefined ? {} : { after }),
  });
  return {
    versions: page.versions.map(({ createdMs, ...each }) => ({ ...each, created: timeOf(createdMs) })),
    next: page.next,
  };
}

function wholeQuery(context: ApiContext, name: string): number | undefined {
  const text = context.req.query(name);
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw wrongField(name, 'must be a whole number');
}

function tagsIn(body: Json): { readonly [name: string]: string } {
  const entries =
    typeof body === 'object' && body !== null && !Array.isArray(body) ? Object.entries(body) : [['', 0]];
  const wrong = entries.find(([, value]) => typeof value !== 'string');
  if (wrong) throw wrongField(String(wrong[0]), 'must be text; send the tags as an object of texts');
  return body as { readonly [name: string]: string };
}

function wrongField(name: string, message: string): MillraceError {
  return new MillraceError('INVALID_INPUT', `${name} ${message}.`, {
    errors: [{ path: `/${name}`, message }],
  });
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

function modelView({ createdMs, updatedMs, ...model }: ModelRecord): object {
  return { ...model, created: timeOf(createdMs), updated: timeOf(updatedMs) };
}

function versionView(models: Models, version: VersionRecord): object {
  const { createdMs, ...record } = version;
  return { ...record, created: timeOf(createdMs), status: models.status(version) };
}

/** The model with every version that an alias names. */
async function modelInFull(models: Models, name: string): Promise<object> {
  const model = models.registry.require(name);
  const ids = [...new Set(Object.values(model.aliases))];
  const versions = await Promise.all(ids.map((id) => models.registry.version(name, id)));
  return { ...modelView(model), versions: versions.map((version) => versionView(models, version)) };
}

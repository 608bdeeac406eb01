import type { Delivery, Deployment, VersionSummary } from '../../delivery/index.ts';
import {
  type AppVersion,
  ARTIFACT_TYPE,
  type ArtifactFile,
  type Json,
  MillraceError,
  MOST_ARTIFACT_BYTES,
  sliceFiles,
  unpackArtifact,
} from '../../kernel/index.ts';
import { parseJson } from '../http/json.ts';
import { APP_OPERATIONS, APP_SCHEMAS } from './apps.openapi.ts';
import { bodyOf, jsonOf } from './context-body.ts';
import type { ApiContext, Route, RouteGroup } from './route.ts';

export interface AppRoutesOptions {
  readonly delivery: Delivery;
}

const ofApp = ([name]: readonly string[]): string => `app/${name}`;

/** Apps over HTTP: deploy, plan, versions, roll back, remove. */
export function appRoutes({ delivery }: AppRoutesOptions): RouteGroup {
  const route = (
    method: Route['method'],
    path: string,
    action: Route['action'],
    operation: keyof typeof APP_OPERATIONS,
    answer: (context: ApiContext, app: string) => Promise<object> | object,
  ): Route => ({
    method,
    path,
    action,
    resource: path === '/apps' ? () => 'app/*' : ofApp,
    operation: APP_OPERATIONS[operation],
    handle: async (context) => context.json(await answer(context, context.req.param('app') ?? '')),
  });
  const by = (context: ApiContext): string => context.get('principal').id;
  return {
    name: 'apps',
    description: 'Apps: what is deployed, in which versions.',
    schemas: APP_SCHEMAS,
    routes: [
      route('GET', '/apps', 'read', 'listApps', () => ({ apps: delivery.list().map(summaryOf) })),
      route('GET', '/apps/{app}', 'read', 'getApp', (_context, app) => describe(delivery.find(app))),
      route('PUT', '/apps/{app}', 'deploy', 'deployApp', async (context, app) =>
        toJson(await deploy(delivery, context, app, by(context))),
      ),
      route('POST', '/apps/{app}/plan', 'deploy', 'planApp', async (context, app) => {
        const manifest = await jsonOf(context, MOST_ARTIFACT_BYTES);
        checkName(manifest, app);
        return delivery.plan(manifest);
      }),
      route('GET', '/apps/{app}/versions', 'read', 'listVersions', async (_context, app) => ({
        app,
        versions: (await delivery.versions(app)).map(versionOf),
      })),
      route('POST', '/apps/{app}/rollback', 'deploy', 'rollbackApp', async (context, app) =>
        toJson(await delivery.rollback(app, by(context), await wantedVersion(context))),
      ),
      route('DELETE', '/apps/{app}', 'deploy', 'removeApp', async (context, app) =>
        toJson(await delivery.remove(app, by(context))),
      ),
    ],
  };
}

/** The manifest is judged by delivery; here only what the address says is compared, and the files are cut apart. */
async function deploy(delivery: Delivery, context: ApiContext, app: string, by: string): Promise<Deployment> {
  const type = context.req.header('content-type')?.split(';')[0]?.trim();
  if (type !== ARTIFACT_TYPE) {
    const message = `An app is sent as ${ARTIFACT_TYPE}, which \`millrace deploy\` makes of its source.`;
    throw new MillraceError('UNSUPPORTED_MEDIA_TYPE', message);
  }
  const { manifest, body } = unpackArtifact(await bodyOf(context, MOST_ARTIFACT_BYTES));
  checkName(manifest, app);
  await delivery.plan(manifest);
  const { files } = manifest as { readonly files: readonly ArtifactFile[] };
  return delivery.deploy({ manifest, files: sliceFiles(files, body) }, by);
}

function checkName(manifest: unknown, app: string): void {
  const named = (manifest as { app?: unknown } | null)?.app;
  if (named === app) return;
  const message = `The address names the app '${app}', its manifest says '${String(named)}'. Send it to /apps/${String(named)}.`;
  throw new MillraceError('BAD_REQUEST', message);
}

async function wantedVersion(context: ApiContext): Promise<string | undefined> {
  const body = await bodyOf(context);
  if (body.length === 0) return undefined;
  const fields = parseJson(body) as { readonly version?: unknown } | null;
  const version = fields?.version;
  if (version === undefined || typeof version === 'string') return version;
  throw new MillraceError('INVALID_INPUT', '`version` must be text; leave it out for the version before.', {
    errors: [{ path: '/version', message: 'must be text' }],
  });
}

const toJson = ({ id, app, from, to, changed, changes }: Deployment): object => ({
  id,
  app,
  from,
  to,
  changed,
  changes,
});

function summaryOf({ app, version, manifest }: AppVersion): object {
  return {
    app,
    version,
    streams: manifest.streams.length,
    functions: manifest.functions.length,
  };
}

function describe({ app, version, manifest }: AppVersion): object {
  const { streams, functions, states, references } = manifest;
  return { app, version, streams, functions, states, references } as {
    readonly [field: string]: Json | object;
  };
}

function versionOf({ version, action, timeMs, by, active }: VersionSummary): object {
  return { version, action, time: new Date(timeMs).toISOString(), by, active };
}

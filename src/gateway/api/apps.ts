import type { Delivery, UncheckedArtifact, VersionSummary } from '../../delivery/index.ts';
import {
  type AppVersion,
  ARTIFACT_TYPE,
  ARTIFACTS_TYPE,
  type ArtifactFile,
  type Json,
  MillraceError,
  MOST_ARTIFACT_BYTES,
  sliceFiles,
  splitArtifacts,
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
      route('POST', '/apps', 'deploy', 'deployApps', async (context) => {
        const parts = splitArtifacts(await received(context, ARTIFACTS_TYPE));
        return {
          deployments: await delivery.deployTogether(
            parts.map((part) => unpack(part)),
            by(context),
          ),
        };
      }),
      route('GET', '/apps/{app}', 'read', 'getApp', (_context, app) => describe(delivery.find(app))),
      route('PUT', '/apps/{app}', 'deploy', 'deployApp', async (context, app) =>
        delivery.deploy(unpack(await received(context, ARTIFACT_TYPE), app), by(context)),
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
        delivery.rollback(app, by(context), await wantedVersion(context)),
      ),
      route('DELETE', '/apps/{app}', 'deploy', 'removeApp', async (context, app) =>
        delivery.remove(app, by(context)),
      ),
    ],
  };
}

async function received(context: ApiContext, type: string): Promise<Buffer> {
  const given = context.req.header('content-type')?.split(';')[0]?.trim();
  if (given === type) return bodyOf(context, MOST_ARTIFACT_BYTES);
  const message = `Send ${type}, which \`millrace deploy\` makes of an app's source.`;
  throw new MillraceError('UNSUPPORTED_MEDIA_TYPE', message);
}

/** The manifest is judged by delivery; here its files are cut apart, as far as it says where. */
function unpack(packed: Uint8Array, app?: string): UncheckedArtifact {
  const { manifest, body } = unpackArtifact(packed);
  if (app !== undefined) checkName(manifest, app);
  const { files } = (manifest ?? {}) as { readonly files?: readonly ArtifactFile[] };
  const measured =
    Array.isArray(files) && files.every((file) => Number.isSafeInteger(file?.bytes) && file.bytes >= 0);
  return { manifest, files: measured ? sliceFiles(files, body) : new Map() };
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

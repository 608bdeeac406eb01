import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Hono } from 'hono';
import { MillraceError, type Principal, toProblem } from '../../kernel/index.ts';
import { answerError, problemHeaders } from '../http/problem.ts';
import { decodeSegment } from './hot-table.ts';
import { type ApiEnv, parameterNames, type Route, type RouteBase, type RouteGroup } from './route.ts';
import type { Served, Setting } from './setting.ts';

/** Serves the routes that Hono has, and everything that nobody has. */
export type ColdListener = (
  request: IncomingMessage,
  response: ServerResponse,
  served: Served,
) => Promise<void>;

export interface ColdOptions {
  readonly groups: readonly RouteGroup[];
  readonly authorize: (
    request: IncomingMessage,
    route: RouteBase,
    params: readonly string[],
  ) => Promise<Principal>;
  /** Methods that the hot table has for a path. */
  readonly hotMethods: (path: string) => string[];
  readonly setting: Setting;
}

export function createColdListener(options: ColdOptions): ColdListener {
  const app = new Hono<ApiEnv>();
  const routes = options.groups.flatMap((group) => group.routes ?? []);
  const served = new WeakMap<IncomingMessage, Served>();
  for (const route of routes) mount(app, route, options, served);
  app.notFound((context) => refuseUnknown(context.req.method, context.req.path, options, app));
  app.onError((error, context) => {
    answerError(context.env.incoming, context.env.outgoing, error);
    return RESPONSE_ALREADY_SENT;
  });
  const listener = getRequestListener((request, env) => app.fetch(request, env as ApiEnv['Bindings']), {
    overrideGlobalObjects: false,
    // Handlers' errors end in onError; what comes here is a request that is no valid one: `/a\\b`, a Host with blanks.
    errorHandler: () => problemResponse(unreadable()),
  });
  return async (request, response, entry) => {
    served.set(request, entry);
    await listener(request, response);
  };
}

function mount(
  app: Hono<ApiEnv>,
  route: Route,
  options: ColdOptions,
  served: WeakMap<IncomingMessage, Served>,
): void {
  const names = parameterNames(route.path);
  app.on(route.method, honoPath(route.path), async (context) => {
    const entry = served.get(context.env.incoming);
    if (entry) entry.route = route.path;
    const params = names.map((name) => decodeSegment(context.req.param(name) ?? ''));
    context.set('principal', await options.authorize(context.env.incoming, route, params));
    context.set('setting', options.setting);
    return route.handle(context);
  });
}

/** `/apps/{app}/{rest*}` → `/apps/:app/:rest{.+}`. */
function honoPath(path: string): string {
  return path.replace(/\{(\w+)(\*?)\}/g, (_, name, rest) => (rest ? `:${name}{.+}` : `:${name}`));
}

function unreadable(): MillraceError {
  return new MillraceError(
    'BAD_REQUEST',
    'The path or the Host header is not a valid part of an address. Encode the path as a URL.',
  );
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

function refuseUnknown(method: string, path: string, options: ColdOptions, app: Hono<ApiEnv>): Response {
  const cold = METHODS.filter((name) => app.router.match(name, path)[0].length > 0);
  const found = new Set([...options.hotMethods(path), ...cold]);
  if (found.size === 0) {
    return problemResponse(
      new MillraceError(
        'NOT_FOUND',
        `There is nothing at ${path.slice(0, 200)}. GET /openapi.json lists every route.`,
      ),
    );
  }
  if (found.has('GET')) found.add('HEAD');
  const allow = [...found, 'OPTIONS'].join(', ');
  if (method === 'OPTIONS') return new Response(null, { status: 204, headers: { Allow: allow } });
  return problemResponse(
    new MillraceError('METHOD_NOT_ALLOWED', `${method} does not apply here. Use one of ${allow}.`),
    { Allow: allow },
  );
}

function problemResponse(error: unknown, headers: Record<string, string> = {}): Response {
  const problem = toProblem(error);
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { 'Content-Type': 'application/problem+json', ...problemHeaders(error), ...headers },
  });
}

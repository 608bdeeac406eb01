import type { IncomingMessage, ServerResponse } from 'node:http';
import { isLoopbackHost } from '../../govern/index.ts';
import {
  type Clock,
  type Guard,
  MillraceError,
  type Principal,
  signal,
  signalled,
} from '../../kernel/index.ts';
import type { HttpAnswer, HttpRequest, WholeRequest } from '../http/message.ts';
import { answerError } from '../http/problem.ts';
import type { ColdListener } from './cold.ts';
import { Exchange, type NodeExchange } from './exchange.ts';
import { createHotTable, type HotMatch } from './hot-table.ts';
import { checkLoopbackRequest, isLoopbackAddress } from './loopback.ts';
import { openApiRoute } from './openapi.ts';
import type { RouteBase, RouteGroup } from './route.ts';
import type { Served, Setting } from './setting.ts';

export interface ServeOptions {
  readonly host: string;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly version: string;
  readonly groups: readonly RouteGroup[];
}

export interface Serve {
  serve(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Takes a request that came whole where its route is made for that. */
  serveWhole(request: WholeRequest, answer: HttpAnswer): boolean;
}

/** Answers one request: checks where it comes from, finds its route, asks the guard, runs the handler. */
export function createServe(options: ServeOptions, setting: Setting): Serve {
  const groups = [...options.groups, openApiRoute(options.groups, options.version)];
  const hotTable = createHotTable(groups.flatMap((group) => group.hot ?? []));
  const onLoopback = isLoopbackHost(options.host);
  const authorize = createAuthorize(options.guard, onLoopback);
  let cold: Promise<ColdListener> | undefined;

  const loadCold = async (): Promise<ColdListener> => {
    const { createColdListener } = await import('./cold.ts');
    return createColdListener({ groups, authorize, hotMethods: hotTable.methods, setting });
  };

  const serveHot = async (
    match: HotMatch,
    request: HttpRequest,
    response: HttpAnswer,
    search: string,
  ): Promise<void> => {
    const principal = await authorize(request, match.route, match.params);
    const exchange = new Exchange(request, response, match.params, search, principal, setting);
    // Only whole routes are given anything but node:http's own.
    await match.route.handle(exchange as NodeExchange);
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const served: Served = { route: 'none' };
    watchServed(request, response, served, options.clock);
    try {
      if (onLoopback) checkLoopbackRequest(request);
      const { path, search } = takeApart(request.url ?? '/');
      const match = hotTable.find(request.method ?? 'GET', path);
      if (setting.closing.aborted && match?.route.action !== 'open') throw stopping();
      if (match) {
        served.route = match.route.path;
        await serveHot(match, request, response, search);
      } else {
        const listener = await (cold ??= loadCold());
        await listener(request, response, served);
      }
    } catch (error) {
      answerError(request, response, error);
    }
  };

  const answerWhole = async (match: HotMatch, request: WholeRequest, answer: HttpAnswer, search: string) => {
    watchServed(request, answer, { route: match.route.path }, options.clock);
    try {
      if (onLoopback) checkLoopbackRequest(request);
      if (setting.closing.aborted && match.route.action !== 'open') throw stopping();
      await serveHot(match, request, answer, search);
    } catch (error) {
      answerError(request, answer, error);
    }
  };

  return {
    serve,
    serveWhole(request, answer) {
      const { path, search } = takeApart(request.url);
      // A path that cannot be decoded is for node:http's side to refuse.
      const match = path.includes('%') ? undefined : hotTable.find(request.method, path);
      if (match?.route.whole !== true) return false;
      void answerWhole(match, request, answer, search);
      return true;
    },
  };
}

function takeApart(target: string): { readonly path: string; readonly search: string } {
  const mark = target.indexOf('?');
  return mark < 0
    ? { path: target, search: '' }
    : { path: target.slice(0, mark), search: target.slice(mark + 1) };
}

export type Authorize = (
  request: HttpRequest,
  route: RouteBase,
  params: readonly string[],
) => Promise<Principal>;

const ANYONE: Principal = { id: 'anyone', kind: 'local' };

/** Asks the guard; throws UNAUTHENTICATED, FORBIDDEN. */
function createAuthorize(guard: Guard, onLoopback: boolean): Authorize {
  return async (request, route, params) => {
    if (route.action === 'open') return ANYONE;
    const principal = await guard.identify({
      ...bearerOf(request),
      // Behind a proxy on the same machine every peer is on loopback; only a door that is itself closed to the outside may trust that.
      loopback: onLoopback && isLoopbackAddress(request.socket.remoteAddress),
    });
    guard.permit(principal, route.action, route.resource?.(params) ?? 'platform/*');
    return principal;
  };
}

function watchServed(request: HttpRequest, response: HttpAnswer, served: Served, clock: Clock): void {
  if (!signalled('http.served')) return;
  const startMs = clock.monotonic();
  const socket = request.socket;
  const bytesBefore = socket.bytesWritten;
  response.on('close', () => {
    signal('http.served', {
      door: 'api',
      route: served.route,
      method: request.method ?? '',
      status: response.statusCode,
      durationMs: clock.monotonic() - startMs,
      bytes: socket.bytesWritten - bytesBefore,
    });
  });
}

function bearerOf(request: HttpRequest): { bearer?: string } {
  const header = request.headers.authorization;
  if (header === undefined) return {};
  const match = /^Bearer +(\S+)$/i.exec(header);
  if (match) return { bearer: match[1]! };
  // Clients of schema registries know a user and a password: the token is the password, whoever the user is.
  const basic = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(header);
  const password = basic && /^[^:]*:(.+)$/s.exec(Buffer.from(basic[1]!, 'base64').toString());
  if (password) return { bearer: password[1]! };
  throw new MillraceError(
    'UNAUTHENTICATED',
    'Only `Authorization: Bearer <token>` is understood here, or Basic with the token as the password.',
  );
}

function stopping(): MillraceError {
  return new MillraceError('UNAVAILABLE', 'The platform is stopping. Try again when it is back.', {
    retryAfterMs: 1000,
  });
}

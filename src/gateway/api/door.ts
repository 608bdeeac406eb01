import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  type Clock,
  type Guard,
  MillraceError,
  type Principal,
  type Service,
  signal,
  signalled,
} from '../../kernel/index.ts';
import type { ColdListener } from './cold.ts';
import { answerError, Exchange } from './exchange.ts';
import { createHotTable, type HotMatch } from './hot-table.ts';
import { checkLoopbackRequest, isLoopbackAddress, isLoopbackHost } from './loopback.ts';
import { refuseMalformed } from './malformed.ts';
import { openApiRoute } from './openapi.ts';
import type { RouteBase, RouteGroup, Served } from './route.ts';
import { loadSecureContext, type TlsFiles, watchTlsFiles } from './tls.ts';

export interface ApiDoorOptions {
  /** Address to bind to. On loopback, Host and Origin of every request must name loopback too. */
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Takes a free port when `port` is taken, and says so. */
  readonly fallback?: boolean;
  readonly tls?: TlsFiles;
  readonly guard: Guard;
  readonly clock: Clock;
  /** Of the platform, for `/openapi.json`. */
  readonly version: string;
  readonly groups: readonly RouteGroup[];
  readonly limits?: Partial<DoorLimits>;
}

export interface DoorLimits {
  readonly connections: number;
  readonly headerBytes: number;
  /** How long the headers of a request may take to arrive. */
  readonly headersTimeoutMs: number;
  /** How long a whole request may take to arrive. */
  readonly requestTimeoutMs: number;
  readonly keepAliveMs: number;
}

export const DEFAULT_DOOR_LIMITS: DoorLimits = {
  connections: 10_000,
  headerBytes: 16 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 120_000,
  keepAliveMs: 30_000,
};

export interface ApiDoor extends Service {
  /** `http://127.0.0.1:7401`; known once started. */
  readonly url: string;
  start(): Promise<void>;
  refuse(): void;
  stop(deadline: AbortSignal): Promise<void>;
}

/** The API port. Hot routes are answered straight from node:http; the rest is loaded with the first request for it. */
export function createApiDoor(options: ApiDoorOptions): ApiDoor {
  const closing = new AbortController();
  const groups = [...options.groups, openApiRoute(options.groups, options.version)];
  const hotTable = createHotTable(groups.flatMap((group) => group.hot ?? []));
  const onLoopback = isLoopbackHost(options.host);
  let cold: Promise<ColdListener> | undefined;
  let server: Server | undefined;
  let stopWatching: (() => void) | undefined;
  let url = '';

  const identify = (request: IncomingMessage): Promise<Principal> =>
    options.guard.identify({
      ...bearerOf(request),
      // Behind a proxy on the same machine every peer is on loopback; only a door that is itself closed to the outside may trust that.
      loopback: onLoopback && isLoopbackAddress(request.socket.remoteAddress),
    });

  const authorize = async (
    request: IncomingMessage,
    route: RouteBase,
    params: readonly string[],
  ): Promise<Principal> => {
    if (route.action === 'open') return ANYONE;
    const principal = await identify(request);
    options.guard.permit(principal, route.action, route.resource?.(params) ?? 'platform/*');
    return principal;
  };

  const loadCold = async (): Promise<ColdListener> => {
    const { createColdListener } = await import('./cold.ts');
    return createColdListener({ groups, authorize, hotMethods: hotTable.methods, closing: closing.signal });
  };

  const serveHot = async (
    match: HotMatch,
    request: IncomingMessage,
    response: ServerResponse,
    search: string,
  ): Promise<void> => {
    const principal = await authorize(request, match.route, match.params);
    const exchange = new Exchange(request, response, match.params, search, principal, closing.signal);
    await match.route.handle(exchange);
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const served = startServed(request, response, options.clock);
    try {
      if (onLoopback) checkLoopbackRequest(request);
      const target = request.url ?? '/';
      const mark = target.indexOf('?');
      const path = mark < 0 ? target : target.slice(0, mark);
      const match = hotTable.find(request.method ?? 'GET', path);
      if (closing.signal.aborted && match?.route.action !== 'open') throw stopping();
      if (match) {
        served.route = match.route.path;
        await serveHot(match, request, response, mark < 0 ? '' : target.slice(mark + 1));
      } else {
        const listener = await (cold ??= loadCold());
        await listener(request, response, served);
      }
    } catch (error) {
      answerError(request, response, error);
    }
  };

  const listen = async (): Promise<void> => {
    const limits = { ...DEFAULT_DOOR_LIMITS, ...options.limits };
    server = await createBoundedServer(options.tls, limits);
    server.on('request', serve);
    server.on('checkContinue', (request, response) => {
      // A body that will be refused anyway is not asked for.
      if (!declaresTooMuch(request)) response.writeContinue();
      void serve(request, response);
    });
    server.on('clientError', refuseMalformed);
    await bind(server, options);
    const { port } = server.address() as AddressInfo;
    const host = options.host.includes(':') ? `[${options.host}]` : options.host;
    url = `${options.tls ? 'https' : 'http'}://${host}:${port}`;
    if (options.tls) stopWatching = watchTlsFiles(server, options.tls, options.clock);
  };

  return {
    name: 'api',
    get url() {
      return url;
    },
    start: listen,
    refuse: () => closing.abort(),
    stop: (deadline) => {
      closing.abort();
      stopWatching?.();
      return server ? closeServer(server, deadline) : Promise.resolve();
    },
  };
}

const ANYONE: Principal = { id: 'anyone', kind: 'local' };

function startServed(request: IncomingMessage, response: ServerResponse, clock: Clock): Served {
  const served: Served = { route: 'none' };
  if (!signalled('http.served')) return served;
  const startMs = clock.monotonic();
  const socket = request.socket;
  const bytesBefore = socket.bytesWritten;
  response.once('close', () => {
    signal('http.served', {
      door: 'api',
      route: served.route,
      method: request.method ?? '',
      status: response.statusCode,
      durationMs: clock.monotonic() - startMs,
      bytes: socket.bytesWritten - bytesBefore,
    });
  });
  return served;
}

function bearerOf(request: IncomingMessage): { bearer?: string } {
  const header = request.headers.authorization;
  if (header === undefined) return {};
  const match = /^Bearer +(\S+)$/i.exec(header);
  if (match) return { bearer: match[1]! };
  throw new MillraceError('UNAUTHENTICATED', 'Only `Authorization: Bearer <token>` is understood here.');
}

function stopping(): MillraceError {
  return new MillraceError('UNAVAILABLE', 'The platform is stopping. Try again when it is back.', {
    retryAfterMs: 1000,
  });
}

const LARGEST_EXPECTED_BYTES = 1024 ** 3;

function declaresTooMuch(request: IncomingMessage): boolean {
  return Number(request.headers['content-length'] ?? 0) > LARGEST_EXPECTED_BYTES;
}

async function createBoundedServer(tls: TlsFiles | undefined, limits: DoorLimits): Promise<Server> {
  const bounds = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(5000, limits.headersTimeoutMs),
    noDelay: true,
  };
  const server = tls
    ? createSecureServer({ ...bounds, ...(await loadSecureContext(tls)) })
    : createServer(bounds);
  server.maxConnections = limits.connections;
  return server;
}

async function bind(server: Server, options: ApiDoorOptions): Promise<void> {
  try {
    await listenOn(server, options.host, options.port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cannotBind(options, error);
    if (!options.fallback) throw portInUse(options);
    await listenOn(server, options.host, 0);
    const message = `Port ${options.port} is taken; the API port is on ${(server.address() as AddressInfo).port} instead.`;
    signal('platform.log', { level: 'warn', room: 'gateway', message });
  }
}

function listenOn(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function portInUse(options: ApiDoorOptions): MillraceError {
  return new MillraceError(
    'PORT_IN_USE',
    `Port ${options.port} on ${options.host} is taken. Stop the program that holds it, or choose another with --api-port (0 picks a free one).`,
  );
}

function cannotBind(options: ApiDoorOptions, cause: unknown): MillraceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError(
    'CONFIG_INVALID',
    `The API port cannot be opened on ${options.host}:${options.port}: ${reason}. Check --api-host and --api-port.`,
    { cause },
  );
}

/** Lets requests in flight finish until the deadline, then ends what is left. */
function closeServer(server: Server, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const force = (): void => server.closeAllConnections();
    server.close(() => {
      deadline.removeEventListener('abort', force);
      resolve();
    });
    server.closeIdleConnections();
    if (deadline.aborted) force();
    else deadline.addEventListener('abort', force, { once: true });
  });
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Clock, type Guard, LIMITS, MillraceError, type Service, signal } from '../../kernel/index.ts';
import { refuseMalformed } from './malformed.ts';
import type { RouteGroup } from './route.ts';
import { createServe } from './serve.ts';
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
  /** Largest body of a request. */
  readonly bodyBytes: number;
  readonly connections: number;
  readonly headerBytes: number;
  /** How long the headers of a request may take to arrive. */
  readonly headersTimeoutMs: number;
  /** How long a whole request may take to arrive. */
  readonly requestTimeoutMs: number;
  readonly keepAliveMs: number;
}

export const DEFAULT_DOOR_LIMITS: DoorLimits = {
  bodyBytes: LIMITS.bodyBytes,
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
  const limits = { ...DEFAULT_DOOR_LIMITS, ...options.limits };
  const closing = new AbortController();
  const serve = createServe(options, { closing: closing.signal, bodyBytes: limits.bodyBytes });
  let server: Server | undefined;
  let stopWatching: (() => void) | undefined;
  let url = '';

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    response.once('close', () => {
      // The connection is idle from here on; nothing else would end it before its time.
      if (closing.signal.aborted) setImmediate(() => server?.closeIdleConnections());
    });
    void serve(request, response);
  };

  const listen = async (): Promise<void> => {
    server = await createBoundedServer(options.tls, limits);
    server.on('request', onRequest);
    server.on('checkContinue', (request, response) => {
      // A body that will be refused anyway is not asked for.
      if (!declaresTooMuch(request, limits.bodyBytes)) response.writeContinue();
      onRequest(request, response);
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

function declaresTooMuch(request: IncomingMessage, bodyBytes: number): boolean {
  return Number(request.headers['content-length'] ?? 0) > bodyBytes;
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

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, LIMITS, type Service } from '../../kernel/index.ts';
import { bind } from './bind.ts';
import { createFastPath, type FastPath } from './fast-path.ts';
import { refuseLate, refuseMalformed } from './malformed.ts';
import type { HttpAnswer, WholeRequest } from './message.ts';
import { fingerprint, loadSecureContext, type TlsFiles, watchTlsFiles } from './tls.ts';

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

/** Where a door is and how it is protected. */
export interface DoorOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Takes a free port when `port` is taken, and says so. */
  readonly fallback?: boolean;
  readonly tls?: TlsFiles;
  readonly clock: Clock;
  readonly limits?: Partial<DoorLimits>;
}

/** What serves the requests that come through a door. */
export interface DoorServer {
  /** Names the door and its flags: `--api-port`. */
  readonly name: 'api' | 'edge';
  serve(request: IncomingMessage, response: ServerResponse): void;
  /** For a request that waits for `100 Continue` before it sends its body; the default is to send it and serve. */
  serveExpecting(request: IncomingMessage, response: ServerResponse): void;
  /** Takes a small request without node:http; false where it cannot. */
  serveWhole(request: WholeRequest, answer: HttpAnswer): boolean;
  refuse(): void;
  stop?(): void;
}

export interface Door extends Service {
  /** `http://127.0.0.1:7401`; known once started. */
  readonly url: string;
  start(): Promise<void>;
  refuse(): void;
  stop(deadline: AbortSignal): Promise<void>;
}

/** A listening port on node:http or node:https with every bound set, and an ordered stop. */
export function createDoor(options: DoorOptions, by: DoorServer): Door {
  const limits = { ...DEFAULT_DOOR_LIMITS, ...options.limits };
  let server: Server | undefined;
  let fastPath: FastPath | undefined;
  let stopWatching: (() => void) | undefined;
  let url = '';
  let closing = false;
  const close = (): void => {
    if (closing) return;
    closing = true;
    by.refuse();
  };

  const watched =
    (serve: (request: IncomingMessage, response: ServerResponse) => void) =>
    (request: IncomingMessage, response: ServerResponse): void => {
      response.on('close', () => {
        // The connection is idle from here on; nothing else would end it before its time.
        if (closing) setImmediate(() => server?.closeIdleConnections());
      });
      serve(request, response);
    };

  const listen = async (): Promise<void> => {
    const tls = options.tls && { ...options.tls, seen: await fingerprint(options.tls) };
    server = await createBoundedServer(tls, limits);
    server.on('request', watched(by.serve));
    server.on('checkContinue', watched(by.serveExpecting));
    server.on('clientError', refuseMalformed);
    fastPath = placeInFront(server, options, limits, by);
    await bind(server, by.name, options);
    const { port } = server.address() as AddressInfo;
    const host = options.host.includes(':') ? `[${options.host}]` : options.host;
    url = `${options.tls ? 'https' : 'http'}://${host}:${port}`;
    if (tls) stopWatching = watchTlsFiles(server, tls, options.clock);
  };

  return {
    name: by.name,
    get url() {
      return url;
    },
    start: listen,
    refuse: close,
    async stop(deadline) {
      close();
      stopWatching?.();
      if (server && fastPath) await closeServer(server, fastPath, deadline);
      by.stop?.();
    },
  };
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
  // An import would touch every export of node:http, and its WebSocket and fetch alone cost 10 MB and 20 ms.
  const server = tls
    ? process.getBuiltinModule('node:https').createServer({ ...bounds, ...(await loadSecureContext(tls)) })
    : process.getBuiltinModule('node:http').createServer(bounds);
  server.maxConnections = limits.connections;
  return server;
}

/** Connections come to the fast path first; what it hands over is node:http's, as if it had just come in. */
function placeInFront(
  server: Server,
  { tls, clock }: DoorOptions,
  { headersTimeoutMs, keepAliveMs }: DoorLimits,
  by: DoorServer,
): FastPath {
  const event = tls ? 'secureConnection' : 'connection';
  const takeOver = server.listeners(event);
  const fastPath = createFastPath({
    ...{ clock, headersTimeoutMs, keepAliveMs, refuseLate },
    serve: by.serveWhole,
    handOver(socket) {
      for (const listener of takeOver) listener.call(server, socket);
    },
  });
  server.removeAllListeners(event);
  server.on(event, fastPath.accept);
  return fastPath;
}

/** Lets requests in flight finish until the deadline, then ends what is left. */
function closeServer(server: Server, fastPath: FastPath, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const force = (): void => {
      server.closeAllConnections();
      fastPath.destroy();
    };
    server.close(() => {
      deadline.removeEventListener('abort', force);
      resolve();
    });
    server.closeIdleConnections();
    fastPath.close();
    if (deadline.aborted) force();
    else deadline.addEventListener('abort', force, { once: true });
  });
}

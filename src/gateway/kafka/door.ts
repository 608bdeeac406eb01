import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';
import { type Acls, isLoopbackHost, type ScramUsers } from '../../govern/index.ts';
import { type Clock, type Guard, MillraceError, type Service, type Timer } from '../../kernel/index.ts';
import { isLoopbackAddress } from '../api/loopback.ts';
import { bind } from '../http/bind.ts';
import { fingerprint, loadSecureContext, type TlsFiles, watchTlsFiles } from '../http/tls.ts';
import { createAuthorizer } from './authorizer.ts';
import { Budget } from './budget.ts';
import { clientCertificate } from './client-certificate.ts';
import { Connection } from './connection.ts';
import type { BrokerAddress } from './handler.ts';
import { MemoryPool } from './memory-pool.ts';
import { Outgoing } from './outgoing.ts';
import type { Quotas } from './quotas.ts';
import type { HandlerRegistry } from './registry.ts';

import { Session } from './sasl/session.ts';

export interface KafkaDoorLimits {
  readonly connections: number;
  /** Largest request; Apache Kafka's own default. */
  readonly requestBytes: number;
  /** Bytes of all requests that have not been answered yet. */
  readonly requestsInFlightBytes: number;
  readonly queuedRequests: number;
  /** Of one connection: enough for the log to gather the next group of writes while it syncs one. */
  readonly unansweredBytes: number;
  /** A connection without requests for this long is closed. */
  readonly idleMs: number;
  /** A request that has begun to arrive must go on arriving within this time, and so must an authentication. */
  readonly stalledMs: number;
}

export const DEFAULT_KAFKA_DOOR_LIMITS: KafkaDoorLimits = {
  connections: 10_000,
  requestBytes: 100 * 1024 * 1024,
  requestsInFlightBytes: 256 * 1024 * 1024,
  queuedRequests: 100,
  unansweredBytes: 16 * 1024 * 1024,
  idleMs: 600_000,
  stalledMs: 30_000,
};

export interface KafkaDoorOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Takes a free port when `port` is taken, and says so. */
  readonly fallback?: boolean;
  readonly tls?: TlsFiles;
  /** What clients are told to connect to; unless told, the address they came in by. */
  readonly advertised?: BrokerAddress;
  readonly clock: Clock;
  readonly guard: Guard;
  /** Narrow what the guard permits to whom they name. */
  readonly acls?: Acls;
  readonly scram: ScramUsers;
  readonly quotas: Quotas;
  readonly registry: HandlerRegistry;
  readonly limits?: Partial<KafkaDoorLimits>;
}

export interface KafkaDoor extends Service {
  /** `127.0.0.1:9092`; known once started. */
  readonly address: string;
  start(): Promise<void>;
  refuse(): void;
  stop(deadline: AbortSignal): Promise<void>;
}

/** `HOST:PORT`, an IPv6 address in brackets. Throws CONFIG_INVALID. */
export function parseAdvertised(text: string): BrokerAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host !== undefined && Number(port) > 0 && Number(port) <= 65_535) return { host, port: Number(port) };
  throw new MillraceError(
    'CONFIG_INVALID',
    `--kafka-advertised ${JSON.stringify(text)} is no address. Write HOST:PORT, such as streams.example.com:9092.`,
  );
}

const SWEEP_MS = 5000;

/** The Kafka port: a TCP or TLS server whose connections speak the Kafka protocol. */
export function createKafkaDoor(options: KafkaDoorOptions): KafkaDoor {
  const { clock, guard, registry, scram, quotas } = options;
  const authorize = createAuthorizer(guard, options.acls);
  const limits = { ...DEFAULT_KAFKA_DOOR_LIMITS, ...options.limits };
  const budget = new Budget(limits.requestsInFlightBytes);
  const outgoing = new Outgoing();
  const memory = new MemoryPool();
  const connections = new Set<Connection>();
  const closing = new AbortController();
  const allClosed = Promise.withResolvers<void>();
  let server: Server | undefined;
  let stopWatching: (() => void) | undefined;
  let sweeping: Timer | undefined;
  let address = '';

  const accept = async (socket: Socket): Promise<void> => {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    socket.on('error', () => socket.destroy());
    // Behind a proxy on this machine every peer is on loopback; only a door that is itself closed to the outside may trust that.
    const isLocal = isLoopbackHost(options.host) && isLoopbackAddress(socket.remoteAddress);
    const certificate = clientCertificate(socket);
    if (certificate === 'refused') return void socket.destroy();
    const known = isLocal || certificate !== undefined;
    const principal = known
      ? await guard.identify({ ...(certificate && { certificate }), loopback: isLocal })
      : undefined;
    const session = new Session({ guard, scram, clock, principal });
    const connection = new Connection({
      ...{ socket, session, authorize, quotas, clock, registry, budget, outgoing, memory, limits },
      advertised: options.advertised,
      closing: closing.signal,
    });
    connections.add(connection);
    socket.once('close', () => {
      connections.delete(connection);
      if (connections.size === 0 && closing.signal.aborted) allClosed.resolve();
    });
    if (closing.signal.aborted) connection.refuse();
  };

  /** Ends connections that say nothing for too long, and lets go of memory that nobody uses. */
  const sweep = (): void => {
    const now = clock.monotonic();
    for (const connection of connections) {
      const quietMs = now - connection.lastActivityMs;
      const boundMs = connection.arriving || !connection.isKnown ? limits.stalledMs : limits.idleMs;
      if (connection.idle && quietMs > boundMs) connection.destroy();
    }
    memory.trim();
    sweeping = clock.after(SWEEP_MS, sweep);
  };

  const refuse = (): void => {
    if (closing.signal.aborted) return;
    server?.close();
    closing.abort();
    for (const connection of connections) connection.refuse();
  };

  return {
    name: 'kafka',
    get address() {
      return address;
    },
    async start() {
      const onSocket = (socket: Socket): void => void accept(socket);
      const tls = options.tls && { ...options.tls, seen: await fingerprint(options.tls) };
      server = tls
        ? createSecureServer(
            {
              ...(await loadSecureContext(tls)),
              handshakeTimeout: 10_000,
              // Who has none authenticates by SASL; who has one that does not count is sent away.
              requestCert: tls.clientCaFile !== undefined,
              rejectUnauthorized: false,
            },
            onSocket,
          )
        : createServer(onSocket);
      server.maxConnections = limits.connections;
      await bind(server, 'kafka', options);
      const { port } = server.address() as AddressInfo;
      address = `${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`;
      if (tls) stopWatching = watchTlsFiles(server, tls, clock);
      sweeping = clock.after(SWEEP_MS, sweep);
    },
    refuse,
    async stop(deadline) {
      refuse();
      stopWatching?.();
      sweeping?.cancel();
      const end = (): void => {
        for (const connection of connections) connection.destroy();
      };
      if (deadline.aborted) end();
      else deadline.addEventListener('abort', end, { once: true });
      if (connections.size > 0) await allClosed.promise;
      deadline.removeEventListener('abort', end);
    },
  };
}

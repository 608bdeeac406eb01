import type { AddressInfo, Server } from 'node:net';
import { MillraceError, signal } from '../../kernel/index.ts';

/** Names a door and its flags: `--api-port`. */
export type DoorName = 'api' | 'edge' | 'kafka' | 'inference';

export interface Binding {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Takes a free port when `port` is taken, and says so. */
  readonly fallback?: boolean;
}

/** Listens where a door is to be. Throws PORT_IN_USE, CONFIG_INVALID, each with the flag that helps. */
export async function bind(server: Server, name: DoorName, options: Binding): Promise<void> {
  try {
    await listenOn(server, options.host, options.port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cannotBind(name, options, error);
    if (!options.fallback) throw portInUse(name, options);
    await listenOn(server, options.host, 0);
    const message = `Port ${options.port} is taken; the ${PORT_NAMES[name]} is on ${(server.address() as AddressInfo).port} instead.`;
    signal('platform.log', { level: 'warn', room: 'gateway', message });
  }
}

const PORT_NAMES = {
  api: 'API port',
  edge: 'edge port',
  kafka: 'Kafka port',
  inference: 'inference port',
} as const;

function listenOn(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function portInUse(name: DoorName, { host, port }: Binding): MillraceError {
  return new MillraceError(
    'PORT_IN_USE',
    `Port ${port} on ${host} is taken. Stop the program that holds it, or choose another with --${name}-port (0 picks a free one).`,
  );
}

function cannotBind(name: DoorName, { host, port }: Binding, cause: unknown): MillraceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError(
    'CONFIG_INVALID',
    `The ${PORT_NAMES[name]} cannot be opened on ${host}:${port}: ${reason}. Check --${name}-host and --${name}-port.`,
    { cause },
  );
}

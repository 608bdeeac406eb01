import { BlockList, isIP } from 'node:net';
import { MillraceError } from '../kernel/index.ts';

/** A door about to be opened. */
export interface DoorPlan {
  readonly door: 'edge' | 'api' | 'kafka' | 'inference';
  readonly host: string;
  /** Whether it speaks TLS itself. */
  readonly tls: boolean;
  /** Whether the operator says that a proxy in front ends TLS. */
  readonly tlsEndsInFront: boolean;
  /** Whether callers from elsewhere have to authenticate. */
  readonly authentication: boolean;
}

/** Whether a host to bind to is reachable from this machine alone. A name other than localhost counts as reachable. */
export function isLoopbackHost(host: string): boolean {
  const address = host.replace(/^\[(.*)\]$/, '$1');
  if (address.toLowerCase() === 'localhost') return true;
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/**
 * Closed by default: a door beyond loopback needs authentication and TLS, unless a flag says that TLS ends in front of
 * it. The edge port serves the public by its purpose; an explicit host is enough there. Throws CONFIG_UNSAFE.
 */
export function checkDoor({ door, host, tls, tlsEndsInFront, authentication }: DoorPlan): void {
  if (door === 'edge' || isLoopbackHost(host)) return;
  const missing = [
    ...(authentication ? [] : ['make a token first with `millrace token create`']),
    ...(tls || tlsEndsInFront
      ? []
      : ['give --tls-certificate and --tls-key, or --tls-ends-in-front if a proxy ends TLS']),
  ];
  if (missing.length === 0) return;
  const message =
    `The ${door === 'kafka' ? 'Kafka' : door} port would be open to others on ${host}. ` +
    `Keep it on 127.0.0.1 with --${door}-host 127.0.0.1, or ${missing.join(', and ')}.`;
  throw new MillraceError('CONFIG_UNSAFE', message);
}

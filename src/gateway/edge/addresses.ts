import { BlockList, isIP } from 'node:net';
import type { HttpRequest } from '../http/message.ts';

/** A set of addresses, IPv4 and IPv6, written as addresses or CIDR ranges. */
export interface AddressSet {
  has(address: string): boolean;
}

export function createAddressSet(ranges: readonly string[]): AddressSet {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return {
    has: (address) => {
      const family = isIP(address);
      return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
    },
  };
}

/** An IPv4 address that came over an IPv6 socket (`::ffff:10.0.0.1`) is an IPv4 address; a zone (`%eth0`) is left out. */
export function plainAddress(address: string): string {
  const withoutZone = address.includes('%') ? address.slice(0, address.indexOf('%')) : address;
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(withoutZone) ? withoutZone.slice(7) : withoutZone;
}

/**
 * Who sends a request. `X-Forwarded-For` is believed only as far as trusted proxies wrote it: from the right, the first
 * address that is not a trusted proxy's is the client's. What stands left of it anyone could have written.
 */
export function clientAddress(request: HttpRequest, trusted: AddressSet | undefined): string {
  const peer = plainAddress(request.socket.remoteAddress ?? '');
  const forwarded = request.headers['x-forwarded-for'];
  if (!trusted?.has(peer) || forwarded === undefined) return peer;
  const hops = String(forwarded).split(',').slice(-20);
  let client = peer;
  for (const hop of hops.reverse()) {
    const address = plainAddress(hop.trim());
    if (isIP(address) === 0) return client;
    client = address;
    if (!trusted.has(address)) return client;
  }
  return client;
}

/** What one client is counted by: IPv4 by address, IPv6 by its /64, since a single host commonly has a whole one. */
export function clientNetwork(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  if (tail === undefined) return front.slice(0, 4).join(':');
  const back = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0');
  return [...front, ...zeros, ...back].slice(0, 4).join(':');
}

import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { signal } from '../../kernel/index.ts';

/** Who a client is by its certificate; undefined without one, 'refused' for one that no known authority answers for. */
export function clientCertificate(
  socket: Socket,
): { readonly subject: string; readonly expiresAtMs: number } | 'refused' | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return undefined;
  if (!socket.authorized) {
    const message = `A Kafka client from ${socket.remoteAddress} was sent away: its certificate does not count (${socket.authorizationError}).`;
    signal('platform.log', { level: 'warn', room: 'gateway', message });
    return 'refused';
  }
  return { subject: subjectOf(certificate), expiresAtMs: certificate.validToDate.getTime() };
}

/**
 * The distinguished name as RFC 2253 writes it, which is the name of the principal in Apache Kafka: `CN=ann,OU=shop,O=Example`. Node
 * gives a line for each part, in the order in which they are encoded, which is the other way round.
 */
export function subjectOf({ subject }: Pick<X509Certificate, 'subject'>): string {
  return subject
    .split('\n')
    .reverse()
    .map((part) => {
      const at = part.indexOf('=') + 1;
      const value = part.slice(at).replace(/[,+"\\<>;]|^[ #]| $/g, '\\$&');
      return part.slice(0, at) + value;
    })
    .join(',');
}

import { MillraceError } from '../../kernel/index.ts';
import type { HttpRequest } from '../http/message.ts';

const LOOPBACK_HOST = /^(?:localhost|(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/** Whether a connection's peer is on this machine. */
export function isLoopbackAddress(address: string | undefined): boolean {
  return (
    address !== undefined &&
    (address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.'))
  );
}

/**
 * A page from elsewhere can make a browser call loopback, by a name that it points at 127.0.0.1 (DNS rebinding) or by
 * a plain cross-site request. So a door on loopback answers only to loopback names and loopback origins. Throws FORBIDDEN.
 */
export function checkLoopbackRequest(request: HttpRequest): void {
  const { host, origin } = request.headers;
  if (host === undefined || !LOOPBACK_HOST.test(host)) {
    throw new MillraceError(
      'FORBIDDEN',
      `The Host header '${shorten(host ?? '')}' does not name this machine. Use localhost or 127.0.0.1, or bind the port to a host of its own.`,
    );
  }
  if (origin === undefined) return;
  const authority = /^https?:\/\/(.*)$/i.exec(origin)?.[1];
  if (authority === undefined || !LOOPBACK_HOST.test(authority)) {
    throw new MillraceError(
      'FORBIDDEN',
      `Pages from '${shorten(origin)}' may not call this port. Open the page from localhost.`,
    );
  }
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type Clock, isMillraceError, MillraceError, type Secrets, signal } from '../../kernel/index.ts';

/** Checks the keys of routes against the values of secrets. */
export interface Keyring {
  /** The digest of the key that opened the route. Throws UNAUTHENTICATED. */
  check(headers: IncomingHttpHeaders, names: readonly string[]): Promise<string>;
}

/** A secret that was changed counts from here on at the latest. */
const REMEMBERED_MS = 5000;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** `Authorization: Bearer …` or `X-Api-Key: …`; undefined without either. */
export function presentedKey(headers: IncomingHttpHeaders): string | undefined {
  const apiKey = headers['x-api-key'];
  if (typeof apiKey === 'string' && apiKey !== '') return apiKey;
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

export function createKeyring(secrets: Pick<Secrets, 'read'>, clock: Clock): Keyring {
  const known = new Map<string, { readonly digest: Promise<Buffer | undefined>; readonly untilMs: number }>();

  const read = async (name: string): Promise<Buffer | undefined> => {
    try {
      return digest(await secrets.read(name));
    } catch (error) {
      if (!isMillraceError(error, 'NOT_FOUND')) throw error;
      const message = `A route names the secret '${name}' as its key, and it is not set: it opens nothing.`;
      signal('platform.log', { level: 'warn', room: 'gateway', message });
      return undefined;
    }
  };

  const digestOf = (name: string): Promise<Buffer | undefined> => {
    const found = known.get(name);
    if (found && clock.monotonic() < found.untilMs) return found.digest;
    const entry = { digest: read(name), untilMs: clock.monotonic() + REMEMBERED_MS };
    entry.digest.catch(() => known.delete(name));
    known.set(name, entry);
    return entry.digest;
  };

  return {
    async check(headers, names) {
      const presented = presentedKey(headers);
      if (presented === undefined) {
        throw new MillraceError(
          'UNAUTHENTICATED',
          'This route needs a key. Send it as `Authorization: Bearer <key>` or `X-Api-Key: <key>`.',
        );
      }
      const given = digest(presented);
      let matches = 0;
      // All are compared, each in constant time: how long it takes tells nothing.
      for (const value of await Promise.all(names.map(digestOf))) {
        matches |= Number(value !== undefined && timingSafeEqual(given, value));
      }
      if (matches === 0) throw new MillraceError('UNAUTHENTICATED', 'The key does not open this route.');
      return given.toString('base64url');
    },
  };
}

import type { Clock } from '../../kernel/index.ts';
import type { HttpRequest } from '../http/message.ts';
import type { EdgeRoute } from './routes.ts';

export interface Cacheable {
  readonly statusCode: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | undefined;
}

interface Entry {
  readonly reply: Cacheable;
  readonly storedMs: number;
  readonly expiresMs: number;
  readonly sizeBytes: number;
}

export interface CacheHit {
  readonly reply: Cacheable;
  readonly ageSeconds: number;
}

export interface ResponseCache {
  find(key: string): CacheHit | undefined;
  /** Keeps the reply if it may be kept; tells whether. */
  store(route: EdgeRoute, key: string, reply: Cacheable): boolean;
  /** The fill that runs for the key: it resolves to whether others may use what it brought. */
  readonly filling: Map<string, Promise<boolean>>;
}

const STORABLE = new Set([200, 203, 204, 301, 308]);
const MOST_OF_BUDGET = 1 / 8;

/** Replies by key within a budget of bytes; what was stored or used longest ago goes first. */
export function createResponseCache(clock: Clock, budgetBytes: number): ResponseCache {
  const entries = new Map<string, Entry>();
  let held = 0;
  const drop = (key: string): void => {
    held -= entries.get(key)?.sizeBytes ?? 0;
    entries.delete(key);
  };
  return {
    filling: new Map(),
    find(key) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      const nowMs = clock.monotonic();
      if (nowMs >= entry.expiresMs) {
        drop(key);
        return undefined;
      }
      entries.delete(key);
      entries.set(key, entry);
      return { reply: entry.reply, ageSeconds: Math.floor((nowMs - entry.storedMs) / 1000) };
    },
    store(route, key, reply) {
      const ttlMs = lifetimeMs(route, reply);
      const sizeBytes = sizeOf(key, reply);
      if (ttlMs <= 0 || sizeBytes > budgetBytes * MOST_OF_BUDGET) return false;
      drop(key);
      const storedMs = clock.monotonic();
      entries.set(key, { reply, storedMs, expiresMs: storedMs + ttlMs, sizeBytes });
      held += sizeBytes;
      while (held > budgetBytes) drop(entries.keys().next().value!);
      return true;
    },
  };
}

/**
 * What tells replies apart: the function's version, the target as it came, the headers the route varies by, and always
 * the credentials, so that one caller never gets what was made for another. Undefined for a request that wants no cache.
 */
export function cacheKey(route: EdgeRoute, request: HttpRequest): string | undefined {
  const { headers, url } = request;
  if (route.trigger.cache === undefined || directives(headers['cache-control']).has('no-store'))
    return undefined;
  const varying = route.trigger.cache.vary.map((name) => headers[name] ?? null);
  const credentials = [headers.authorization ?? null, headers['x-api-key'] ?? null];
  return JSON.stringify([route.fn, route.version, url, varying, credentials]);
}

/** How long a reply may be kept, by the route and by the reply's own headers (RFC 9111); 0: not at all. */
function lifetimeMs({ trigger }: EdgeRoute, { statusCode, headers }: Cacheable): number {
  if (!trigger.cache || !STORABLE.has(statusCode)) return 0;
  let ttlMs = trigger.cache.ttlMs;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === 'set-cookie') return 0;
    if (lower === 'vary' && !coversVary(trigger.cache.vary, value)) return 0;
    if (lower !== 'cache-control') continue;
    const given = directives(value);
    if (given.has('no-store') || given.has('private') || given.has('no-cache')) return 0;
    const seconds = Number(given.get('s-maxage') ?? given.get('max-age') ?? Number.NaN);
    if (!Number.isNaN(seconds)) ttlMs = Math.min(ttlMs, seconds * 1000);
  }
  return ttlMs;
}

function coversVary(vary: readonly string[], value: string): boolean {
  return value.split(',').every((name) => vary.includes(name.trim().toLowerCase()));
}

function directives(header: string | undefined): Map<string, string | undefined> {
  const found = new Map<string, string | undefined>();
  for (const part of header?.split(',') ?? []) {
    const [name = '', value] = part.trim().split('=');
    if (name !== '') found.set(name.toLowerCase(), value?.replaceAll('"', ''));
  }
  return found;
}

function sizeOf(key: string, { headers, body }: Cacheable): number {
  const headerBytes = headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  return 2 * key.length + headerBytes + (body?.byteLength ?? 0) + 200;
}

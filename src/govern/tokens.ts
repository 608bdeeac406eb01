import { createHash, timingSafeEqual } from 'node:crypto';
import {
  type Clock,
  type Guard,
  type GuardAction,
  type Ids,
  type Json,
  MillraceError,
  type Principal,
  type Random,
  type StateStore,
} from '../kernel/index.ts';
import { createScramUsers, SCRAM_SCOPES, type ScramUsers } from './scram.ts';

/**
 * Who may do what, on the first floor: programs on this machine's loopback interface may do everything, everybody else
 * needs a token with the right scope.
 *
 * T1 only the SHA-256 of a token is stored; the token itself is shown once, when it is made.
 * T2 a token of 256 random bits needs no slow hash: there is nothing to guess.
 * T3 a wrong token is refused on loopback too: whoever sends one wants to be checked.
 */
export const SCOPES = [
  'read',
  'write',
  'invoke',
  'deploy',
  'administer',
] as const satisfies readonly GuardAction[];

/** A token as it is listed. */
export interface TokenInfo {
  readonly id: string;
  readonly name: string;
  /** `administer` includes the others. */
  readonly scopes: readonly GuardAction[];
  readonly createdMs: number;
  readonly expiresAtMs?: number;
}

export interface Tokens {
  /** `token` is shown this once. Throws INVALID_INPUT. */
  create(request: {
    readonly name: string;
    readonly scopes: readonly GuardAction[];
    readonly ttlMs?: number;
  }): Promise<{ readonly token: string; readonly info: TokenInfo }>;
  list(): Promise<readonly TokenInfo[]>;
  /** Takes effect at once on this node. Throws NOT_FOUND. */
  revoke(id: string): Promise<void>;
}

interface StoredToken extends TokenInfo {
  readonly sha256: string;
}

interface CachedToken {
  readonly stored: StoredToken | undefined;
  readonly readAtMs: number;
}

const TABLE = 'govern.tokens';
/** `mlr_<id>_<secret>`: an id of 26 characters and 32 random bytes. The prefix lets scanners find leaked tokens. */
const TOKEN = /^mlr_([0-9A-Z]{26})_([A-Za-z0-9_-]{43})$/;
/** How long another node's revocation may stay unnoticed. */
const CACHE_MS = 1000;
const CACHE_ENTRIES = 1000;

const LOCAL: Principal = Object.freeze({ id: 'local', kind: 'local' });

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function sameHash(left: string, right: string): boolean {
  return timingSafeEqual(Buffer.from(left, 'hex'), Buffer.from(right, 'hex'));
}

function toInfo({ sha256: _hidden, ...info }: StoredToken): TokenInfo {
  return info;
}

function checkRequest(name: string, scopes: readonly GuardAction[], ttlMs: number | undefined): void {
  const errors = [
    ...(/^[\w .@-]{1,100}$/.test(name)
      ? []
      : [{ path: '/name', message: 'Give 1 to 100 letters, digits, spaces or . _ @ -' }]),
    ...(scopes.length > 0 && scopes.every((scope) => SCOPES.includes(scope))
      ? []
      : [{ path: '/scopes', message: `Give at least one of ${SCOPES.join(', ')}` }]),
    ...(ttlMs === undefined || ttlMs > 0 ? [] : [{ path: '/ttlMs', message: 'Give more than 0' }]),
  ];
  if (errors.length === 0) return;
  const detail = errors.map((error) => `${error.path}: ${error.message}.`).join(' ');
  throw new MillraceError('INVALID_INPUT', `The token cannot be made. ${detail}`, { errors });
}

function unauthenticated(): MillraceError {
  const message =
    'A valid token is needed. Send `Authorization: Bearer <token>`; `millrace token create` on the platform makes one.';
  return new MillraceError('UNAUTHENTICATED', message);
}

interface TokenParts {
  readonly state: StateStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
}

/** Stored tokens by id, remembered for a moment: doors ask for the same ones all the time. */
function tokenCache({ state, clock }: TokenParts) {
  const cache = new Map<string, CachedToken>();
  return {
    forget: (id: string): void => void cache.delete(id),
    async find(id: string): Promise<StoredToken | undefined> {
      const cached = cache.get(id);
      if (cached && Math.abs(clock.now() - cached.readAtMs) < CACHE_MS) return cached.stored;
      const stored = (await state.get(TABLE, id))?.value as unknown as StoredToken | undefined;
      if (cache.size >= CACHE_ENTRIES) cache.clear();
      cache.set(id, { stored, readAtMs: clock.now() });
      return stored;
    },
  };
}

/** What a client may do that is known by its certificate, as one that is known by its password; access control lists can allow less. */
const CERTIFICATE_SCOPES = SCRAM_SCOPES;

type TokenCache = ReturnType<typeof tokenCache>;

/** Principals that were let in, and what they may do; nobody can make one that is in here. */
function admissions() {
  const scopesOf = new WeakMap<Principal, readonly GuardAction[]>();
  const revoked = new Set<string>();
  return {
    admit(principal: Principal, scopes: readonly GuardAction[]): Principal {
      scopesOf.set(Object.freeze(principal), scopes);
      return principal;
    },
    /** Ends what the token's holders were let in for, on connections that are open too. */
    revoke: (id: string): void => void revoked.add(id),
    scopesOf: (principal: Principal): readonly GuardAction[] =>
      revoked.has(principal.id) ? [] : (scopesOf.get(principal) ?? []),
  };
}

type Admissions = ReturnType<typeof admissions>;

function createGuard({ clock }: TokenParts, cache: TokenCache, { admit, scopesOf }: Admissions): Guard {
  const verify = async (token: string): Promise<StoredToken> => {
    const id = TOKEN.exec(token)?.[1];
    const stored = id === undefined ? undefined : await cache.find(id);
    if (!stored || !sameHash(stored.sha256, sha256(token))) throw unauthenticated();
    if (stored.expiresAtMs !== undefined && stored.expiresAtMs <= clock.now()) throw unauthenticated();
    return stored;
  };

  return {
    async identify({ bearer, user, password, certificate, loopback }) {
      const token = bearer ?? password;
      if (token === undefined && certificate) {
        const { subject, expiresAtMs } = certificate;
        const principal = { id: `certificate:${subject}`, name: subject, expiresAtMs };
        return admit({ ...principal, kind: 'certificate' }, CERTIFICATE_SCOPES);
      }
      if (token === undefined && loopback) return LOCAL;
      if (token === undefined) throw unauthenticated();
      const stored = await verify(token);
      const sasl = bearer === undefined;
      if (sasl && user !== stored.id && user !== stored.name) throw unauthenticated();
      const { id, name, expiresAtMs, scopes } = stored;
      const expiry = expiresAtMs === undefined ? {} : { expiresAtMs };
      return admit({ id, name, kind: sasl ? 'sasl' : 'token', ...expiry }, scopes);
    },
    permit(principal, action, resource) {
      if (principal === LOCAL) return;
      const scopes = scopesOf(principal);
      if (scopes.includes(action) || scopes.includes('administer')) return;
      const who =
        principal.kind === 'certificate' ? `certificate '${principal.name}'` : `token ${principal.id}`;
      const message = `The ${who} may not ${action} ${resource}. Use a token with the scope '${action}'.`;
      throw new MillraceError('FORBIDDEN', message);
    },
  };
}

function createAdministration(
  { state, clock, ids, random }: TokenParts,
  cache: TokenCache,
  admitted: Admissions,
): Tokens {
  return {
    async create({ name, scopes, ttlMs }) {
      checkRequest(name, scopes, ttlMs);
      const id = ids.next();
      const token = `mlr_${id}_${Buffer.from(random.bytes(32)).toString('base64url')}`;
      const createdMs = clock.now();
      const expiry = ttlMs === undefined ? {} : { expiresAtMs: createdMs + ttlMs };
      const info: TokenInfo = { id, name, scopes: [...new Set(scopes)], createdMs, ...expiry };
      const value = { ...info, sha256: sha256(token) } as unknown as Json;
      await state.transact([{ kind: 'put', table: TABLE, key: id, value, expect: 0, ...expiry }]);
      return { token, info };
    },
    async list() {
      const entries = await state.list(TABLE, { limit: 10_000 });
      return entries.map((entry) => toInfo(entry.value as unknown as StoredToken));
    },
    async revoke(id) {
      const entry = id === '' ? undefined : await state.get(TABLE, id);
      if (!entry)
        throw new MillraceError('NOT_FOUND', `There is no token '${id}'. List them to find its id.`);
      await state.transact([{ kind: 'delete', table: TABLE, key: id }]);
      cache.forget(id);
      admitted.revoke(id);
    },
  };
}

/** Tokens and passwords, and who checks them. */
export function createTokens(parts: TokenParts): {
  readonly tokens: Tokens;
  readonly guard: Guard;
  readonly scram: ScramUsers;
} {
  const cache = tokenCache(parts);
  const admitted = admissions();
  return {
    guard: createGuard(parts, cache, admitted),
    tokens: createAdministration(parts, cache, admitted),
    scram: createScramUsers({
      ...parts,
      admit: (user) => admitted.admit({ id: `scram:${user}`, name: user, kind: 'sasl' }, SCRAM_SCOPES),
    }),
  };
}

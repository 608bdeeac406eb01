import type { InputProblem, Json } from '../../kernel/index.ts';
import { isMillraceError, MillraceError } from '../../kernel/index.ts';
import { parseJson } from '../http/json.ts';
import { clientNetwork } from './addresses.ts';
import type { Call } from './call.ts';
import type { Keyring } from './keys.ts';
import { coerceQuery, parseQuery, type Query } from './query.ts';
import { allowanceHeaders } from './rate-limit.ts';
import type { EdgeRoute } from './routes.ts';

/** Throws FORBIDDEN. */
export function checkAddress(route: EdgeRoute, call: Call): void {
  if (route.allow && !route.allow.has(call.clientIp)) {
    throw new MillraceError('FORBIDDEN', `The address ${call.clientIp} may not call this route.`);
  }
}

/** Throws UNAUTHENTICATED; resolves to what tells the caller from others. */
export async function checkKey(route: EdgeRoute, call: Call, keyring: Keyring): Promise<string> {
  return keyring.check(call.request.headers, route.trigger.keys!);
}

/** Counts the request once and puts what is left into the answer's headers. Throws TOO_MANY_REQUESTS. */
export function checkRate(route: EdgeRoute, call: Call, key: string): void {
  if (!route.limiter || call.counted) return;
  const by = route.trigger.rateLimit!.by;
  const allowance = route.limiter.take(
    by === 'route' ? '' : by === 'key' ? key : clientNetwork(call.clientIp),
  );
  call.counted = true;
  call.headers.push(...allowanceHeaders(allowance));
  if (allowance.allowed) return;
  const { requests, perMs } = route.trigger.rateLimit!;
  throw new MillraceError(
    'TOO_MANY_REQUESTS',
    `${requests} requests in ${perMs / 1000} s are allowed. Wait for as long as Retry-After says.`,
    { retryAfterMs: allowance.resetMs },
  );
}

/** The query by the route's schema. Throws INVALID_INPUT with the path of every problem. */
export function readQuery(route: EdgeRoute, search: string): Query {
  const query = parseQuery(search);
  if (!route.query) return query;
  const coerced = coerceQuery(query, route.query.schema);
  refuseProblems('query', route.query.problems(coerced as Json, search.length));
  return coerced;
}

/** Throws BAD_JSON, BAD_ENCODING, and INVALID_INPUT with the path of every problem. */
export function checkBody(route: EdgeRoute, body: Buffer): void {
  if (!route.body) return;
  refuseProblems('body', route.body.problems(parseJson(body), body.length));
}

function refuseProblems(what: 'body' | 'query', errors: readonly InputProblem[]): void {
  if (errors.length === 0) return;
  const first = errors[0]!;
  const where = first.path === '' ? 'it' : first.path;
  throw new MillraceError(
    'INVALID_INPUT',
    `The ${what} does not fit its schema: ${where} ${first.message}.`,
    {
      errors,
    },
  );
}

const MOST_KEY_CHARACTERS = 255;

/** Throws BAD_REQUEST. */
export function idempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined || (typeof header === 'string' && header.length <= MOST_KEY_CHARACTERS)) {
    return header === '' ? undefined : header;
  }
  throw new MillraceError(
    'BAD_REQUEST',
    `Idempotency-Key must come once and have at most ${MOST_KEY_CHARACTERS} characters.`,
  );
}

/** Whether the dispatcher no longer has the version: its route has been replaced, or is just being replaced. */
export function isGone(error: unknown): boolean {
  return isMillraceError(error, 'VERSION_NOT_FOUND') || isMillraceError(error, 'FUNCTION_NOT_FOUND');
}

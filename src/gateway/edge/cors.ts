import type { HttpTrigger } from '../../kernel/index.ts';
import type { HttpRequest } from '../http/message.ts';

type Cors = NonNullable<HttpTrigger['cors']>;

/** What a page may read of an answer besides the simple headers. */
const EXPOSED =
  'Millrace-Invocation-Id, Traceparent, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After';

/** Headers (name, value, …) that let the page of `origin` read the answer (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export function corsHeaders(cors: Cors, origin: string | undefined): string[] {
  const anyone = cors.origins.includes('*');
  // The answer differs by origin, which caches must know even where no origin was sent.
  const headers = anyone ? [] : ['Vary', 'Origin'];
  if (origin === undefined || !(anyone || cors.origins.includes(origin))) return headers;
  headers.push('Access-Control-Allow-Origin', anyone ? '*' : origin);
  if (cors.credentials) headers.push('Access-Control-Allow-Credentials', 'true');
  headers.push('Access-Control-Expose-Headers', EXPOSED);
  return headers;
}

/** The method a preflight asks for; undefined when the request is not one. */
export function preflightMethod({ method, headers }: HttpRequest): string | undefined {
  if (method !== 'OPTIONS' || headers.origin === undefined) return undefined;
  return headers['access-control-request-method'];
}

export function preflightHeaders(cors: Cors, origin: string, methods: readonly string[]): string[] {
  const headers = corsHeaders(cors, origin);
  if (!headers.includes('Access-Control-Allow-Origin')) return headers;
  headers.push('Access-Control-Allow-Methods', methods.join(', '));
  if (cors.headers.length > 0) headers.push('Access-Control-Allow-Headers', cors.headers.join(', '));
  headers.push('Access-Control-Max-Age', String(Math.floor(cors.maxAgeMs / 1000)));
  return headers;
}

import { isIP } from 'node:net';
import { type HttpTrigger, LIMITS } from '../../kernel/index.ts';
import type { OptionReader } from './reader.ts';

const ROUTE_OPTIONS = ['body', 'query', 'stream', 'maxBody', 'cors', 'keys', 'rateLimit', 'allow', 'cache'];
const CORS_OPTIONS = ['origins', 'headers', 'maxAge', 'credentials'];
const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
const GB = 1024 ** 3;

const SEGMENT = /^([:*][A-Za-z_][A-Za-z0-9_]*|[A-Za-z0-9._~!$&'()+,;=@%-]+)$/;
const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/** What is wrong with a route's path, or undefined. */
export function routePathProblem(path: string): string | undefined {
  if (!path.startsWith('/')) return `is '${path}'; it must begin with '/'.`;
  const segments = path === '/' ? [] : path.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    if (!SEGMENT.test(segment)) {
      return `is '${path}', whose part '${segment}' is neither plain text, ':name' nor '*rest'.`;
    }
    if (segment.startsWith('*') && index < segments.length - 1)
      return `is '${path}'; '${segment}' must come last.`;
  }
  const names = segments.filter((segment) => /^[:*]/.test(segment)).map((segment) => segment.slice(1));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? undefined : `is '${path}', which has '${twice}' twice.`;
}

function cidrProblem(text: string): string | undefined {
  const [address = '', bits] = text.split('/');
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  const fits = bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= most);
  return family > 0 && fits
    ? undefined
    : `holds '${text}', which is not an address or a range such as '10.0.0.0/8'.`;
}

const headerProblem = (text: string): string | undefined =>
  HEADER.test(text) ? undefined : `holds '${text}', which cannot be the name of a header.`;

export const secretNameProblem = (text: string): string | undefined =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(text)
    ? undefined
    : `holds '${text}', which cannot be the name of a secret; use letters, digits and '_'.`;

function originProblem(text: string): string | undefined {
  const origin = URL.canParse(text) ? new URL(text).origin : undefined;
  return text === '*' || origin === text
    ? undefined
    : `holds '${text}', which is not an origin such as 'https://shop.example'.`;
}

function readCors(options: OptionReader): HttpTrigger['cors'] {
  const given = options.raw('cors');
  if (given === undefined) return undefined;
  const standard = { origins: ['*'], headers: ['content-type', 'authorization'], maxAgeMs: 10 * MINUTE_MS };
  if (given === true) return { ...standard, credentials: false };
  const cors = options.group('cors', CORS_OPTIONS);
  const origins = cors.raw('origins') === '*' ? ['*'] : cors.texts('origins', originProblem);
  const credentials = cors.boolean('credentials');
  if (origins.length === 0) cors.problem('origins', "must be '*' or a list of origins.");
  if (credentials && origins.includes('*')) {
    cors.problem('credentials', "cannot go with any origin; name the origins instead of '*'.");
  }
  return {
    origins,
    headers: cors.has('headers')
      ? cors.texts('headers', headerProblem).map((name) => name.toLowerCase())
      : standard.headers,
    maxAgeMs: cors.durationMs('maxAge', { min: 0, max: DAY_MS, preset: standard.maxAgeMs }),
    credentials,
  };
}

function readRateLimit(options: OptionReader): HttpTrigger['rateLimit'] {
  if (!options.has('rateLimit')) return undefined;
  const limit = options.group('rateLimit', ['requests', 'per', 'by']);
  for (const name of ['requests', 'per']) if (!limit.has(name)) limit.problem(name, 'is missing.');
  return {
    requests: limit.integer('requests', { min: 1, max: 1_000_000_000, preset: 1 }),
    perMs: limit.durationMs('per', { min: 1000, max: 31 * DAY_MS, preset: 1000 }),
    by: limit.oneOf('by', ['ip', 'key', 'route'], 'ip'),
  };
}

function readCache(options: OptionReader, method: string): HttpTrigger['cache'] {
  if (!options.has('cache')) return undefined;
  if (method !== 'GET') options.problem('cache', `works for GET only, not for ${method}.`);
  const cache = options.group('cache', ['ttl', 'vary']);
  if (!cache.has('ttl')) cache.problem('ttl', 'is missing.');
  return {
    ttlMs: cache.durationMs('ttl', { min: 1, max: 365 * DAY_MS, preset: 1 }),
    vary: cache.texts('vary', headerProblem).map((name) => name.toLowerCase()),
  };
}

const present = <Value extends object>(value: Value): Value =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Value;

/** `options` reads the trigger's own options. */
export function readHttpTrigger(
  method: HttpTrigger['method'],
  path: string,
  options: OptionReader,
): HttpTrigger {
  const streamBody = options.boolean('stream');
  const body = options.schema('body');
  if (body !== undefined && method === 'GET') options.problem('body', 'cannot be: a GET has none.');
  if (body !== undefined && streamBody)
    options.problem('body', 'cannot be checked while it is streamed; leave out one.');
  const mostBytes = streamBody ? 1024 * GB : LIMITS.bodyBytes;
  if (options.has('rateLimit') && options.raw('keys') === undefined) {
    const by = options.group('rateLimit', ['requests', 'per', 'by']).raw('by');
    if (by === 'key') options.problem('rateLimit.by', "is 'key', but the route has no keys.");
  }
  return present({
    kind: 'http',
    method,
    path,
    body,
    query: options.schema('query'),
    streamBody,
    maxBodyBytes: options.sizeBytes('maxBody', {
      min: 1,
      max: mostBytes,
      preset: streamBody ? GB : LIMITS.bodyBytes,
    }),
    cors: readCors(options),
    keys: options.has('keys') ? options.texts('keys', secretNameProblem) : undefined,
    rateLimit: readRateLimit(options),
    allow: options.has('allow') ? options.texts('allow', cidrProblem) : undefined,
    cache: readCache(options, method),
  } as HttpTrigger);
}

export { ROUTE_OPTIONS };

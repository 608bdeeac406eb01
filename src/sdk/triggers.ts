import type { TriggerResource } from './resources.ts';
import type { Duration, Size, StandardSchema, ValueOf } from './schema.ts';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface CorsOptions {
  /** `'*'` or the origins that may call, such as `'https://shop.example'`. */
  readonly origins: '*' | readonly string[];
  /** Request headers that a page may send; default `['content-type', 'authorization']`. */
  readonly headers?: readonly string[];
  /** How long a browser may remember the answer; default `'10m'`. */
  readonly maxAge?: Duration;
  readonly credentials?: boolean;
}

export interface RateLimitOptions {
  readonly requests: number;
  readonly per: Duration;
  /** Who has the allowance: each client address (default), each API key, or the route as a whole. */
  readonly by?: 'ip' | 'key' | 'route';
}

export interface CacheOptions {
  readonly ttl: Duration;
  /** Request headers that tell answers apart. */
  readonly vary?: readonly string[];
}

export interface RouteOptions {
  /** Largest body; default 6 MB, which is the upper bound too unless the body is streamed. */
  readonly maxBody?: Size;
  /** `true`: any origin. */
  readonly cors?: true | CorsOptions;
  /** Names of secrets, any of which opens the route as `Authorization: Bearer …` or `X-Api-Key: …`. */
  readonly keys?: readonly string[];
  readonly rateLimit?: RateLimitOptions;
  /** Addresses or CIDR ranges that may call, such as `'10.0.0.0/8'`. */
  readonly allow?: readonly string[];
}

type ParamName<Segment extends string> = Segment extends `:${infer Name}` | `*${infer Name}` ? Name : never;
type ParamNames<Path extends string> = Path extends `${infer Head}/${infer Tail}`
  ? ParamName<Head> | ParamNames<Tail>
  : ParamName<Path>;
/** `/payments/:id` → `{ id: string }`; `*rest` as the last segment takes all that follows. */
export type ParamsOf<Path extends string> = string extends Path
  ? { readonly [name: string]: string }
  : { readonly [Name in ParamNames<Path>]: string };

type BodyOf<Schema, Streamed> = Streamed extends true ? AsyncIterable<Uint8Array> : ValueOf<Schema>;
type QueryOf<Schema> = Schema extends StandardSchema
  ? ValueOf<Schema>
  : { readonly [name: string]: string | readonly string[] | undefined };

/** What an HTTP trigger gives to its handler's type. */
export interface HttpShape {
  readonly path: string;
  readonly method: HttpMethod;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

export interface HttpRoute<out Shape extends HttpShape = HttpShape> {
  readonly millrace: 1;
  readonly kind: 'http';
  readonly method: Shape['method'];
  readonly path: Shape['path'];
  readonly options: Readonly<Record<string, unknown>>;
  /** For the type checker only; never there at run time. */
  readonly '~shape'?: Shape;
}

export interface Schedule {
  readonly millrace: 1;
  readonly kind: 'every';
  readonly interval: string | number;
}

export interface CronSchedule {
  readonly millrace: 1;
  readonly kind: 'cron';
  readonly expression: string;
  readonly timezone: string;
}

type Route<Method extends HttpMethod, Path extends string, Query, Body> = HttpRoute<{
  method: Method;
  path: Path;
  params: ParamsOf<Path>;
  query: QueryOf<Query>;
  body: Body;
}>;

function route<Made extends TriggerResource & { kind: 'http' }>(
  method: HttpMethod,
  path: string,
  options: object = {},
): Made {
  return { millrace: 1, kind: 'http', method, path, options: { ...options } } as Made;
}

function withBody<Method extends HttpMethod>(method: Method) {
  return <
    const Path extends string,
    Body extends StandardSchema | undefined = undefined,
    Query extends StandardSchema | undefined = undefined,
    const Streamed extends boolean = false,
  >(
    path: Path,
    options?: RouteOptions & {
      readonly body?: Body;
      readonly query?: Query;
      /** The handler reads the body while it arrives; then there is no `body` schema. */
      readonly stream?: Streamed;
    },
  ): Route<Method, Path, Query, BodyOf<Body, Streamed>> => route(method, path, options);
}

/** HTTP triggers, served by the edge port: `http.post('/payments/:id', { body, query })`. */
export const http = {
  get: <const Path extends string, Query extends StandardSchema | undefined = undefined>(
    path: Path,
    options?: RouteOptions & { readonly query?: Query; readonly cache?: CacheOptions },
  ): Route<'GET', Path, Query, undefined> => route('GET', path, options),
  post: withBody('POST'),
  put: withBody('PUT'),
  patch: withBody('PATCH'),
  delete: withBody('DELETE'),
} as const;

/** Runs at a fixed interval from `'1s'` on. A tick missed while the platform was down runs once, and says so. */
export function every(interval: Duration): Schedule {
  return { millrace: 1, kind: 'every', interval };
}

/**
 * Runs by a calendar: five fields (minute hour day month weekday), or six with seconds in front or with a year at the
 * end as AWS writes them. `timezone` is an IANA name; default `'UTC'`.
 */
export function cron(expression: string, options: { readonly timezone?: string } = {}): CronSchedule {
  return { millrace: 1, kind: 'cron', expression, timezone: options.timezone ?? 'UTC' };
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from 'hono';
import type { GuardAction, Json, Principal } from '../../kernel/index.ts';
import type { Exchange, NodeExchange } from './exchange.ts';
import type { Setting } from './setting.ts';

/**
 * The seam of the API port: what others add is a `RouteGroup`. A route says where it is, who may call it and how it is
 * documented in one place, so that `/openapi.json` cannot leave one out.
 */
export interface RouteGroup {
  /** The tag in `/openapi.json`. */
  readonly name: string;
  readonly description: string;
  /** Paths where every microsecond counts: plain node:http, matched in a table before the framework is asked. */
  readonly hot?: readonly HotRoute[];
  /** Everything else: Hono handlers. */
  readonly routes?: readonly Route[];
  /** JSON Schemas that operations refer to as `#/components/schemas/<name>`. */
  readonly schemas?: { readonly [name: string]: Json };
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface RouteBase {
  readonly method: Method;
  /** As in OpenAPI: `/streams/{name}`; a last segment `{rest*}` takes everything below. */
  readonly path: string;
  /** What the guard is asked; 'open' for what anyone who reaches the port may see (health, the description). */
  readonly action: GuardAction | 'open';
  /** The guard's resource from the path's parameters: `stream/payments`. Left out: `platform/*`. */
  readonly resource?: (params: readonly string[]) => string;
  readonly operation: OpenApiOperation;
}

/** Answers through the exchange; what it throws becomes problem+json. */
export type HotRoute = WholeRoute | StreamRoute;

/** Takes a whole body and gives a whole answer: small ones of them pass node:http by. */
export interface WholeRoute extends RouteBase {
  readonly whole: true;
  handle(exchange: Exchange): void | Promise<void>;
}

export interface StreamRoute extends RouteBase {
  readonly whole?: false;
  handle(exchange: NodeExchange): void | Promise<void>;
}

export interface Route extends RouteBase {
  /** What it throws becomes problem+json. Read bodies through `bodyOf` and `jsonOf`, which are bounded. */
  handle(context: ApiContext): Response | Promise<Response>;
}

export interface ApiEnv {
  Bindings: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse };
  Variables: {
    principal: Principal;
    setting: Setting;
  };
}

export type ApiContext = Context<ApiEnv>;

/** The part of an OpenAPI 3.1 operation that a route writes; path parameters, problems and tags are added for it. */
export interface OpenApiOperation {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** Query and header parameters. */
  readonly parameters?: readonly OpenApiParameter[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: OpenApiContent;
  };
  /** Answers by status, without the problems that every route may give. */
  readonly responses: {
    readonly [status: string]: { readonly description: string; readonly content?: OpenApiContent };
  };
}

export interface OpenApiParameter {
  readonly name: string;
  readonly in: 'query' | 'header';
  readonly description: string;
  readonly required?: boolean;
  readonly schema: Json;
}

export type OpenApiContent = { readonly [mediaType: string]: { readonly schema?: Json } };

/** The names in `{…}` of a path, in order, without the `*`. */
export function parameterNames(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\*?\}/g)].map((match) => match[1]!);
}

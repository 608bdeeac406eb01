import { SCOPES, type TokenInfo, type Tokens } from '../../govern/index.ts';
import {
  type Clock,
  type GuardAction,
  type Json,
  MillraceError,
  parseDurationMs,
} from '../../kernel/index.ts';
import { jsonOf } from './context-body.ts';
import type { OpenApiOperation, RouteGroup } from './route.ts';

/** Access tokens over HTTP: make, list, revoke. */
export function tokenRoutes({
  tokens,
  clock,
}: {
  readonly tokens: Tokens;
  readonly clock: Clock;
}): RouteGroup {
  const base = { action: 'administer', resource: () => 'token/*' } as const;
  return {
    name: 'tokens',
    description: 'Access tokens for callers from beyond this machine.',
    schemas: { Token: TOKEN_SCHEMA },
    routes: [
      {
        ...base,
        method: 'GET',
        path: '/tokens',
        operation: OPERATIONS.listTokens,
        handle: async (context) =>
          context.json({ tokens: (await tokens.list()).map((info) => toJson(info, clock.now())) }),
      },
      {
        ...base,
        method: 'POST',
        path: '/tokens',
        operation: OPERATIONS.createToken,
        handle: async (context) => {
          const { token, info } = await tokens.create(readRequest(await jsonOf(context)));
          return context.json({ ...toJson(info, clock.now()), token }, 201);
        },
      },
      {
        ...base,
        method: 'DELETE',
        path: '/tokens/{id}',
        operation: OPERATIONS.revokeToken,
        handle: async (context) => {
          await tokens.revoke(context.req.param('id') ?? '');
          return context.body(null, 204);
        },
      },
    ],
  };
}

function toJson({ id, name, scopes, createdMs, expiresAtMs }: TokenInfo, nowMs: number) {
  return {
    id,
    name,
    scopes,
    created: new Date(createdMs).toISOString(),
    expires: expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString(),
    expired: expiresAtMs !== undefined && expiresAtMs <= nowMs,
  };
}

const TOKENS: Json = { type: 'array', items: { $ref: '#/components/schemas/Token' } };

const SCOPE_LIST: Json = { type: 'array', items: { enum: SCOPES } };

const TOKEN_SCHEMA: Json = {
  type: 'object',
  required: ['id', 'name', 'scopes', 'created', 'expires', 'expired'],
  properties: {
    id: { type: 'string' },
    name: { type: 'string' },
    scopes: SCOPE_LIST,
    created: { type: 'string' },
    expires: { type: ['string', 'null'] },
    expired: { type: 'boolean' },
    token: { type: 'string', description: 'The secret, in the answer that makes it alone.' },
  },
};

const REQUEST_SCHEMA: Json = {
  type: 'object',
  required: ['name', 'scopes'],
  properties: {
    name: { type: 'string' },
    scopes: SCOPE_LIST,
    ttl: {
      type: ['string', 'number'],
      description: "How long it is valid, such as '90d'; for ever if left out.",
    },
  },
};

const OPERATIONS = {
  listTokens: {
    operationId: 'listTokens',
    summary: 'List tokens, without their secrets',
    responses: {
      200: {
        description: 'All tokens.',
        content: { 'application/json': { schema: { type: 'object', properties: { tokens: TOKENS } } } },
      },
    },
  },
  createToken: {
    operationId: 'createToken',
    summary: 'Make a token; its secret is shown this once',
    requestBody: { required: true, content: { 'application/json': { schema: REQUEST_SCHEMA } } },
    responses: {
      201: {
        description: 'The token.',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Token' } } },
      },
    },
  },
  revokeToken: {
    operationId: 'revokeToken',
    summary: 'Revoke a token, at once',
    responses: { 204: { description: 'Revoked.' } },
  },
} satisfies { readonly [name: string]: OpenApiOperation };

function readRequest(body: Json): Parameters<Tokens['create']>[0] {
  const { name, scopes, ttl } = (body ?? {}) as { readonly [field: string]: Json | undefined };
  if (typeof name !== 'string' || !Array.isArray(scopes)) {
    throw new MillraceError(
      'INVALID_INPUT',
      `A token needs a name and scopes, such as {"name":"ci","scopes":["read"]}. Scopes: ${SCOPES.join(', ')}.`,
    );
  }
  const request = { name, scopes: scopes as GuardAction[] };
  return ttl === undefined || ttl === null
    ? request
    : { ...request, ttlMs: parseDurationMs(ttl as string, '/ttl') };
}

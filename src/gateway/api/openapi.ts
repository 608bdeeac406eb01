import type { Json } from '../../kernel/index.ts';
import {
  type HotRoute,
  type OpenApiOperation,
  parameterNames,
  type RouteBase,
  type RouteGroup,
} from './route.ts';

type Writable = { [key: string]: Json };

/** `GET /openapi.json`, made from the routes that the door has, this one included. */
export function openApiRoute(groups: readonly RouteGroup[], version: string): RouteGroup {
  const route: HotRoute = {
    method: 'GET',
    path: '/openapi.json',
    action: 'open',
    operation: {
      operationId: 'getOpenApi',
      summary: 'This description',
      responses: {
        200: {
          description: 'An OpenAPI 3.1 document of every route of this port.',
          content: { 'application/json': { schema: { type: 'object' } } },
        },
      },
    },
    handle: (exchange) =>
      exchange.json(200, (text ??= JSON.stringify(openApiDocument([...groups, group], version)))),
  };
  const group: RouteGroup = { name: 'description', description: 'The port describes itself.', hot: [route] };
  let text: string | undefined;
  return group;
}

/** The OpenAPI 3.1 document of the groups' routes. */
export function openApiDocument(groups: readonly RouteGroup[], version: string): Json {
  const paths: { [path: string]: Writable } = {};
  const schemas: Writable = { Problem: PROBLEM_SCHEMA };
  for (const group of groups) {
    for (const route of [...(group.hot ?? []), ...(group.routes ?? [])]) {
      const path = route.path.replace('*}', '}');
      const item = (paths[path] ??= {});
      item[route.method.toLowerCase()] = operationOf(route, group.name);
    }
    Object.assign(schemas, group.schemas);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Millrace API',
      version,
      description: 'Everything of the platform’s own: streams, functions, apps and how they are.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: groups.map(({ name, description }) => ({ name, description })),
    paths,
    components: {
      schemas,
      responses: { Problem: PROBLEM_RESPONSE },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        password: { type: 'http', scheme: 'basic', description: 'Any user, the token as the password.' },
      },
    },
  };
}

function operationOf(route: RouteBase, tag: string): Json {
  const { operation } = route;
  const parameters = [
    ...parameterNames(route.path).map((name) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...(operation.parameters ?? []),
  ];
  return {
    ...(operation as Omit<OpenApiOperation, 'parameters'> as Writable),
    tags: [tag],
    ...(parameters.length > 0 ? { parameters: parameters as unknown as Json } : {}),
    responses: {
      ...(operation.responses as unknown as Writable),
      default: { $ref: '#/components/responses/Problem' },
    },
    security: route.action === 'open' ? [] : [{}, { token: [] }, { password: [] }],
  };
}

const PROBLEM_RESPONSE: Json = {
  description: 'Problem details (RFC 9457): what happened, with the remedy in `detail`.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

const PROBLEM_SCHEMA: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string', description: 'A URN that names the code.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'Stable; programs may rely on it.' },
    detail: { type: 'string', description: 'What happened and the remedy.' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: { path: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
};

import { once } from 'node:events';
import { type Json, type LifecycleState, MillraceError } from '../../kernel/index.ts';
import type { NodeExchange } from './exchange.ts';
import type { HotRoute, RouteGroup } from './route.ts';

export interface OperationRoutesOptions {
  readonly version: string;
  readonly state: () => LifecycleState;
  /** Prometheus text, in pieces small enough to be written one by one. */
  readonly metrics: () => Iterable<string>;
  /** What `GET /status` adds to the state: addresses, uptime, counts. */
  readonly status: () => { readonly [field: string]: Json };
  /** Reads all stored data and names damages; takes as long as the disk does. */
  readonly verify: () => Promise<Json>;
}

/** Health, readiness, metrics and the state of the platform. */
export function operationRoutes(options: OperationRoutesOptions): RouteGroup {
  return {
    name: 'operations',
    description: 'How the platform is.',
    hot: [healthz(options), readyz(options), metricsRoute(options), status(options), verify(options)],
  };
}

const object = (properties: { readonly [name: string]: Json }): Json => ({ type: 'object', properties });

function healthz({ version }: OperationRoutesOptions): HotRoute {
  return {
    method: 'GET',
    path: '/healthz',
    whole: true,
    action: 'open',
    operation: {
      operationId: 'getHealth',
      summary: 'Liveness: the process answers',
      responses: {
        200: {
          description: 'Alive.',
          content: {
            'application/json': { schema: object({ status: { const: 'ok' }, version: { type: 'string' } }) },
          },
        },
      },
    },
    handle: (exchange) => exchange.json(200, JSON.stringify({ status: 'ok', version }), UNCACHED),
  };
}

const UNCACHED = { 'Cache-Control': 'no-store' };

function readyz({ state }: OperationRoutesOptions): HotRoute {
  return {
    method: 'GET',
    path: '/readyz',
    whole: true,
    action: 'open',
    operation: {
      operationId: 'getReadiness',
      summary: 'Readiness: the platform takes work',
      responses: {
        200: {
          description: 'Ready; otherwise 503 with the state.',
          content: { 'application/json': { schema: object({ status: { const: 'ready' } }) } },
        },
      },
    },
    handle: (exchange) => {
      if (state() === 'running') return exchange.json(200, '{"status":"ready"}', UNCACHED);
      throw new MillraceError('UNAVAILABLE', `The platform is ${state()}. Try again in a moment.`, {
        retryAfterMs: 1000,
      });
    },
  };
}

function metricsRoute({ metrics }: OperationRoutesOptions): HotRoute {
  return {
    method: 'GET',
    path: '/metrics',
    action: 'read',
    resource: () => 'platform/metrics',
    operation: {
      operationId: 'getMetrics',
      summary: 'Metrics in the Prometheus text format',
      responses: {
        200: {
          description: 'Exposition format 0.0.4.',
          content: { 'text/plain': { schema: { type: 'string' } } },
        },
      },
    },
    handle: (exchange) => writeMetrics(exchange, metrics()),
  };
}

async function writeMetrics(exchange: NodeExchange, pieces: Iterable<string>): Promise<void> {
  const { request, response } = exchange;
  response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8', ...UNCACHED });
  if (request.method !== 'HEAD') {
    for (const piece of pieces) {
      if (response.destroyed) return;
      if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
  }
  response.end();
}

function status(options: OperationRoutesOptions): HotRoute {
  return {
    method: 'GET',
    path: '/status',
    action: 'read',
    operation: {
      operationId: 'getStatus',
      summary: 'How the platform is: state, addresses, counts',
      responses: {
        200: {
          description: 'The state.',
          content: {
            'application/json': {
              schema: object({ state: { type: 'string' }, version: { type: 'string' } }),
            },
          },
        },
      },
    },
    handle: (exchange) => {
      const { version, state } = options;
      exchange.json(200, JSON.stringify({ state: state(), version, ...options.status() }), UNCACHED);
    },
  };
}

function verify(options: OperationRoutesOptions): HotRoute {
  let running: Promise<Json> | undefined;
  return {
    method: 'POST',
    path: '/verify',
    action: 'administer',
    operation: {
      operationId: 'verify',
      summary: 'Read all stored data and name every damage, repairing nothing',
      responses: {
        200: {
          description: 'What was read, and the damages.',
          content: {
            'application/json': {
              schema: object({
                records: { type: 'integer' },
                bytes: { type: 'integer' },
                damages: { type: 'array', items: { type: 'object' } },
              }),
            },
          },
        },
      },
    },
    handle: async (exchange) => {
      // Reading everything once serves everyone who asks meanwhile.
      running ??= options.verify().finally(() => (running = undefined));
      exchange.json(200, JSON.stringify(await running));
    },
  };
}

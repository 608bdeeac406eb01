import type { Dispatcher } from '../../functions/index.ts';
import {
  type Deployable,
  defineSection,
  type Ids,
  type Secrets,
  type SectionValues,
} from '../../kernel/index.ts';
import { createDoor, type Door, type DoorOptions } from '../http/door.ts';
import { createAddressSet } from './addresses.ts';
import { createRouteTable, type EdgeRoute } from './routes.ts';
import { createEdgeServe } from './serve.ts';

/** What an operator may set about the edge port besides its address. */
export const edgeSection = defineSection('edge', 'Edge port', {
  trustedProxies: {
    kind: 'list',
    default: [],
    description: 'Addresses or CIDR ranges of proxies whose X-Forwarded-For is believed',
  },
  edgeCache: {
    kind: 'bytes',
    default: '64mb',
    min: 0,
    description: 'Memory for cached responses',
  },
  edgeBodies: {
    kind: 'bytes',
    default: '256mb',
    min: 1024,
    description: 'Memory for request bodies that have not arrived whole',
  },
  edgeBodyTimeout: {
    kind: 'duration',
    default: '60s',
    min: 10,
    description: 'How long a request body may take to arrive, unless its route streams it',
  },
  edgeStall: {
    kind: 'duration',
    default: '30s',
    min: 10,
    description: 'How long a client may take nothing of its response before it is cut off',
  },
  edgeConnections: {
    kind: 'integer',
    default: 10_000,
    min: 1,
    description: 'Connections to the edge port',
  },
});

export type EdgeConfig = SectionValues<typeof edgeSection>;

export interface EdgeOptions extends DoorOptions {
  readonly ids: Ids;
  readonly dispatcher: Dispatcher;
  readonly secrets: Pick<Secrets, 'read'>;
  readonly config: EdgeConfig;
}

export interface Edge extends Door {
  /** Activate it right after the functions, so that routes and code change together. */
  readonly deployable: Deployable;
  routes(): readonly EdgeRoute[];
}

/** A streamed body may take as long as its function may run. */
const LONGEST_REQUEST_MS = 900_000;

/** The edge port: serves what apps declare with `http.get(…)` and its like, and nothing else. */
export function createEdge(options: EdgeOptions): Edge {
  const { clock, config } = options;
  const table = createRouteTable(clock);
  const edge = createEdgeServe({
    ...options,
    table,
    trustedProxies: config.trustedProxies.length > 0 ? createAddressSet(config.trustedProxies) : undefined,
    cacheBytes: config.edgeCache,
    bodyBudgetBytes: config.edgeBodies,
    bodyTimeoutMs: config.edgeBodyTimeout,
    stallMs: config.edgeStall,
  });
  const limits = {
    connections: config.edgeConnections,
    requestTimeoutMs: LONGEST_REQUEST_MS,
    ...options.limits,
  };
  const door = createDoor(
    { ...options, limits },
    {
      name: 'edge',
      serve: (request, response) => edge.serve(request, response),
      serveExpecting: (request, response) => edge.serve(request, response, () => response.writeContinue()),
      serveWhole: (request, answer) => edge.serveWhole(request, answer),
      refuse: () => edge.refuse(),
    },
  );
  return Object.defineProperties(door as Edge, {
    deployable: { value: table },
    routes: { value: () => table.list() },
  });
}

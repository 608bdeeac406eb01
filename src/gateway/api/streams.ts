import { type Clock, MillraceError, type StateStore, type Workers } from '../../kernel/index.ts';
import type { StreamDescription, StreamGroup, Streams } from '../../streams/index.ts';
import { jsonOf } from './context-body.ts';
import { readDefinition } from './definition.ts';
import type { Exchange } from './exchange.ts';
import { createFollow } from './follow.ts';
import { createIdempotency } from './idempotency.ts';
import { publish } from './publish.ts';
import { read } from './read.ts';
import type { ApiContext, HotRoute, Route, RouteGroup } from './route.ts';
import { OPERATIONS, SCHEMAS } from './streams.openapi.ts';

export interface StreamRoutesOptions {
  readonly streams: Streams;
  /** Remembers idempotency keys. */
  readonly state: StateStore;
  readonly clock: Clock;
  /** Check large bodies; without them the main thread does. */
  readonly workers?: Workers;
}

/** Streams over HTTP: create, describe, publish, read, follow. */
export function streamRoutes(options: StreamRoutesOptions): RouteGroup {
  const { streams } = options;
  return {
    name: 'streams',
    description: 'Streams of records: publish, read, follow, and the groups that read them.',
    schemas: SCHEMAS,
    hot: recordRoutes(options),
    routes: [
      {
        method: 'GET',
        path: '/streams',
        action: 'read',
        resource: () => 'stream/*',
        operation: OPERATIONS.listStreams,
        handle: (context) => {
          const internal = context.req.query('internal') === 'true';
          return context.json({ streams: streams.list({ internal }).map(summaryOf) });
        },
      },
      {
        method: 'POST',
        path: '/streams',
        action: 'administer',
        resource: () => 'stream/*',
        operation: OPERATIONS.createStream,
        handle: async (context) => create(streams, context),
      },
      ...namedRoutes(streams),
    ],
  };
}

const ofStream = ([name]: readonly string[]): string => `stream/${name}`;

function recordRoutes({ streams, state, clock, workers }: StreamRoutesOptions): HotRoute[] {
  const idempotency = createIdempotency({ streams, state, clock });
  const follow = createFollow(streams, clock, workers);
  const path = '/streams/{name}/records';
  return [
    {
      method: 'POST',
      path,
      whole: true,
      action: 'write',
      resource: ofStream,
      operation: OPERATIONS.publish,
      handle: (exchange) => publish({ streams, idempotency, workers }, exchange),
    },
    {
      method: 'GET',
      path,
      action: 'read',
      resource: ofStream,
      operation: OPERATIONS.readRecords,
      handle: (exchange) => (wantsEvents(exchange) ? follow(exchange) : read({ streams, workers }, exchange)),
    },
  ];
}

function wantsEvents(exchange: Exchange): boolean {
  const follows = exchange.header('accept')?.includes('text/event-stream') ?? false;
  return follows && exchange.request.method === 'GET';
}

function namedRoutes(streams: Streams): Route[] {
  const path = '/streams/{name}';
  const nameOf = (context: ApiContext): string => context.req.param('name') ?? '';
  return [
    {
      method: 'GET',
      path,
      action: 'read',
      resource: ofStream,
      operation: OPERATIONS.describeStream,
      handle: (context) => context.json(describe(streams, streams.describe(nameOf(context)))),
    },
    {
      method: 'PUT',
      path,
      action: 'administer',
      resource: ofStream,
      operation: OPERATIONS.defineStream,
      handle: async (context) => {
        const definition = readDefinition(await jsonOf(context), nameOf(context));
        return context.json(describe(streams, await streams.define(definition)));
      },
    },
    {
      method: 'DELETE',
      path,
      action: 'administer',
      resource: ofStream,
      operation: OPERATIONS.deleteStream,
      handle: async (context) => {
        await streams.delete(nameOf(context));
        return context.body(null, 204);
      },
    },
  ];
}

async function create(streams: Streams, context: ApiContext): Promise<Response> {
  const definition = readDefinition(await jsonOf(context));
  const existing = streams.find(definition.name);
  if (existing) throw alreadyThere(definition.name);
  const description = await streams.define(definition);
  return context.json(describe(streams, description), 201, {
    Location: `/streams/${encodeURIComponent(description.name)}`,
  });
}

function alreadyThere(name: string): MillraceError {
  return new MillraceError(
    'STREAM_EXISTS',
    `A stream named ${name} exists. Change it with PUT /streams/${name}.`,
  );
}

function summaryOf(stream: StreamDescription): object {
  const records = stream.bounds.reduce((sum, bound) => sum + bound.highWatermark - bound.logStartOffset, 0);
  const { name, partitions, owner, internal, detached } = stream;
  return { name, partitions, records, owner: owner ?? null, internal, detached };
}

function describe(streams: Streams, stream: StreamDescription): object {
  const { bounds, keyPath, schema, owner, createdMs, ...rest } = stream;
  return {
    ...rest,
    key: keyPath ?? null,
    schema: schema ?? null,
    owner: owner ?? null,
    created: new Date(createdMs).toISOString(),
    offsets: bounds.map((bound, partition) => ({
      partition,
      start: bound.logStartOffset,
      stable: bound.lastStableOffset,
      end: bound.highWatermark,
    })),
    groups: streams.groupsOf(stream.name).map((group) => groupOf(stream.name, group)),
  };
}

function groupOf(stream: string, group: StreamGroup): object {
  const committed = new Map(
    group.offsets.filter((each) => each.topic === stream).map((each) => [each.partition, each.offset]),
  );
  return {
    group: group.group,
    kind: group.kind ?? null,
    state: group.state,
    epoch: group.epoch,
    members: group.members.map(({ memberId, partitions }) => ({
      member: memberId,
      partitions: partitions.filter((place) => place.topic === stream).map((place) => place.partition),
    })),
    lag: group.lag.reduce((sum, lag) => sum + lag, 0),
    partitions: group.lag.map((lag, partition) => ({
      partition,
      offset: committed.get(partition) ?? null,
      lag,
    })),
  };
}

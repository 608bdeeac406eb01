import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, LIMITS, MillraceError, type Workers } from '../../kernel/index.ts';
import type { Assignment, ReadRecord, Streams } from '../../streams/index.ts';
import { type EventStream, openEventStream } from './event-stream.ts';
import type { NodeExchange } from './exchange.ts';
import { isolationOf, requirePartition, wholeNumber } from './read.ts';
import { recordText } from './record-json.ts';

const MOST_FOLLOWERS = 1000;
/** Undelivered records that one follower may hold. */
const HELD_BYTES = 512 * 1024;
/** With more partitions an id grows long; it then comes once per flush instead of with every record. */
const PARTITIONS_PER_ID = 16;
/** Records written in one turn of the event loop. */
const SLICE_RECORDS = 200;
/** Records delivered to a group between two commits of its offsets. */
const COMMIT_RECORDS = 500;

export type Follow = (exchange: NodeExchange) => Promise<void>;

/**
 * `GET /streams/{name}/records` with `Accept: text/event-stream`: every record as an event. Its id is the position of
 * every partition after it (`0:12,1:7`), so that `Last-Event-ID` resumes where the reader was. With `group=` the
 * reader is a member of that consumer group, which remembers the positions instead.
 */
export function createFollow(streams: Streams, clock: Clock, workers?: Workers): Follow {
  let followers = 0;
  return async (exchange) => {
    const query = exchange.query();
    const group = query.get('group');
    if (followers >= MOST_FOLLOWERS) throw tooMany();
    const request = { ...(await prepare(streams, exchange, query)), workers };
    followers++;
    try {
      if (group === null) await followAlone(streams, clock, exchange, request);
      else await followInGroup(streams, clock, exchange, request, group);
    } finally {
      followers--;
    }
  };
}

interface FollowRequest {
  readonly stream: string;
  /** Next offset by partition. */
  readonly positions: Map<number, number>;
  readonly isolation: 'committed' | 'uncommitted';
  readonly from: 'start' | 'end';
  /** For large records. */
  readonly workers: Workers | undefined;
}

async function prepare(
  streams: Streams,
  exchange: NodeExchange,
  query: URLSearchParams,
): Promise<Omit<FollowRequest, 'workers'>> {
  const stream = exchange.params[0]!;
  const { partitions } = streams.describe(stream);
  const chosen = query.has('partition') ? wholeNumber(query, 'partition', 0, 1_000_000) : undefined;
  if (chosen !== undefined) requirePartition(streams, stream, chosen);
  const resumed = parsePositions(exchange.header('last-event-id') ?? query.get('lastEventId') ?? '');
  const from = query.get('from') ?? 'end';
  const positions = new Map<number, number>();
  for (const partition of chosen === undefined ? Array(partitions).keys() : [chosen]) {
    const place = { topic: stream, partition };
    positions.set(partition, resumed.get(partition) ?? (await streams.resolvePosition(place, from)));
  }
  return { stream, positions, isolation: isolationOf(query), from: from === 'start' ? 'start' : 'end' };
}

/** `0:12,1:7` → partition 0 goes on at 12, partition 1 at 7. Throws BAD_REQUEST. */
export function parsePositions(id: string): Map<number, number> {
  const positions = new Map<number, number>();
  if (id === '') return positions;
  for (const part of id.split(',')) {
    const match = /^(\d{1,9}):(\d{1,15})$/.exec(part);
    if (!match) {
      throw new MillraceError(
        'BAD_REQUEST',
        'Last-Event-ID is not an id that this stream gave. Send one as it came, or leave it out.',
      );
    }
    positions.set(Number(match[1]), Number(match[2]));
  }
  return positions;
}

export function formatPositions(positions: ReadonlyMap<number, number>): string {
  return Array.from(positions, ([partition, offset]) => `${partition}:${offset}`).join(',');
}

async function followAlone(
  streams: Streams,
  clock: Clock,
  exchange: NodeExchange,
  request: FollowRequest,
): Promise<void> {
  const { positions } = request;
  const everyRecord = positions.size <= PARTITIONS_PER_ID;
  const idLine = (): string => `id: ${formatPositions(positions)}\n`;
  const events = openEventStream(exchange.response, clock, () => (everyRecord ? '' : `${idLine()}\n`));
  // The start counts as a position too: a reader that saw nothing yet resumes from there.
  await events.send(`${idLine()}\n`);
  const records = streams.follow(request.stream, {
    positions: new Map(positions),
    partitions: [...positions.keys()],
    isolation: request.isolation,
    maxBytes: HELD_BYTES,
    signal: AbortSignal.any([events.gone, exchange.setting.closing]),
  });
  await deliver(events, records, request.workers, (record) => {
    positions.set(record.partition, record.offset + 1);
    return everyRecord ? idLine() : '';
  });
  events.end();
}

async function deliver(
  events: EventStream,
  records: AsyncIterable<ReadRecord>,
  workers: Workers | undefined,
  idOf: (record: ReadRecord) => string,
): Promise<void> {
  let sinceTurn = 0;
  try {
    for await (const record of records) {
      const text = recordText(record, workers);
      // The id tells that the record was sent: not before it is at hand.
      const data = typeof text === 'string' ? text : await text;
      const waiting = events.send(`${idOf(record)}data: ${data}\n\n`);
      if (waiting) await waiting;
      if (++sinceTurn < SLICE_RECORDS) continue;
      // What was fetched at once comes without a turn of the event loop in between.
      sinceTurn = 0;
      await nextTurn();
    }
  } catch (error) {
    if (events.gone.aborted) return;
    const { code, message } = error instanceof MillraceError ? error : INTERNAL;
    await events.send(`event: error\ndata: ${JSON.stringify({ code, detail: message })}\n\n`);
    if (!(error instanceof MillraceError)) throw error;
  }
}

const INTERNAL = { code: 'INTERNAL', message: 'Something went wrong inside the platform.' };

async function followInGroup(
  streams: Streams,
  clock: Clock,
  exchange: NodeExchange,
  request: FollowRequest,
  group: string,
): Promise<void> {
  if (group === '' || group.length > LIMITS.nameLength) {
    throw new MillraceError('BAD_REQUEST', `A group's name has 1 to ${LIMITS.nameLength} characters.`);
  }
  const membership = await streams.log.join(group, [request.stream], { from: request.from });
  const events = openEventStream(exchange.response, clock, () => '');
  const over = AbortSignal.any([events.gone, exchange.setting.closing]);
  const leave = (): void => void membership.leave();
  over.addEventListener('abort', leave, { once: true });
  if (over.aborted) leave();
  try {
    for await (const assignment of membership.assignments()) {
      await deliverAssignment(streams, events, request, assignment, over);
    }
  } finally {
    await membership.leave();
    events.end();
  }
}

/** Delivers what the member was assigned; offsets are committed once the socket has taken the records. */
async function deliverAssignment(
  streams: Streams,
  events: EventStream,
  request: FollowRequest,
  assignment: Assignment,
  over: AbortSignal,
): Promise<void> {
  const positions = new Map<number, number>();
  for (const place of assignment.partitions) {
    positions.set(place.partition, (await assignment.position(place)).offset);
  }
  if (positions.size === 0) return;
  const delivered = new Map<number, number>();
  let uncommitted = 0;
  const commit = async (): Promise<void> => {
    if (delivered.size === 0) return;
    await events.flushed();
    if (events.gone.aborted) return;
    const offsets = Array.from(delivered, ([partition, offset]) => ({
      topic: request.stream,
      partition,
      offset,
      done: [],
    }));
    delivered.clear();
    uncommitted = 0;
    await assignment.commit({ appends: [], offsets, state: [] });
  };
  const records = streams.follow(request.stream, {
    positions,
    partitions: [...positions.keys()],
    isolation: request.isolation,
    maxBytes: HELD_BYTES,
    signal: AbortSignal.any([over, assignment.revoked]),
  });
  await deliver(
    events,
    committing(records, () => (uncommitted >= COMMIT_RECORDS ? commit() : undefined)),
    request.workers,
    (record) => {
      delivered.set(record.partition, record.offset + 1);
      uncommitted++;
      return '';
    },
  );
  await commit();
}

/** Gives the records on, with a pause for a commit before each where one is due. */
async function* committing(
  records: AsyncIterable<ReadRecord>,
  due: () => Promise<void> | undefined,
): AsyncIterable<ReadRecord> {
  for await (const record of records) {
    await due();
    yield record;
  }
}

function tooMany(): MillraceError {
  return new MillraceError(
    'TOO_MANY_REQUESTS',
    `${MOST_FOLLOWERS} readers follow streams already, which is the limit. Try again when one has left.`,
    { retryAfterMs: 5000 },
  );
}

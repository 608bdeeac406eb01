import { once } from 'node:events';
import { type Clock, MillraceError, parseDurationMs } from '../../kernel/index.ts';
import {
  type ArchivedLine,
  LOG_LEVELS,
  type LogFilter,
  type LogLevel,
  type Logs,
  type Samples,
  type SeriesKind,
} from '../../observe/index.ts';
import { openEventStream } from './event-stream.ts';
import type { NodeExchange } from './exchange.ts';
import { OBSERVE_OPERATIONS, OBSERVE_SCHEMAS } from './observe.openapi.ts';
import { type OverviewSources, overviewOf } from './overview.ts';
import { wholeNumber } from './read.ts';
import type { RouteGroup } from './route.ts';

export interface ObserveRoutesOptions extends OverviewSources {
  readonly samples: Samples;
  readonly logs: Logs;
  readonly clock: Clock;
}

const MOST_LINES = 10_000;
const MOST_FOLLOWERS = 200;
const UNCACHED = { 'Cache-Control': 'no-store' };

/** Logs, samples and what happens now. */
export function observeRoutes(options: ObserveRoutesOptions): RouteGroup {
  const { samples, clock } = options;
  return {
    name: 'observe',
    description: 'What happens on the platform: logs, counters, latencies.',
    schemas: OBSERVE_SCHEMAS,
    hot: [
      {
        method: 'GET',
        path: '/logs',
        action: 'read',
        resource: () => 'platform/logs',
        operation: OBSERVE_OPERATIONS.getLogs,
        handle: createLogHandler(options),
      },
      {
        method: 'GET',
        path: '/samples',
        action: 'read',
        resource: () => 'platform/samples',
        operation: OBSERVE_OPERATIONS.getSamples,
        handle: async (exchange) => {
          const series = await samples.query(seriesQuery(exchange.query(), clock.now()));
          exchange.json(200, JSON.stringify({ series: series.map(toJson) }), UNCACHED);
        },
      },
      {
        method: 'GET',
        path: '/overview',
        action: 'read',
        resource: () => 'platform/overview',
        operation: OBSERVE_OPERATIONS.getOverview,
        handle: (exchange) => {
          const internal = exchange.query().get('internal') === 'true';
          exchange.json(200, JSON.stringify(overviewOf(options, internal)), UNCACHED);
        },
      },
    ],
  };
}

type Line = (line: ArchivedLine) => string;

const lineToJson: Line = ({ timeMs, ...line }) =>
  JSON.stringify({ time: new Date(timeMs).toISOString(), ...line });

function createLogHandler({ logs, clock }: ObserveRoutesOptions): (exchange: NodeExchange) => Promise<void> {
  let followers = 0;
  return async (exchange) => {
    const query = exchange.query();
    const events = exchange.header('accept')?.includes('text/event-stream') ?? false;
    const follows = events || isTrue(query.get('follow'));
    const filter = filterOf(query);
    const range = rangeOf(query, clock.now());
    if (!follows) {
      const found = range.limit === 0 ? [] : await logs.search({ ...filter, ...range });
      await writeLines(exchange, found);
      exchange.response.end();
      return;
    }
    if (followers >= MOST_FOLLOWERS) throw tooMany();
    followers++;
    try {
      // What is there already comes first only where it was asked for.
      const earlier = range.sinceMs !== undefined || query.has('limit') ? range : undefined;
      const lines = (over: AbortSignal) =>
        logs.follow(filter, AbortSignal.any([over, exchange.setting.closing]), earlier);
      await (events ? sendEvents(exchange, clock, lines) : sendLines(exchange, lines));
    } finally {
      followers--;
    }
  };
}

type Following = (over: AbortSignal) => AsyncIterable<ArchivedLine>;

async function sendEvents({ response }: NodeExchange, clock: Clock, follow: Following): Promise<void> {
  const events = openEventStream(response, clock, () => '');
  for await (const line of follow(events.gone)) await events.send(`data: ${lineToJson(line)}\n\n`);
  events.end();
}

async function sendLines(exchange: NodeExchange, follow: Following): Promise<void> {
  const { response } = exchange;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  await writeLines(exchange, []);
  response.flushHeaders();
  for await (const line of follow(gone.signal)) await write(exchange, `${lineToJson(line)}\n`);
  response.end();
}

/** Opens the answer and writes what there is, some lines at a time. */
async function writeLines(exchange: NodeExchange, lines: readonly ArchivedLine[]): Promise<void> {
  exchange.response.writeHead(200, { 'Content-Type': 'application/x-ndjson; charset=utf-8', ...UNCACHED });
  for (let at = 0; at < lines.length; at += 100) {
    const text = lines.slice(at, at + 100).map((line) => `${lineToJson(line)}\n`);
    await write(exchange, text.join(''));
  }
}

async function write({ response }: NodeExchange, text: string): Promise<void> {
  if (response.destroyed || response.write(text)) return;
  await Promise.race([once(response, 'drain'), once(response, 'close')]);
}

function rangeOf(
  query: URLSearchParams,
  nowMs: number,
): { sinceMs?: number; untilMs?: number; limit: number } {
  const since = query.get('since');
  const until = query.get('until');
  return {
    ...(since === null ? {} : { sinceMs: timeOf(since, 'since', nowMs) }),
    ...(until === null ? {} : { untilMs: timeOf(until, 'until', nowMs) }),
    limit: wholeNumber(query, 'limit', since === null ? 200 : MOST_LINES, MOST_LINES),
  };
}

const isTrue = (text: string | null): boolean => text !== null && text !== 'false' && text !== '0';

function filterOf(query: URLSearchParams): LogFilter {
  const level = query.get('level');
  if (level !== null && !LOG_LEVELS.includes(level as LogLevel)) {
    throw new MillraceError(
      'BAD_REQUEST',
      `There is no level '${level.slice(0, 40)}'. Levels: ${LOG_LEVELS.join(', ')}.`,
    );
  }
  const name = query.get('name');
  const text = query.get('text');
  const invocationId = query.get('invocation');
  return {
    ...(name === null ? {} : { name }),
    ...(level === null ? {} : { level: level as LogLevel }),
    ...(text === null ? {} : { text }),
    ...(invocationId === null ? {} : { invocationId }),
  };
}

/** `10m` ago, an ISO time, or milliseconds since the epoch. Throws BAD_REQUEST. */
function timeOf(text: string, name: string, nowMs: number): number {
  if (/^\d{11,15}$/.test(text)) return Number(text);
  if (/^\d{4}-/.test(text)) {
    const timeMs = Date.parse(text);
    if (!Number.isNaN(timeMs)) return timeMs;
  } else if (/^\d+(?:\.\d+)?[a-z]+$/.test(text)) return nowMs - parseDurationMs(text, name);
  throw new MillraceError(
    'BAD_REQUEST',
    `'${text.slice(0, 40)}' is not a time for ${name}. Write 10m for ten minutes ago, or 2026-01-31T12:00:00Z.`,
  );
}

const KINDS: readonly SeriesKind[] = ['stream', 'function', 'route'];

function seriesQuery(query: URLSearchParams, nowMs: number): Parameters<Samples['query']>[0] {
  const kind = query.get('kind');
  if (kind !== null && !KINDS.includes(kind as SeriesKind)) {
    throw new MillraceError(
      'BAD_REQUEST',
      `There is no kind '${kind.slice(0, 40)}'. Kinds: ${KINDS.join(', ')}.`,
    );
  }
  const name = query.get('name');
  const toMs = query.has('to') ? timeOf(query.get('to')!, 'to', nowMs) : nowMs + 1;
  const fromMs = timeOf(query.get('from') ?? '10m', 'from', nowMs);
  if (fromMs >= toMs) throw new MillraceError('BAD_REQUEST', 'from is not before to. Give an earlier from.');
  return {
    fromMs,
    toMs,
    ...(kind === null ? {} : { kind: kind as SeriesKind }),
    ...(name === null ? {} : { name }),
    ...(query.has('step') ? { stepMs: parseDurationMs(query.get('step')!, 'step') } : {}),
  };
}

function toJson({ kind, name, points }: Awaited<ReturnType<Samples['query']>>[number]): object {
  return {
    kind,
    name,
    points: points.map(({ startMs, stepMs, counts, ...latency }) => ({
      time: new Date(startMs).toISOString(),
      seconds: stepMs / 1000,
      counts,
      ...latency,
    })),
  };
}

function tooMany(): MillraceError {
  return new MillraceError(
    'TOO_MANY_REQUESTS',
    `${MOST_FOLLOWERS} readers follow the logs already. Try again later.`,
    {
      retryAfterMs: 5000,
    },
  );
}

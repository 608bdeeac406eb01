import type { FunctionDescription } from '../../functions/index.ts';
import type { Clock, Json } from '../../kernel/index.ts';
import type { LiveSeries, Samples } from '../../observe/index.ts';
import type { StreamDescription, Streams } from '../../streams/index.ts';

export interface OverviewSources {
  readonly samples: Samples;
  readonly streams: Streams;
  readonly clock: Clock;
  /** As `GET /status` has it. */
  readonly status: () => { readonly [field: string]: Json };
  /** Every function that is deployed; those that signals tell of are shown without it too. */
  readonly functions?: () => readonly FunctionDescription[];
}

/** Of each kind, the busiest: a page or a terminal shows no more, and the answer stays small. */
const MOST_SHOWN = 200;
const NOTHING: LiveSeries = { rates: {}, p50Ms: null, p99Ms: null, history: [] };

/** What happens now, for `top` and the status page: the rates of the last 10 to 20 s and ten minutes of history. */
export function overviewOf(sources: OverviewSources, internal: boolean): object {
  const streams = sources.streams.list({ internal });
  const streamsLive = sources.samples.live('stream');
  const shownStreams = busiest(streams, (each) => rate(streamsLive.get(each.name), 'records'));
  const functions = functionsOf(sources);
  const routes = [...sources.samples.live('route')].map(([name, live]) => routeOf(name, live));
  return {
    time: new Date(sources.clock.now()).toISOString(),
    ...sources.status(),
    counts: { streams: streams.length, functions: functions.length },
    streams: shownStreams.map((stream) => streamOf(sources.streams, stream, streamsLive.get(stream.name))),
    functions: busiest(functions, (each) => each.perSecond),
    routes: busiest(routes, (each) => each.perSecond).slice(0, 50),
  };
}

function busiest<Item>(items: readonly Item[], rateOf: (item: Item) => number): readonly Item[] {
  if (items.length <= MOST_SHOWN) return items;
  return items.toSorted((a, b) => rateOf(b) - rateOf(a)).slice(0, MOST_SHOWN);
}

const rate = (live: LiveSeries | undefined, measure: string): number => round(live?.rates[measure] ?? 0);

/** Three significant digits are what rates of a few seconds are worth. */
const round = (value: number): number => Number(value.toPrecision(3));

function streamOf(streams: Streams, stream: StreamDescription, live: LiveSeries = NOTHING): object {
  const groups = streams.groupsOf(stream.name).map(({ group, state, members, lag }) => ({
    group,
    state,
    members: members.length,
    lag: lag.reduce((sum, each) => sum + each, 0),
  }));
  return {
    name: stream.name,
    owner: stream.owner ?? null,
    internal: stream.internal,
    partitions: stream.partitions,
    records: stream.bounds.reduce((sum, bound) => sum + bound.highWatermark - bound.logStartOffset, 0),
    end: stream.bounds.reduce((sum, bound) => sum + bound.highWatermark, 0),
    perSecond: rate(live, 'records'),
    bytesPerSecond: rate(live, 'bytes'),
    readPerSecond: rate(live, 'readRecords'),
    lag: groups.reduce((sum, group) => sum + group.lag, 0),
    groups,
    history: live.history.map(round),
  };
}

function functionsOf({ samples, functions }: OverviewSources) {
  const live = samples.live('function');
  const known = new Map((functions?.() ?? []).map((each) => [each.name, each]));
  const names = [...new Set([...known.keys(), ...live.keys()])].sort();
  return names.map((name) => functionOf(name, known.get(name), live.get(name)));
}

function functionOf(name: string, known: FunctionDescription | undefined, live: LiveSeries = NOTHING) {
  return {
    name,
    app: known?.app ?? null,
    version: known?.version ?? null,
    instances: known?.instances ?? null,
    inFlight: known?.inFlight ?? null,
    queued: known?.queued ?? null,
    perSecond: rate(live, 'invocations'),
    recordsPerSecond: rate(live, 'records'),
    errorsPerSecond: rate(live, 'errors'),
    deadLettersPerSecond: rate(live, 'deadLetters'),
    throttledPerSecond: rate(live, 'throttled'),
    ...latencyOf(live),
    history: live.history.map(round),
  };
}

function routeOf(name: string, live: LiveSeries) {
  return {
    name,
    perSecond: rate(live, 'requests'),
    errorsPerSecond: rate(live, 'errors'),
    ...latencyOf(live),
  };
}

function latencyOf({ p50Ms, p99Ms }: LiveSeries) {
  return { p50Ms: p50Ms === null ? null : round(p50Ms), p99Ms: p99Ms === null ? null : round(p99Ms) };
}

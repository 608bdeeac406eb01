import type { FunctionDescription } from '../../functions/index.ts';
import type { Clock, Json } from '../../kernel/index.ts';
import type { Live, Samples } from '../../observe/index.ts';
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

/** What happens now, for `top` and the status page: the rates of the last 10 to 20 s and ten minutes of history. */
export function overviewOf(sources: OverviewSources, internal: boolean): object {
  const { samples } = sources;
  const streams = sources.streams.list({ internal });
  const live = {
    stream: samples.live('stream'),
    function: samples.live('function'),
    route: samples.live('route'),
  };
  const deployed = new Map((sources.functions?.() ?? []).map((each) => [each.name, each]));
  const functions = [...new Set([...deployed.keys(), ...live.function.names()])].sort();
  const nameOf = (name: string): string => name;
  return {
    time: new Date(sources.clock.now()).toISOString(),
    ...sources.status(),
    counts: { streams: streams.length, functions: functions.length },
    streams: busiest(streams, (each) => each.name, live.stream, 'records').map((each) =>
      streamOf(sources.streams, each, live.stream),
    ),
    functions: busiest(functions, nameOf, live.function, 'invocations').map((name) =>
      functionOf(name, deployed.get(name), live.function),
    ),
    routes: busiest([...live.route.names()], nameOf, live.route, 'requests').map((name) => ({
      name,
      perSecond: rate(live.route, name, 'requests'),
      errorsPerSecond: rate(live.route, name, 'errors'),
      ...latencyOf(live.route, name),
    })),
  };
}

function busiest<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
  live: Live,
  measure: string,
): readonly Item[] {
  if (items.length <= MOST_SHOWN) return items;
  const rated = items.map((item) => ({ item, rate: live.rate(nameOf(item), measure) }));
  rated.sort((a, b) => b.rate - a.rate);
  return rated.slice(0, MOST_SHOWN).map(({ item }) => item);
}

const rate = (live: Live, name: string, measure: string): number => round(live.rate(name, measure));

/** Three significant digits are what rates of a few seconds are worth. */
const round = (value: number): number => Number(value.toPrecision(3));

function streamOf(streams: Streams, { name, ...stream }: StreamDescription, live: Live): object {
  const groups = streams.groupsOf(name).map(({ group, state, members, lag }) => ({
    group,
    state,
    members: members.length,
    lag: lag.reduce((sum, each) => sum + each, 0),
  }));
  return {
    name,
    owner: stream.owner ?? null,
    internal: stream.internal,
    partitions: stream.partitions,
    records: stream.bounds.reduce((sum, bound) => sum + bound.highWatermark - bound.logStartOffset, 0),
    end: stream.bounds.reduce((sum, bound) => sum + bound.highWatermark, 0),
    perSecond: rate(live, name, 'records'),
    bytesPerSecond: rate(live, name, 'bytes'),
    readPerSecond: rate(live, name, 'readRecords'),
    lag: groups.reduce((sum, group) => sum + group.lag, 0),
    groups,
    history: live.history(name).map(round),
  };
}

function functionOf(name: string, known: FunctionDescription | undefined, live: Live): object {
  return {
    name,
    app: known?.app ?? null,
    version: known?.version ?? null,
    instances: known?.instances ?? null,
    inFlight: known?.inFlight ?? null,
    queued: known?.queued ?? null,
    perSecond: rate(live, name, 'invocations'),
    recordsPerSecond: rate(live, name, 'records'),
    errorsPerSecond: rate(live, name, 'errors'),
    deadLettersPerSecond: rate(live, name, 'deadLetters'),
    throttledPerSecond: rate(live, name, 'throttled'),
    ...latencyOf(live, name),
    history: live.history(name).map(round),
  };
}

function latencyOf(live: Live, name: string) {
  const { p50Ms, p99Ms } = live.latency(name);
  return { p50Ms: p50Ms === null ? null : round(p50Ms), p99Ms: p99Ms === null ? null : round(p99Ms) };
}

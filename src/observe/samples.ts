import { type Clock, onSignal, type Service, signal, type Timer } from '../kernel/index.ts';
import { Accumulator, count, observe } from './accumulator.ts';
import { type Histogram, percentile } from './histogram.ts';
import {
  RESOLUTIONS,
  type Resolution,
  type SampleBucket,
  type SampleStore,
  type SeriesKind,
} from './port.ts';
import { collect, type Series, type SeriesQuery } from './series.ts';

/** Counters and latencies of every stream, function and route, fed by signals alone and kept by the store. */
export interface Samples extends Service {
  /** The points of every series that was asked for, by kind and name. Throws BAD_REQUEST for too many points. */
  query(query: SeriesQuery): Promise<readonly Series[]>;
  /** What happens now: rates over the last 10 to 20 s, and the last ten minutes in buckets of 10 s. */
  live(kind: SeriesKind): ReadonlyMap<string, LiveSeries>;
}

export interface LiveSeries {
  /** Per second, by measure. */
  readonly rates: { readonly [measure: string]: number };
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Main measure of each bucket of 10 s per second, oldest first, the last ten minutes. */
  readonly history: readonly number[];
}

const FINEST: Resolution = RESOLUTIONS[0];
const RECENT_BUCKETS = 60;
/** Rows that are held for `live`; with thousands of busy series the history is shorter instead of the heap larger. */
const RECENT_ROWS = 50_000;
const MAIN_MEASURE = { stream: 'records', function: 'invocations', route: 'requests' } as const;

/** A bucket of a resolution that is not yet in the store. */
interface Pending {
  startMs: number;
  rows: Accumulator;
}

export function createSamples({
  store,
  clock,
}: {
  readonly store: SampleStore;
  readonly clock: Clock;
}): Samples {
  return new SignalSamples(store, clock);
}

class SignalSamples implements Samples {
  readonly name = 'samples';
  readonly #store: SampleStore;
  readonly #clock: Clock;
  #current = new Accumulator();
  #currentSinceMs: number;
  #recent: SampleBucket[] = [];
  /** For each resolution but the finest: what came since its last bucket was stored. */
  readonly #pending = new Map<Resolution, Pending>();
  readonly #stops: (() => void)[];
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failing = false;

  constructor(store: SampleStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#currentSinceMs = clock.monotonic();
    this.#stops = listen((kind, name) => this.#current.of(kind, name));
  }

  async start(): Promise<void> {
    await this.#store.start?.();
    await this.#restore();
    this.#arm();
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) stop();
    this.#timer?.cancel();
    this.#turn();
    await this.#writing;
    await this.#store.stop?.();
  }

  async query(query: SeriesQuery): Promise<readonly Series[]> {
    await this.#writing;
    return collect(this.#store, query, (stepMs) => this.#unstored(stepMs));
  }

  live(kind: SeriesKind): ReadonlyMap<string, LiveSeries> {
    const last = this.#recent.at(-1);
    const isFresh = last !== undefined && this.#clock.now() - last.startMs < 3 * FINEST;
    const windowMs = this.#clock.monotonic() - this.#currentSinceMs + (isFresh ? FINEST : 0);
    const totals = new Accumulator();
    for (const row of this.#current.rows()) if (row.kind === kind) totals.add(row);
    if (isFresh) for (const row of last.rows) if (row.kind === kind) totals.add(row);
    const histories = this.#histories(kind);
    for (const name of histories.keys()) totals.of(kind, name);
    const seconds = Math.max(1, windowMs / 1000);
    const found = new Map<string, LiveSeries>();
    for (const row of totals.rows()) {
      const { counts, latency } = totals.find(kind, row.name)!;
      found.set(row.name, {
        rates: Object.fromEntries(Object.entries(counts).map(([measure, n]) => [measure, n / seconds])),
        ...percentilesOf(latency),
        history: histories.get(row.name) ?? [],
      });
    }
    return found;
  }

  #histories(kind: SeriesKind): Map<string, number[]> {
    const nowStartMs = bucketStart(this.#clock.now(), FINEST);
    const histories = new Map<string, number[]>();
    for (const bucket of this.#recent) {
      const at = RECENT_BUCKETS - (nowStartMs - bucket.startMs) / FINEST;
      if (at < 0 || at >= RECENT_BUCKETS) continue;
      for (const row of bucket.rows) {
        if (row.kind !== kind) continue;
        let history = histories.get(row.name);
        if (!history) histories.set(row.name, (history = new Array<number>(RECENT_BUCKETS).fill(0)));
        history[at]! += (row.counts[MAIN_MEASURE[kind]] ?? 0) / (FINEST / 1000);
      }
    }
    return histories;
  }

  /** The end of the bucket by the wall clock; a clock that jumps makes one bucket shorter or longer, nothing else. */
  #arm(): void {
    const nowMs = this.#clock.now();
    this.#timer = this.#clock.after(bucketStart(nowMs, FINEST) + FINEST - nowMs, () => {
      this.#turn();
      this.#arm();
    });
  }

  #turn(): void {
    const rows = [...this.#current.rows()];
    this.#current = new Accumulator();
    this.#currentSinceMs = this.#clock.monotonic();
    // The timer fires at the end of the bucket, a moment late at most.
    const startMs = bucketStart(this.#clock.now() - FINEST / 2, FINEST);
    this.#remember({ stepMs: FINEST, startMs, rows });
    if (rows.length > 0) this.#close({ stepMs: FINEST, startMs, rows });
  }

  #remember(bucket: SampleBucket): void {
    this.#recent.push(bucket);
    let held = this.#recent.reduce((sum, each) => sum + each.rows.length, 0);
    while (this.#recent.length > RECENT_BUCKETS || (held > RECENT_ROWS && this.#recent.length > 1)) {
      held -= this.#recent.shift()!.rows.length;
    }
  }

  /** Stores a bucket and hands it to the next coarser resolution, which is closed when its time is over. */
  #close(bucket: SampleBucket): void {
    this.#writing = this.#writing.then(() => this.#write(bucket));
    this.#rollUp(bucket);
  }

  #rollUp(bucket: SampleBucket): void {
    const coarser = RESOLUTIONS[RESOLUTIONS.indexOf(bucket.stepMs) + 1];
    if (coarser === undefined) return;
    const startMs = bucketStart(bucket.startMs, coarser);
    const pending = this.#pending.get(coarser);
    if (pending && pending.startMs !== startMs) {
      this.#pending.delete(coarser);
      this.#close({ stepMs: coarser, startMs: pending.startMs, rows: [...pending.rows.rows()] });
    }
    let open = this.#pending.get(coarser);
    if (!open) this.#pending.set(coarser, (open = { startMs, rows: new Accumulator() }));
    for (const row of bucket.rows) open.rows.add(row);
  }

  async #write(bucket: SampleBucket): Promise<void> {
    try {
      await this.#store.append(bucket);
      this.#failing = false;
    } catch (error) {
      if (this.#failing) return;
      this.#failing = true;
      const message =
        'Samples cannot be stored; they are missing from the history until the disk takes them.';
      signal('platform.log', { level: 'warn', room: 'observe', message, error });
    }
  }

  /** What a query of this resolution does not find in the store yet: the open buckets of it and of the finer ones. */
  #unstored(stepMs: Resolution): SampleBucket[] {
    const open: SampleBucket[] = [];
    for (const resolution of RESOLUTIONS) {
      const pending = this.#pending.get(resolution);
      if (!pending || resolution > stepMs) continue;
      open.push({ stepMs: resolution, startMs: pending.startMs, rows: [...pending.rows.rows()] });
    }
    const startMs = bucketStart(this.#clock.now(), FINEST);
    return [...open, { stepMs: FINEST, startMs, rows: [...this.#current.rows()] }];
  }

  /** After a restart the open buckets of the coarser resolutions are made again from the finer ones. */
  async #restore(): Promise<void> {
    const nowMs = this.#clock.now();
    for (const [index, coarser] of RESOLUTIONS.entries()) {
      const finer = RESOLUTIONS[index - 1];
      if (finer === undefined) continue;
      const fromMs = (await this.#store.newestEndMs(coarser)) ?? 0;
      for await (const bucket of this.#store.read({ stepMs: finer, fromMs, toMs: nowMs + finer })) {
        this.#rollUp(bucket);
      }
    }
    const fromMs = nowMs - RECENT_BUCKETS * FINEST;
    const found: SampleBucket[] = [];
    for await (const bucket of this.#store.read({ stepMs: FINEST, fromMs, toMs: nowMs + FINEST }))
      found.push(bucket);
    this.#recent = [...found.slice(-RECENT_BUCKETS), ...this.#recent];
  }
}

const bucketStart = (timeMs: number, stepMs: number): number => Math.floor(timeMs / stepMs) * stepMs;

function percentilesOf(latency: Histogram): Pick<LiveSeries, 'p50Ms' | 'p99Ms'> {
  return { p50Ms: percentile(latency, 0.5), p99Ms: percentile(latency, 0.99) };
}

function listen(of: (kind: SeriesKind, name: string) => ReturnType<Accumulator['of']>): (() => void)[] {
  return [
    onSignal('stream.appended', ({ stream, records, bytes }) => {
      const totals = of('stream', stream);
      count(totals, 'records', records);
      count(totals, 'bytes', bytes);
    }),
    onSignal('stream.read', ({ stream, records, bytes }) => {
      const totals = of('stream', stream);
      count(totals, 'readRecords', records);
      count(totals, 'readBytes', bytes);
    }),
    onSignal('function.invoked', ({ fn, outcome, records, cold, durationMs }) => {
      const totals = of('function', fn);
      if (outcome === 'throttled') return count(totals, 'throttled', 1);
      count(totals, 'invocations', 1);
      if (outcome !== 'ok') count(totals, 'errors', 1);
      if (cold) count(totals, 'coldStarts', 1);
      if (records > 0) count(totals, 'records', records);
      observe(totals, durationMs);
    }),
    onSignal('function.deadLettered', ({ fn }) => count(of('function', fn), 'deadLetters', 1)),
    onSignal('http.served', ({ door, method, route, status, bytes, durationMs }) => {
      const totals = of('route', `${door} ${method} ${route}`);
      count(totals, 'requests', 1);
      count(totals, 'bytes', bytes);
      if (status >= 500) count(totals, 'errors', 1);
      observe(totals, durationMs);
    }),
  ];
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, onSignal, type Service, signal, type Timer } from '../kernel/index.ts';
import { Accumulator, count, observe } from './accumulator.ts';
import { type Histogram, percentile } from './histogram.ts';
import {
  RESOLUTIONS,
  type Resolution,
  type SampleBucket,
  type SampleRow,
  type SampleStore,
  type SeriesKind,
} from './port.ts';
import { collect, type Series, type SeriesQuery } from './series.ts';

/** Counters and latencies of every stream, function and route, fed by signals alone and kept by the store. */
export interface Samples extends Service {
  /** The points of every series that was asked for, by kind and name. Throws BAD_REQUEST for too many points. */
  query(query: SeriesQuery): Promise<readonly Series[]>;
  /** What happens now. Rates are a look-up each; percentiles and history are made for the series that is asked for. */
  live(kind: SeriesKind): Live;
}

export interface Live {
  /** Series with something to tell in the last 10 to 20 s. */
  names(): Iterable<string>;
  /** Per second, over the last 10 to 20 s. */
  rate(name: string, measure: string): number;
  latency(name: string): { readonly p50Ms: number | null; readonly p99Ms: number | null };
  /** The main measure per second, in steps of 10 s, oldest first, over ten minutes. */
  history(name: string): readonly number[];
}

const FINEST: Resolution = RESOLUTIONS[0];
const RECENT_BUCKETS = 60;
/** Numbers that are held for `history`; with thousands of busy series it is shorter instead of the heap larger. */
const MOST_RECENT = 200_000;
/** Rows between two turns of the event loop. */
const PIECE_ROWS = 200;
const MAIN_MEASURE = { stream: 'records', function: 'invocations', route: 'requests' } as const;

/** A bucket that is not yet in the store. */
interface Open {
  readonly stepMs: Resolution;
  readonly startMs: number;
  readonly rows: Accumulator;
}

/** The main measure of every series in one bucket of 10 s. */
interface Recent {
  readonly startMs: number;
  readonly counts: { readonly [kind in SeriesKind]: ReadonlyMap<string, number> };
  readonly size: number;
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
  /** The bucket before the current one. */
  #last: Open | undefined;
  readonly #recent: Recent[] = [];
  /** Closed, and waiting for their turn to be stored. */
  readonly #closed = new Set<Open>();
  /** For each resolution but the finest: what came since its last bucket was stored. */
  readonly #pending = new Map<Resolution, Open>();
  readonly #stops: (() => void)[];
  #timer: Timer | undefined;
  /** Stores and queries follow one another, so that no query meets a bucket on its way. */
  #turns: Promise<unknown> = Promise.resolve();
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
    await this.#turns;
    await this.#store.stop?.();
  }

  query(query: SeriesQuery): Promise<readonly Series[]> {
    const result = this.#turns.then(() => collect(this.#store, query, (stepMs) => this.#unstored(stepMs)));
    this.#turns = result.catch(() => undefined);
    return result;
  }

  live(kind: SeriesKind): Live {
    const last = this.#last;
    const isFresh = last !== undefined && this.#clock.now() - last.startMs < 3 * FINEST;
    const windowMs = this.#clock.monotonic() - this.#currentSinceMs + (isFresh ? FINEST : 0);
    const seconds = Math.max(1, windowMs / 1000);
    const parts = isFresh ? [last.rows, this.#current] : [this.#current];
    const nowStartMs = bucketStart(this.#clock.now(), FINEST);
    const recent = this.#recent;
    return {
      names: () => new Set(parts.flatMap((part) => [...part.names(kind)])),
      rate: (name, measure) =>
        parts.reduce((sum, part) => sum + (part.find(kind, name)?.counts[measure] ?? 0), 0) / seconds,
      latency(name) {
        const merged: Histogram = new Map();
        for (const part of parts) {
          for (const [bucket, n] of part.find(kind, name)?.latency ?? [])
            merged.set(bucket, (merged.get(bucket) ?? 0) + n);
        }
        return { p50Ms: percentile(merged, 0.5), p99Ms: percentile(merged, 0.99) };
      },
      history(name) {
        const history = new Array<number>(RECENT_BUCKETS).fill(0);
        for (const { startMs, counts } of recent) {
          const at = RECENT_BUCKETS - (nowStartMs - startMs) / FINEST;
          if (at >= 0 && at < RECENT_BUCKETS) history[at]! += (counts[kind].get(name) ?? 0) / (FINEST / 1000);
        }
        return history;
      },
    };
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
    // The timer fires at the end of the bucket, a moment late at most.
    const startMs = bucketStart(this.#clock.now() - FINEST / 2, FINEST);
    const bucket: Open = { stepMs: FINEST, startMs, rows: this.#current };
    this.#current = new Accumulator();
    this.#currentSinceMs = this.#clock.monotonic();
    this.#last = bucket;
    this.#remember(startMs, bucket.rows.totals());
    this.#closed.add(bucket);
    this.#turns = this.#turns.then(async () => {
      await this.#close(bucket);
      this.#closed.delete(bucket);
    });
  }

  #remember(startMs: number, rows: Iterable<Pick<SampleRow, 'kind' | 'name' | 'counts'>>): void {
    const counts = { stream: new Map<string, number>(), function: new Map(), route: new Map() };
    let size = 0;
    for (const row of rows) {
      const before = counts[row.kind].get(row.name) ?? 0;
      counts[row.kind].set(row.name, before + (row.counts[MAIN_MEASURE[row.kind]] ?? 0));
      size++;
    }
    this.#recent.push({ startMs, counts, size });
    let held = this.#recent.reduce((sum, each) => sum + each.size, 0);
    while (this.#recent.length > RECENT_BUCKETS || (held > MOST_RECENT && this.#recent.length > 1)) {
      held -= this.#recent.shift()!.size;
    }
  }

  /** Stores a bucket piece by piece and adds it to the open bucket of the next coarser resolution. */
  async #close({ stepMs, startMs, rows }: Open): Promise<void> {
    const coarser = await this.#coarserOf(stepMs, startMs);
    for (const piece of piecesOf(rows.rows())) {
      await this.#write({ stepMs, startMs, rows: piece });
      if (coarser) for (const row of piece) coarser.rows.add(row);
      await nextTurn();
    }
  }

  /** The open bucket of the next coarser resolution; one whose time is over is closed first. */
  async #coarserOf(finer: Resolution, finerStartMs: number): Promise<Open | undefined> {
    const stepMs = RESOLUTIONS[RESOLUTIONS.indexOf(finer) + 1];
    if (stepMs === undefined) return undefined;
    const startMs = bucketStart(finerStartMs, stepMs);
    const pending = this.#pending.get(stepMs);
    if (pending?.startMs === startMs) return pending;
    if (pending) await this.#close(pending);
    const open: Open = { stepMs, startMs, rows: new Accumulator() };
    this.#pending.set(stepMs, open);
    return open;
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

  /** What a query of this resolution does not find in the store yet. */
  #unstored(stepMs: Resolution): Open[] {
    const startMs = bucketStart(this.#clock.now(), FINEST);
    return [
      ...[...this.#pending.values()].filter((open) => open.stepMs <= stepMs),
      ...this.#closed,
      { stepMs: FINEST, startMs, rows: this.#current },
    ];
  }

  /** After a restart the open buckets of the coarser resolutions are made again from the finer ones. */
  async #restore(): Promise<void> {
    const toMs = this.#clock.now() + FINEST;
    for (const [index, coarser] of RESOLUTIONS.entries()) {
      const finer = RESOLUTIONS[index - 1];
      if (finer === undefined) continue;
      const fromMs = (await this.#store.newestEndMs(coarser)) ?? 0;
      for await (const bucket of this.#store.read({ stepMs: finer, fromMs, toMs })) {
        const open = await this.#coarserOf(finer, bucket.startMs);
        for (const row of bucket.rows) open!.rows.add(row);
      }
    }
    const fromMs = toMs - (RECENT_BUCKETS + 1) * FINEST;
    for await (const bucket of this.#store.read({ stepMs: FINEST, fromMs, toMs })) {
      this.#remember(bucket.startMs, bucket.rows);
    }
  }
}

const bucketStart = (timeMs: number, stepMs: number): number => Math.floor(timeMs / stepMs) * stepMs;

function* piecesOf(rows: Iterable<SampleRow>): Iterable<SampleRow[]> {
  let piece: SampleRow[] = [];
  for (const row of rows) {
    piece.push(row);
    if (piece.length < PIECE_ROWS) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
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

import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError } from '../kernel/index.ts';
import { Accumulator } from './accumulator.ts';
import { percentile } from './histogram.ts';
import { RESOLUTIONS, type Resolution, type SampleRow, type SampleStore, type SeriesKind } from './port.ts';

export interface SeriesQuery {
  readonly kind?: SeriesKind;
  readonly name?: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Rounded up to a multiple of a stored resolution; chosen to give about 100 points if left out. */
  readonly stepMs?: number;
}

export interface Series {
  readonly kind: SeriesKind;
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Point {
  readonly startMs: number;
  readonly stepMs: number;
  readonly counts: { readonly [measure: string]: number };
  readonly p50Ms?: number;
  readonly p90Ms?: number;
  readonly p99Ms?: number;
}

/** A bucket that is still open, or on its way to the store. */
interface Unstored {
  readonly startMs: number;
  readonly rows: Accumulator;
}

/** Rows between two turns of the event loop. */
const PIECE_ROWS = 200;
const WANTED_POINTS = 100;
const MOST_POINTS = 11_000;
/** Points of all series together. */
const MOST_RESULTS = 200_000;

/** Steps of the query and the resolution it is read from. */
function planOf(query: SeriesQuery): { stepMs: number; resolution: Resolution } {
  const wantedMs = query.stepMs ?? (query.toMs - query.fromMs) / WANTED_POINTS;
  const resolution = RESOLUTIONS.findLast((each) => each <= wantedMs) ?? RESOLUTIONS[0];
  const stepMs = Math.max(1, Math.ceil(wantedMs / resolution)) * resolution;
  if ((query.toMs - query.fromMs) / stepMs > MOST_POINTS) {
    throw new MillraceError(
      'BAD_REQUEST',
      `A step of ${stepMs} ms gives more than ${MOST_POINTS} points. Take a longer step, or a shorter time.`,
    );
  }
  return { stepMs, resolution };
}

export async function collect(
  store: SampleStore,
  query: SeriesQuery,
  unstored: (stepMs: Resolution) => readonly Unstored[],
): Promise<readonly Series[]> {
  const { stepMs, resolution } = planOf(query);
  const fromMs = Math.floor(query.fromMs / stepMs) * stepMs;
  const { toMs } = query;
  const steps = new Map<number, Accumulator>();
  const series = new Set<string>();
  const wants = ({ kind, name }: SampleRow): boolean =>
    (query.kind === undefined || kind === query.kind) && (query.name === undefined || name === query.name);
  let added = 0;
  const add = async (bucketStartMs: number, rows: Iterable<SampleRow>): Promise<void> => {
    const startMs = Math.floor(bucketStartMs / stepMs) * stepMs;
    if (startMs < fromMs || startMs >= toMs) return;
    for (const row of rows) {
      if (++added % PIECE_ROWS === 0) await nextTurn();
      if (!wants(row)) continue;
      let step = steps.get(startMs);
      if (!step) steps.set(startMs, (step = new Accumulator()));
      step.add(row);
      series.add(row.name);
      if (series.size * steps.size > MOST_RESULTS) throw tooMuch();
    }
  };
  const { kind, name } = query;
  const filter = { ...(kind ? { kind } : {}), ...(name === undefined ? {} : { name }) };
  for await (const bucket of store.read({ stepMs: resolution, fromMs, toMs, ...filter })) {
    await add(bucket.startMs, bucket.rows);
  }
  for (const { startMs, rows } of unstored(resolution)) await add(startMs, rows.rows());
  return toSeries(steps, stepMs);
}

async function toSeries(steps: ReadonlyMap<number, Accumulator>, stepMs: number): Promise<Series[]> {
  let made = 0;
  const found = new Map<string, { kind: SeriesKind; name: string; points: Point[] }>();
  for (const [startMs, step] of [...steps].sort(([a], [b]) => a - b)) {
    for (const { kind, name, counts, latency } of step.totals()) {
      if (++made % PIECE_ROWS === 0) await nextTurn();
      const key = `${kind} ${name}`;
      let series = found.get(key);
      if (!series) found.set(key, (series = { kind, name, points: [] }));
      const point = { startMs, stepMs, counts };
      if (latency.size === 0) series.points.push(point);
      else {
        const [p50Ms, p90Ms, p99Ms] = [0.5, 0.9, 0.99].map((fraction) => percentile(latency, fraction)!);
        series.points.push({ ...point, p50Ms: p50Ms!, p90Ms: p90Ms!, p99Ms: p99Ms! });
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.kind + a.name < b.kind + b.name ? -1 : 1));
}

function tooMuch(): MillraceError {
  return new MillraceError(
    'BAD_REQUEST',
    `The answer would have more than ${MOST_RESULTS} points. Name a series with \`name\`, or take a longer step.`,
  );
}

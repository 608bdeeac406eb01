/**
 * Where observation is kept: samples (counters and latency histograms by bucket of time) and log lines. Both are bounded
 * by the adapter, which drops the oldest; both survive a restart; neither is worth a sync of its own.
 *
 * O1 what was appended before an orderly stop is read after the next start; a crash may lose the newest writes, never
 *    what is older, and a torn tail is skipped.
 * O2 rows of one series in one bucket add up: a bucket may be appended in several pieces.
 * O3 times may jump both ways; nothing is lost for it, and a read by time finds what was appended with those times.
 * O4 stored bytes (or, in memory, entries) never exceed the bound by more than one append.
 * Must not leak: paths, file descriptors, the format on disk. Errors: DISK_FULL, DISK_FAILED.
 */
export interface SampleStore {
  readonly name: string;
  start?(): Promise<void>;
  stop?(): Promise<void>;
  append(bucket: SampleBucket): Promise<void>;
  /** Buckets of one resolution that start in [fromMs, toMs), in the order in which they were appended. */
  read(query: SampleQuery): AsyncIterable<SampleBucket>;
  /** The end of the bucket appended last in this resolution; undefined when there is none. */
  newestEndMs(stepMs: Resolution): Promise<number | undefined>;
}

/** 10 s, 1 m, 10 m and 1 h, in milliseconds. */
export const RESOLUTIONS = [10_000, 60_000, 600_000, 3_600_000] as const;
export type Resolution = (typeof RESOLUTIONS)[number];

export type SeriesKind = 'stream' | 'function' | 'route';

export interface SampleBucket {
  readonly stepMs: Resolution;
  /** A multiple of `stepMs` since the epoch. */
  readonly startMs: number;
  readonly rows: readonly SampleRow[];
}

export interface SampleRow {
  readonly kind: SeriesKind;
  readonly name: string;
  /** What happened within the bucket, by measure. */
  readonly counts: { readonly [measure: string]: number };
  /** Buckets of the logarithmic histogram that are not empty: index, count, index, count … */
  readonly latency?: readonly number[];
}

export interface SampleQuery {
  readonly stepMs: Resolution;
  readonly fromMs: number;
  readonly toMs: number;
  readonly kind?: SeriesKind;
  readonly name?: string;
}

/** Lines that functions and the platform wrote. The same invariants hold. */
export interface LogArchive {
  readonly name: string;
  start?(): Promise<void>;
  stop?(): Promise<void>;
  append(lines: readonly ArchivedLine[]): Promise<void>;
  /** Lines in [fromMs, toMs), newest first, in pieces; one that may not be wanted can come too, none that is wanted is missing. */
  read(query: { readonly fromMs: number; readonly toMs: number }): AsyncIterable<readonly ArchivedLine[]>;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface ArchivedLine {
  /** Wall clock, milliseconds. */
  readonly timeMs: number;
  readonly level: LogLevel;
  readonly source: 'function' | 'platform';
  /** The function, or the room of the platform. */
  readonly name: string;
  readonly app?: string;
  readonly message: string;
  readonly invocationId?: string;
  readonly traceId?: string;
  readonly attributes?: { readonly [name: string]: unknown };
  /** On a line that stands for lines that were dropped: how many. */
  readonly dropped?: number;
}

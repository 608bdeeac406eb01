export { createLogs, LOG_LEVELS, type LogFilter, type LogQuery, type Logs } from './logs.ts';
export { createMetrics, type Metrics } from './metrics.ts';
export type {
  ArchivedLine,
  LogArchive,
  LogLevel,
  Resolution,
  SampleBucket,
  SampleRow,
  SampleStore,
  SeriesKind,
} from './port.ts';
export { createSamples, type LiveSeries, type Samples, type Series } from './samples.ts';
export type { Point, SeriesQuery } from './series.ts';

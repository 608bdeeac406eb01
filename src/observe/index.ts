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
export { createSamples, type Live, type Samples } from './samples.ts';
export type { Point, Series, SeriesQuery } from './series.ts';

import type { Duration } from './schema.ts';
import type { Stream } from './stream.ts';
import type { CronSchedule } from './triggers.ts';

/** Where a prediction is compared with the truth. */
export interface TruthOptions {
  /** Output with the score, such as `'probabilities.1'`; default: the last column of the last output. */
  readonly output?: string;
  /** From this score on a row is decided 1; default 0.5. */
  readonly threshold?: number;
}

export interface LabelOptions extends TruthOptions {
  /** Stream of the truth. */
  readonly from: Stream | string;
  /** Field of its records that holds the key given with the prediction (`predict(rows, { keys })`). */
  readonly key: string;
  /** Field that holds the truth: 1 or 0, true or false. */
  readonly label: string;
  /** How long a prediction waits for its label; default `'30d'`. */
  readonly within?: Duration;
  /** Input columns by which predictions are grouped, to find bias. */
  readonly groups?: readonly string[];
  /** How much lower than in training a metric may be before that is a decay; default 0.02. */
  readonly margin?: number;
  /** When groups are treated so unlike that a record says so: default `{ of: 'accuracy', gap: 0.1 }`. */
  readonly bias?: GroupOptions;
}

export interface WatchOptions {
  /** A window is judged with so many rows (default 10,000), or at the end of so long (default `'1h'`), with at least 500 rows. */
  readonly window?: { readonly rows?: number; readonly every?: Duration; readonly least?: number };
  /** Probability that a window raises an alarm although nothing has changed, over all columns together; default 0.001. */
  readonly falseAlarms?: number;
  /** How large a change must be to matter: population stability index, default 0.1. */
  readonly psi?: number;
  /** Difference of the share of missing values, default 0.02. */
  readonly missing?: number;
  /** Share of values out of the range of training, default 0.02. */
  readonly outOfRange?: number;
  /** Rows that the reference is learned from where training has left none; default 2,000. */
  readonly learn?: number;
  readonly labels?: LabelOptions;
}

export interface MetricOptions {
  /** Not compared with the current version. Default: it is. */
  readonly relative?: boolean;
  /** A difference that does not matter; default 0.02. */
  readonly margin?: number;
}

type GoodMetric = 'accuracy' | 'precision' | 'recall' | 'f1' | 'auc' | 'averagePrecision' | 'r2';
type LossMetric = 'brier' | 'logLoss' | 'mae' | 'rmse';

/** What should be alike in all groups. */
export interface GroupOptions {
  /** `'selection'` is the share of rows decided 1. */
  readonly of?: 'selection' | 'truePositives' | 'falsePositives' | 'accuracy';
  /** Largest difference between two groups, default 0.1. */
  readonly gap?: number;
  readonly margin?: number;
}

/** Metrics of classes, or of values: a model predicts one of them. */
export type MetricsOptions = {
  readonly [metric in GoodMetric]?: MetricOptions & { readonly atLeast?: number };
} & {
  readonly [metric in LossMetric]?: MetricOptions & { readonly atMost?: number };
};

export interface GateOptions extends TruthOptions {
  /** Path of held-back rows, CSV or NDJSON, from the app's folder. */
  readonly heldBack?: string;
  /** Column of these rows that is the truth. */
  readonly label?: string;
  readonly metrics?: MetricsOptions;
  /** `slowerBy`: how many times as long as the current version it may take, default 1.5. */
  readonly latency?: { readonly p99?: Duration; readonly slowerBy?: number };
  /** Default `of`: `'selection'`. */
  readonly fairness?: GroupOptions & {
    /** Column that groups the held-back rows. */
    readonly by: string;
  };
  /** Held-back rows that a metric needs; default 200. */
  readonly rows?: number;
}

export interface StageOptions {
  readonly for?: Duration;
  /** Predictions of the new version that the stage needs; with fewer it goes on. Default 500. */
  readonly rows?: number;
  /** How long it goes on at most; then the release stops for want of data. Default `'24h'`. */
  readonly atMost?: Duration;
}

export interface ReleaseOptions {
  /** The new version answers too, and its answers are compared, not returned. Default for `'1m'`, of all predictions. */
  readonly shadow?: StageOptions & { readonly share?: number };
  /** Default 10 % for `'5m'`. An `'ab'` test must show by labels that the version is better. */
  readonly canary?: StageOptions & {
    readonly kind?: 'canary' | 'ab';
    readonly weight?: number;
    /** Metric by which an A/B test must be better; default: the first of `live.labels`, or accuracy, or r2 of values. */
    readonly by?: GoodMetric | LossMetric;
  };
  /** How long it is watched once it has all traffic; default `'10m'`. */
  readonly watch?: StageOptions;
  readonly live?: {
    readonly slowerBy?: number;
    readonly errors?: number;
    readonly drift?: boolean;
    readonly agreement?: number;
    /** What delayed labels must show. Default metrics: accuracy, or r2 where labels are other values than 0 and 1. */
    readonly labels?: {
      readonly margin?: number;
      readonly rows?: number;
      readonly metrics?: MetricsOptions;
      /** Of the groups of `watch.labels`; default `of`: `'selection'`. */
      readonly fairness?: GroupOptions;
    };
  };
  /** How often the live gates are looked at; default `'10s'`. */
  readonly look?: Duration;
  /** Probability that a version as good as the current one is stopped; default 0.005. */
  readonly falseStops?: number;
  readonly confidence?: number;
}

export interface DriftTrigger {
  readonly kind: 'drift';
  readonly columns: readonly string[];
}

export interface RecordsTrigger {
  readonly kind: 'records';
  readonly count: number;
}

export interface RetrainOptions {
  readonly on:
    | DriftTrigger
    | RecordsTrigger
    | CronSchedule
    | readonly (DriftTrigger | RecordsTrigger | CronSchedule)[];
  /** Stream of rows with their truth. */
  readonly from: Stream | string;
  /** The latest rows that are learnt from, default 100,000; with fewer than `least`, default 1,000, it waits. */
  readonly rows?: number;
  readonly least?: number;
  /**
   * What a retraining because of drift waits for, so that it learns the new period: so many rows of it (default a fifth of `least`),
   * known from when as late as labels have come so far (or `after`); default `atMost` `'30d'`.
   */
  readonly fresh?: { readonly rows?: number; readonly after?: Duration; readonly atMost?: Duration };
  /** What is learnt, and how: the algorithm, the label, settings. */
  readonly spec: { readonly algorithm: string; readonly label?: string; readonly [setting: string]: unknown };
}

/** How a model is watched, released and retrained. */
export interface ModelOperationsOptions {
  readonly watch?: WatchOptions;
  /** What a version must show before it takes traffic. Without them a deployment puts it into production as it is. */
  readonly gates?: GateOptions;
  readonly release?: ReleaseOptions;
  readonly retrain?: RetrainOptions;
}

/** Retrains when inputs or outputs drift: these columns, or any. */
export function drift(...columns: readonly string[]): DriftTrigger {
  return { kind: 'drift', columns };
}

/** Retrains after so many new rows. */
export function records(count: number): RecordsTrigger {
  return { kind: 'records', count };
}

import type { Metric } from './metrics.ts';

/** What a version must show before and while it takes traffic. Durations are milliseconds. */
export interface ReleaseSettings {
  readonly gates: GateSettings;
  readonly shadow: StageSettings & {
    /** Share of the predictions that the new version makes too, 0 to 1. */
    readonly share: number;
  };
  readonly canary: StageSettings & {
    /** A canary passes when it is not worse; an A/B test when delayed labels show the new version to be better. */
    readonly kind: 'canary' | 'ab';
    /** Percent of the traffic. */
    readonly weight: number;
  };
  /** How long the version is watched after it has taken all traffic. */
  readonly watch: StageSettings;
  readonly live: LiveGateSettings;
  /** How often the live gates are looked at. */
  readonly lookMs: number;
  /** Probability that a version as good as the current one is stopped, all gates, stages and looks together. */
  readonly falseStops: number;
  /** How sure a gate must be that a version is not worse, beyond the margin, before it lets it pass. */
  readonly confidence: number;
}

export interface StageSettings {
  readonly forMs: number;
  /** Predictions of the new version that the stage needs; with fewer it is extended. */
  readonly leastRows: number;
  /** How long it is extended at most; then the release stops for want of data. */
  readonly atMostMs: number;
}

export interface GateSettings {
  readonly metrics: readonly MetricGate[];
  readonly latency: LatencyGate;
  readonly fairness: FairnessGate | null;
  /** Rows of the held-back set that a metric needs. */
  readonly leastRows: number;
}

export interface MetricGate {
  readonly metric: Metric;
  /** The least that will do; the most, for a metric that should be low. */
  readonly limit: number | null;
  /** A difference that does not matter: to the limit, and by how much the version may be worse than the current one. */
  readonly margin: number;
  /** Whether it is compared with the current version. */
  readonly relative: boolean;
}

export interface LatencyGate {
  /** Most for 99 of 100 predictions of one row; null: not looked at. */
  readonly p99Ms: number | null;
  /** How many times the current version's latency it may have. */
  readonly slowerBy: number;
}

export interface FairnessGate {
  /** The column that groups the rows. */
  readonly by: string;
  /** The share that should be alike: of rows decided 1, of positive ones decided 1, of negative ones decided 1, of right decisions. */
  readonly of: 'selection' | 'truePositives' | 'falsePositives' | 'accuracy';
  /** The largest difference between two groups. */
  readonly gap: number;
  readonly margin: number;
}

export interface LiveGateSettings {
  readonly slowerBy: number;
  /** Share of predictions that may fail beyond those of the current version. */
  readonly errors: number;
  readonly drift: boolean;
  /** Metric of delayed labels, and by how much it may be worse. */
  readonly labels: {
    readonly metric: 'accuracy';
    readonly margin: number;
    readonly leastRows: number;
  } | null;
  /** Least share of shadow answers that are like the current version's; null: told, not judged. */
  readonly agreement: number | null;
}

const HOUR_MS = 3_600_000;

export const DEFAULT_RELEASE: ReleaseSettings = {
  gates: {
    metrics: [],
    latency: { p99Ms: null, slowerBy: 1.5 },
    fairness: null,
    leastRows: 200,
  },
  shadow: { forMs: 60_000, leastRows: 500, atMostMs: 24 * HOUR_MS, share: 1 },
  canary: { kind: 'canary', weight: 10, forMs: 300_000, leastRows: 500, atMostMs: 24 * HOUR_MS },
  watch: { forMs: 600_000, leastRows: 500, atMostMs: 24 * HOUR_MS },
  live: { slowerBy: 1.5, errors: 0.005, drift: true, labels: null, agreement: null },
  lookMs: 10_000,
  falseStops: 0.005,
  confidence: 0.95,
};

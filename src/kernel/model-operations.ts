import { type InputProblem, isMillraceError, MillraceError } from './errors.ts';
import type { Json } from './ports/state-store.ts';
import { parseDurationMs } from './units.ts';

/** How a model is watched, released and retrained: of the model, not of a version. Durations are milliseconds. */
export interface ModelOperations {
  readonly watch: ModelWatch;
  /** What a version must show before it takes traffic; null: versions are put into production as they are. */
  readonly gates: ModelGates | null;
  readonly release: ModelRelease;
  readonly retrain: ModelRetraining | null;
}

/** Where the truth about a prediction is found, and what is said about it. */
export interface ModelTruth {
  /** Output that is compared: `probabilities.1`; null: the last column of the first output. */
  readonly output: string | null;
  /** From this score on a row is decided 1. */
  readonly threshold: number;
}

export interface ModelWatch {
  readonly windowRows: number | null;
  readonly windowMs: number | null;
  readonly leastRows: number;
  /** Probability that a window raises an alarm although nothing has changed. */
  readonly falseAlarms: number;
  readonly psi: number;
  readonly missing: number;
  readonly outOfRange: number;
  /** Rows that a reference is learned from where training has left none. */
  readonly learnRows: number;
  readonly labels: ModelLabels | null;
}

/** Delayed labels: records of a stream, joined with predictions by their keys. */
export interface ModelLabels extends ModelTruth {
  readonly stream: string;
  /** Field of the record that is the key given with the prediction. */
  readonly key: string;
  /** Field of the record that is the truth. */
  readonly label: string;
  /** How long a prediction waits for its label. */
  readonly withinMs: number;
  /** Input columns by which predictions are grouped, to find bias. */
  readonly groups: readonly string[];
  /** How much worse than in training a metric may be before that is a decay. */
  readonly margin: number;
  /** How far groups may be apart before that is a bias. */
  readonly bias: ModelFairness;
}

export const MODEL_METRICS = [
  'accuracy',
  'precision',
  'recall',
  'f1',
  'auc',
  'averagePrecision',
  'brier',
  'logLoss',
  'mae',
  'rmse',
  'r2',
] as const;

export type ModelMetric = (typeof MODEL_METRICS)[number];

/** Metrics of a predicted value; the others are of a class. */
export const VALUE_METRICS: ReadonlySet<ModelMetric> = new Set(['mae', 'rmse', 'r2']);
export const LOWER_IS_BETTER: ReadonlySet<ModelMetric> = new Set(['brier', 'logLoss', 'mae', 'rmse']);

export interface ModelMetricGate {
  readonly metric: ModelMetric;
  /** The least that will do; the most, for a metric that should be low. */
  readonly limit: number | null;
  /** A difference that does not matter: to the limit, and by how much the version may be worse than the current one. */
  readonly margin: number;
  /** Whether it is compared with the current version. */
  readonly relative: boolean;
}

export interface ModelFairness {
  /** The column that groups the rows. */
  readonly by: string;
  /** The share that should be alike: of rows decided 1, of positive ones decided 1, of negative ones decided 1, of right decisions. */
  readonly of: 'selection' | 'truePositives' | 'falsePositives' | 'accuracy';
  /** The largest difference between two groups. */
  readonly gap: number;
  readonly margin: number;
}

export interface ModelGates extends ModelTruth {
  /** Held-back rows, CSV or NDJSON: a path in the app, in the manifest a path in the artifact; null: none, or uploaded. */
  readonly heldBack: string | null;
  /** Column of the held-back rows that is the truth. */
  readonly label: string;
  readonly metrics: readonly ModelMetricGate[];
  readonly latency: {
    /** Most for 99 of 100 predictions of one row; null: not looked at. */
    readonly p99Ms: number | null;
    /** How many times the current version's latency it may have. */
    readonly slowerBy: number;
  };
  readonly fairness: ModelFairness | null;
  /** Rows of the held-back set that a metric needs. */
  readonly leastRows: number;
}

export interface ModelStage {
  readonly forMs: number;
  /** Predictions of the new version that the stage needs; with fewer it is extended. */
  readonly leastRows: number;
  /** How long it is extended at most; then the release stops for want of data. */
  readonly atMostMs: number;
}

export interface ModelRelease {
  readonly shadow: ModelStage & {
    /** Share of the predictions that the new version makes too, 0 to 1. */
    readonly share: number;
  };
  readonly canary: ModelStage & {
    /** A canary passes when it is not worse; an A/B test when delayed labels show the new version to be better. */
    readonly kind: 'canary' | 'ab';
    /** Percent of the traffic. */
    readonly weight: number;
    /** Metric by which an A/B test must be better; null: the first of `live.labels`, or what is taken where none is named. */
    readonly by: ModelMetric | null;
  };
  /** How long the version is watched after it has taken all traffic. */
  readonly watch: ModelStage;
  readonly live: {
    readonly slowerBy: number;
    /** Share of rows that may fail beyond those of the current version. */
    readonly errors: number;
    readonly drift: boolean;
    /** Least share of shadow answers that are like the current version's; null: told, not judged. */
    readonly agreement: number | null;
    /** Metrics of delayed labels; null: not judged. */
    readonly labels: ModelLiveLabels | null;
  };
  readonly lookMs: number;
  /** Probability that a version as good as the current one is stopped, all gates, stages and looks together. */
  readonly falseStops: number;
  /** How sure a gate must be that a version is not worse, beyond the margin, before it lets it pass. */
  readonly confidence: number;
}

/** What delayed labels must show of a version while it has traffic. */
export interface ModelLiveLabels {
  /** How much worse than the current version a metric may be that is not named. */
  readonly margin: number;
  /** Labels of each version that a verdict needs. */
  readonly leastRows: number;
  /** None: accuracy where labels are 0 and 1, r2 where they are other values. */
  readonly metrics: readonly ModelMetricGate[];
  /** Of the groups of `watch.labels`; null: not judged. */
  readonly fairness: ModelFairness | null;
}

export type RetrainTrigger =
  | { readonly kind: 'drift' /** Any of these; none: any column. */; readonly columns: readonly string[] }
  | { readonly kind: 'records'; readonly count: number }
  | { readonly kind: 'cron'; readonly expression: string; readonly timezone: string };

export interface ModelRetraining {
  readonly on: readonly RetrainTrigger[];
  /** Stream of rows with their truth. */
  readonly stream: string;
  /** The latest rows that are learnt from. */
  readonly mostRows: number;
  readonly leastRows: number;
  /** What a retraining because of drift waits for: rows of the new period. */
  readonly fresh: {
    readonly rows: number;
    /** How much later than its prediction a row comes; null: as late as `watch.labels` have come. */
    readonly afterMs: number | null;
    /** How long it waits at most. */
    readonly atMostMs: number;
  };
  /** What is learnt, and how. */
  readonly spec: Json;
}

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

type Fields = { readonly [name: string]: Json };

/**
 * Reads what a user says about operating a model, in an app or over HTTP, and fills in the defaults. Durations are texts such as
 * `'5m'` or milliseconds. Throws INVALID_INPUT with every problem.
 */
export function readModelOperations(value: Json): ModelOperations {
  const problems: InputProblem[] = [];
  const root = new Reader(value, '', problems, ['watch', 'gates', 'release', 'retrain']);
  const operations: ModelOperations = {
    watch: readWatch(root.group('watch', WATCH)),
    gates: root.has('gates') ? readGates(root.group('gates', GATES)) : null,
    release: readRelease(root.group('release', RELEASE)),
    retrain: root.has('retrain') ? readRetraining(root.group('retrain', RETRAIN)) : null,
  };
  checkLabels(operations, problems);
  if (problems.length === 0) return operations;
  const message = problems.map(({ path, message: each }) => `${path || '/'} ${each}`).join('; ');
  throw new MillraceError('INVALID_INPUT', `How the model is operated cannot be used: ${message}.`, {
    errors: problems,
  });
}

const WATCH = ['window', 'falseAlarms', 'psi', 'missing', 'outOfRange', 'learn', 'labels'];
const LABELS = ['from', 'key', 'label', 'output', 'threshold', 'within', 'groups', 'margin', 'bias'];
const GATES = ['heldBack', 'label', 'output', 'threshold', 'metrics', 'latency', 'fairness', 'rows'];
const STAGE = ['for', 'rows', 'atMost'];
const RELEASE = ['shadow', 'canary', 'watch', 'live', 'look', 'falseStops', 'confidence'];
const RETRAIN = ['on', 'from', 'rows', 'least', 'fresh', 'spec'];

function readWatch(watch: Reader): ModelWatch {
  const window = watch.group('window', ['rows', 'every', 'least']);
  const byRows = window.has('rows');
  return {
    windowRows: byRows || !window.has('every') ? window.number('rows', 10_000, 1, 1e9) : null,
    windowMs: window.has('every') || !byRows ? window.duration('every', HOUR_MS) : null,
    leastRows: window.number('least', 500, 1, 1e9),
    falseAlarms: watch.number('falseAlarms', 0.001, 1e-12, 1),
    psi: watch.number('psi', 0.1, 0, 100),
    missing: watch.number('missing', 0.02, 0, 1),
    outOfRange: watch.number('outOfRange', 0.02, 0, 1),
    learnRows: watch.number('learn', 2000, 10, 1e6),
    labels: watch.has('labels') ? readLabels(watch.group('labels', LABELS)) : null,
  };
}

const readTruth = (group: Reader): ModelTruth => ({
  output: group.text('output', null),
  threshold: group.number('threshold', 0.5, -1e300, 1e300),
});

const readLabels = (labels: Reader): ModelLabels => ({
  ...readTruth(labels),
  stream: labels.required('from'),
  key: labels.required('key'),
  label: labels.required('label'),
  withinMs: labels.duration('within', 30 * 24 * HOUR_MS),
  groups: labels.texts('groups'),
  margin: labels.number('margin', 0.02, 0, 1),
  bias: readFairness(labels.group('bias', ['of', 'gap', 'margin']), 'group', 'accuracy'),
});

const FAIRNESS_OF = ['selection', 'truePositives', 'falsePositives', 'accuracy'] as const;

const readFairness = (fairness: Reader, by: string, of: ModelFairness['of']): ModelFairness => ({
  by,
  of: fairness.oneOf('of', FAIRNESS_OF, of),
  gap: fairness.number('gap', 0.1, 0, 1),
  margin: fairness.number('margin', 0.05, 0, 1),
});

function readGates(gates: Reader): ModelGates {
  const metrics = gates.group('metrics', MODEL_METRICS);
  const latency = gates.group('latency', ['p99', 'slowerBy']);
  const fairness = gates.group('fairness', ['by', 'of', 'gap', 'margin']);
  return {
    ...readTruth(gates),
    heldBack: gates.text('heldBack', null),
    label:
      gates.has('metrics') || gates.has('heldBack')
        ? gates.required('label')
        : (gates.text('label', '') ?? ''),
    metrics: readMetrics(metrics, 0.02),
    latency: {
      p99Ms: latency.has('p99') ? latency.duration('p99', 0) : null,
      slowerBy: latency.number('slowerBy', 1.5, 1, 1000),
    },
    fairness: gates.has('fairness') ? readFairness(fairness, fairness.required('by'), 'selection') : null,
    leastRows: gates.number('rows', 200, 10, 1e9),
  };
}

/** All of a class, or all of a value: a model predicts one of them. */
function readMetrics(metrics: Reader, margin: number): readonly ModelMetricGate[] {
  const named = MODEL_METRICS.filter((metric) => metrics.has(metric));
  const value = named.find((metric) => VALUE_METRICS.has(metric));
  const other = named.find((metric) => !VALUE_METRICS.has(metric));
  if (value && other) {
    metrics.problem(value, `is of a value, and ${other} of a class: a model predicts one of them`);
  }
  return named.map((metric) => readMetric(metrics, metric, margin));
}

function readMetric(metrics: Reader, metric: ModelMetric, margin: number): ModelMetricGate {
  const side = LOWER_IS_BETTER.has(metric) ? 'atMost' : 'atLeast';
  const gate = metrics.group(metric, [side, 'margin', 'relative']);
  return {
    metric,
    limit: gate.has(side) ? gate.number(side, 0, -1e300, 1e300) : null,
    margin: gate.number('margin', margin, 0, 1e300),
    relative: gate.flag('relative', true),
  };
}

function readStage(stage: Reader, forMs: number): ModelStage {
  return {
    forMs: stage.duration('for', forMs),
    leastRows: stage.number('rows', 500, 1, 1e9),
    atMostMs: stage.duration('atMost', 24 * HOUR_MS),
  };
}

function readRelease(release: Reader): ModelRelease {
  const shadow = release.group('shadow', [...STAGE, 'share']);
  const canary = release.group('canary', [...STAGE, 'kind', 'weight', 'by']);
  const live = release.group('live', ['slowerBy', 'errors', 'drift', 'agreement', 'labels']);
  return {
    shadow: { ...readStage(shadow, 60_000), share: shadow.number('share', 1, 0.001, 1) },
    canary: {
      ...readStage(canary, 300_000),
      kind: canary.oneOf('kind', ['canary', 'ab'], 'canary'),
      weight: canary.number('weight', 10, 0.01, 99.99),
      by: canary.has('by') ? canary.oneOf('by', MODEL_METRICS, 'accuracy') : null,
    },
    watch: readStage(release.group('watch', STAGE), 600_000),
    live: {
      slowerBy: live.number('slowerBy', 1.5, 1, 1000),
      errors: live.number('errors', 0.005, 0, 1),
      drift: live.flag('drift', true),
      agreement: live.has('agreement') ? live.number('agreement', 1, 0, 1) : null,
      labels: live.has('labels')
        ? readLiveLabels(live.group('labels', ['margin', 'rows', 'metrics', 'fairness']))
        : null,
    },
    lookMs: release.duration('look', 10_000),
    falseStops: release.number('falseStops', 0.005, 1e-9, 0.5),
    confidence: release.number('confidence', 0.95, 0.5, 0.999_999),
  };
}

function readLiveLabels(labels: Reader): ModelLiveLabels {
  const margin = labels.number('margin', 0.02, 0, 1e300);
  const fairness = labels.group('fairness', ['of', 'gap', 'margin']);
  return {
    margin,
    leastRows: labels.number('rows', 500, 10, 1e9),
    metrics: readMetrics(labels.group('metrics', MODEL_METRICS), margin),
    fairness: labels.has('fairness') ? readFairness(fairness, 'group', 'selection') : null,
  };
}

/** What judges by labels needs to be told where they come from. */
function checkLabels({ watch, release }: ModelOperations, problems: InputProblem[]): void {
  const { live, canary } = release;
  const needs = (path: string, what: string): void =>
    void problems.push({ path: `/release/${path}`, message: `needs ${what}` });
  if (live.labels && !watch.labels) needs('live/labels', 'watch.labels: where the truth comes from');
  if (canary.kind === 'ab' && !watch.labels)
    needs('canary', 'watch.labels: an A/B test is decided by labels');
  if (live.labels?.fairness && watch.labels?.groups.length === 0) {
    needs('live/labels/fairness', 'watch.labels.groups: the columns that group the rows');
  }
}

function readRetraining(retrain: Reader): ModelRetraining {
  const triggers = retrain.list('on');
  const on = triggers.flatMap((_, index) => readTrigger(retrain.item('on', index)));
  if (on.length === 0) retrain.problem('on', 'needs one trigger or more: drift, records or cron');
  const leastRows = retrain.number('least', 1000, 10, 10_000_000);
  const fresh = retrain.group('fresh', ['rows', 'after', 'atMost']);
  const spec = retrain.raw('spec');
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) {
    retrain.problem('spec', 'must be an object: what is learnt, and how');
  }
  return {
    on,
    stream: retrain.required('from'),
    mostRows: retrain.number('rows', 100_000, 10, 10_000_000),
    leastRows,
    fresh: {
      rows: fresh.number('rows', Math.ceil(leastRows / 5), 0, 10_000_000),
      afterMs: fresh.has('after') ? fresh.duration('after', 0) : null,
      atMostMs: fresh.duration('atMost', 30 * 24 * HOUR_MS),
    },
    spec: spec ?? {},
  };
}

function readTrigger(trigger: Reader): RetrainTrigger[] {
  if (!trigger.has('kind')) trigger.problem('kind', 'is needed: drift, records or cron');
  const kind = trigger.oneOf('kind', ['drift', 'records', 'cron'], 'drift');
  if (kind === 'records') return [{ kind, count: trigger.number('count', 0, 1, 1e15) }];
  if (kind === 'cron') {
    return [
      {
        kind,
        expression: trigger.required('expression'),
        timezone: trigger.text('timezone', 'UTC') ?? 'UTC',
      },
    ];
  }
  return [{ kind, columns: trigger.texts('columns') }];
}

/** Reads fields; what is wrong becomes a problem, and the default is taken. */
class Reader {
  readonly #fields: Fields;
  readonly #path: string;
  readonly #problems: InputProblem[];

  constructor(
    value: Json | undefined,
    path: string,
    problems: InputProblem[],
    known: readonly string[] | undefined,
  ) {
    this.#path = path;
    this.#problems = problems;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    this.#fields = isObject ? (value as Fields) : {};
    if (value !== undefined && !isObject) problems.push({ path, message: 'must be an object' });
    for (const name of known ? Object.keys(this.#fields) : []) {
      if (!known!.includes(name)) this.problem(name, `is not known here; there is ${known!.join(', ')}`);
    }
  }

  problem(name: string, message: string): void {
    this.#problems.push({ path: `${this.#path}/${name}`, message });
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined && this.#fields[name] !== null;
  }

  raw(name: string): Json | undefined {
    return this.#fields[name];
  }

  group(name: string, known: readonly string[]): Reader {
    return new Reader(
      this.has(name) ? this.#fields[name] : undefined,
      `${this.#path}/${name}`,
      this.#problems,
      known,
    );
  }

  /** A list; a single thing is a list of one. */
  list(name: string): readonly Json[] {
    if (!this.has(name)) return [];
    const value = this.#fields[name]!;
    return Array.isArray(value) ? (value as readonly Json[]) : [value];
  }

  item(name: string, index: number): Reader {
    const known = ['kind', 'columns', 'count', 'expression', 'timezone', 'millrace'];
    return new Reader(this.list(name)[index], `${this.#path}/${name}/${index}`, this.#problems, known);
  }

  number(name: string, preset: number, min: number, max: number): number {
    if (!this.has(name)) return preset;
    const value = this.#fields[name];
    if (typeof value === 'number' && value >= min && value <= max) return value;
    this.problem(name, `must be a number from ${min} to ${max}`);
    return preset;
  }

  duration(name: string, presetMs: number): number {
    if (!this.has(name)) return presetMs;
    try {
      const ms = parseDurationMs(this.#fields[name] as string | number);
      if (ms > 0 && ms <= YEAR_MS) return ms;
      this.problem(name, 'must be longer than nothing and at most a year');
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      this.problem(name, "must be a duration such as '5m'");
    }
    return presetMs;
  }

  flag(name: string, preset: boolean): boolean {
    if (!this.has(name)) return preset;
    const value = this.#fields[name];
    if (typeof value !== 'boolean') this.problem(name, 'must be true or false');
    return value === true;
  }

  text<Preset extends string | null>(name: string, preset: Preset): string | Preset {
    if (!this.has(name)) return preset;
    const value = this.#fields[name];
    if (typeof value === 'string' && value !== '') return value;
    this.problem(name, 'must be text');
    return preset;
  }

  required(name: string): string {
    if (!this.has(name)) this.problem(name, 'is needed');
    return this.text(name, '');
  }

  texts(name: string): readonly string[] {
    const texts = this.list(name);
    const wrong = texts.some((each) => typeof each !== 'string');
    if (wrong) this.problem(name, 'must be a list of texts');
    return wrong ? [] : (texts as readonly string[]);
  }

  oneOf<const Choice extends string>(name: string, choices: readonly Choice[], preset: Choice): Choice {
    if (!this.has(name)) return preset;
    const value = this.#fields[name];
    if (choices.includes(value as Choice)) return value as Choice;
    this.problem(name, `must be one of ${choices.join(', ')}`);
    return preset;
  }
}

/** Everything by its default: watched, and released without gates. */
export const DEFAULT_OPERATIONS: ModelOperations = readModelOperations({});

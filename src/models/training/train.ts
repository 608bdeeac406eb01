import type { HashedText } from '../../kernel/index.ts';
import { buildReference, type Reference } from '../watch/reference.ts';
import { type Column, checkDataset, type Dataset, type Rows, takeRows } from './dataset.ts';
import { GraphBuilder } from './export/graph.ts';
import type { Fitted, OnProgress } from './fitted.ts';
import { learn } from './learn.ts';
import { TEXT_DEFAULTS } from './learners/text.ts';
import { accuracy, auc, averagePrecision, logLoss, rootMeanSquaredError, rSquared } from './metrics.ts';
import { checkSpec, DEFAULT_HOLDOUT, LABEL_KINDS, type TrainingSpec } from './spec.ts';
import { holdBack } from './split.ts';

/** Key of `metadata_props` with what inputs and outputs looked like: drift is measured against it. */
const REFERENCE_KEY = 'millrace.reference';

/** What training gives, all of it plain data. */
export interface Training {
  /** The model as an ONNX file; its `metadata_props` name the columns under `millrace.features`. */
  readonly onnx: Uint8Array;
  /** Measured on the rows held back, which the model has not seen; empty where none were. */
  readonly metrics: { readonly [name: string]: number };
  /** Each column's part of what was learnt, adding up to 1. */
  readonly importance: { readonly [column: string]: number };
  /** What inputs and outputs looked like, for drift. */
  readonly reference: Reference;
  /** Rows learnt from, and rows held back. */
  readonly rows: { readonly trained: number; readonly heldBack: number };
  readonly facts: { readonly [name: string]: number };
  /** How the model wants to be served. */
  readonly serving: { readonly missing: boolean; readonly preprocess?: { readonly counts: HashedText } };
}

export interface TrainedModel extends Training {
  /** Numbers per row, `[row × outputs + output]`: probabilities by class, a value, a score, or distances by cluster. */
  predict(rows: Rows): Float64Array;
}

/**
 * Learns a model here and now; in a platform, `Trainer` does it in a worker. The same dataset and spec give the same bytes.
 * Throws INVALID_INPUT for rows or settings that do not fit, and whatever `onProgress` throws.
 */
export function trainModel(spec: TrainingSpec, dataset: Dataset, onProgress?: OnProgress): TrainedModel {
  checkSpec(spec);
  checkDataset(dataset);
  const part = LABEL_KINDS[spec.algorithm] === 'none' ? 0 : (spec.holdout ?? DEFAULT_HOLDOUT);
  const { train, held } = holdBack(dataset, part, spec);
  const fitted = learn(spec, train, onProgress);
  const graph = new GraphBuilder();
  fitted.build(graph, train.texts ? '' : graph.columns(train.columns));
  const names = train.columns.map(({ name }) => name);
  const reference = referenceOf(spec, fitted, train);
  const metadata = {
    ...featuresOf(train.columns),
    ...fitted.metadata,
    [REFERENCE_KEY]: JSON.stringify(reference),
  };
  return {
    onnx: graph.encode(metadata),
    metrics: held ? measure(fitted, held) : {},
    importance: fitted.importance
      ? Object.fromEntries(names.map((name, place) => [name, fitted.importance![place]!]))
      : {},
    reference,
    rows: { trained: train.rows, heldBack: held?.rows ?? 0 },
    facts: fitted.facts ?? {},
    serving: train.texts ? textServing(spec) : { missing: true },
    predict: fitted.predict,
  };
}

/** Names of the columns: for rows as objects (`millrace.features`), and for explanations (`millrace.columns`). */
function featuresOf(columns: readonly Column[]): { readonly [key: string]: string } {
  if (columns.length === 0) return {};
  const names = JSON.stringify(columns.map(({ name }) => name));
  const isMatrix = columns.every(({ kind }) => kind === 'number');
  return { ...(isMatrix ? { 'millrace.features': names } : {}), 'millrace.columns': names };
}

/** What counts the n-grams of a text before the model sees it. */
function textServing({ settings, features }: TrainingSpec): Training['serving'] {
  const { size, words, lowercase } = { ...TEXT_DEFAULTS, ...(settings as Partial<typeof TEXT_DEFAULTS>) };
  const from = features?.[0] ?? 'text';
  return { missing: false, preprocess: { counts: { kind: 'hashed-ngrams', from, size, words, lowercase } } };
}

function measure(fitted: Fitted, held: Dataset): { [name: string]: number } {
  const { rows, label, classes } = held;
  if (!label) return {};
  const answers = fitted.predict(held);
  if (!classes) {
    return withoutGaps({ rmse: rootMeanSquaredError(label, answers), rSquared: rSquared(label, answers) });
  }
  const metrics = {
    accuracy: accuracy(label, answers, classes.length),
    logLoss: logLoss(label, answers, classes.length),
  };
  if (classes.length !== 2) return metrics;
  const second = Float64Array.from({ length: rows }, (_, row) => answers[2 * row + 1]!);
  return withoutGaps({
    ...metrics,
    auc: auc(label, second),
    averagePrecision: averagePrecision(label, second),
  });
}

/** Metrics that the rows held back cannot tell, such as the AUC of a single class, are left out. */
function withoutGaps(metrics: { [name: string]: number }): { [name: string]: number } {
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));
}

/** The name that serving gives to each number of an answer. */
const OUTPUT_NAMES: { readonly [algorithm: string]: string } = {
  'isolation-forest': 'score',
  'k-means': 'distances',
};

/** Rows that a reference is made of, spread evenly: more would change its counts by less than a thousandth. */
const REFERENCE_ROWS = 20_000;

/** Rows as they were where they came from: where they have weights, a sample in which a row stands as often as it weighs. */
function referenceRows(whole: Dataset): Dataset {
  const { rows } = whole;
  const weights = whole.referenceWeights ?? whole.weights;
  if (weights) return takeRows(whole, drawByWeight(weights));
  const step = rows / REFERENCE_ROWS;
  if (step <= 1) return whole;
  return takeRows(
    whole,
    Int32Array.from({ length: REFERENCE_ROWS }, (_, place) => Math.floor(place * step)),
  );
}

/** Systematic sampling, of as many rows as the weighted ones are worth (Kish, Survey Sampling, 1965: `(Σw)² / Σw²`). */
function drawByWeight(weights: Float64Array): Int32Array {
  let [sum, squares] = [0, 0];
  for (const weight of weights) {
    sum += weight;
    squares += weight * weight;
  }
  const worth = squares > 0 ? Math.round(sum ** 2 / squares) : 0;
  const size = Math.min(REFERENCE_ROWS, worth);
  let [row, upTo] = [0, weights[0] ?? 0];
  return Int32Array.from({ length: size }, (_, place) => {
    const point = ((place + 0.5) * sum) / size;
    while (upTo < point && row < weights.length - 1) upTo += weights[++row]!;
    return row;
  });
}

function referenceOf({ algorithm }: TrainingSpec, fitted: Fitted, whole: Dataset): Reference {
  const dataset = referenceRows(whole);
  const { columns, rows, classes } = dataset;
  const answers = fitted.predict(dataset);
  const { outputs } = fitted;
  const name = classes ? 'probabilities' : (OUTPUT_NAMES[algorithm] ?? 'value');
  const output = (place: number) => ({
    name: outputs === 1 ? name : `${name}.${place}`,
    values: Float64Array.from({ length: rows }, (_, row) => answers[row * outputs + place]!),
  });
  return buildReference(
    columns.map(referenceColumn),
    Array.from({ length: outputs }, (_, place) => output(place)),
  );
}

function referenceColumn(column: Column): { name: string; values: ArrayLike<number | string | null> } {
  if (column.kind === 'number') return column;
  return { name: column.name, values: Array.from(column.values, (code) => column.categories[code] ?? null) };
}

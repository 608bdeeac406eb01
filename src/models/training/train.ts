import { MillraceError, seededRandom } from '../../kernel/index.ts';
import { buildReference, type Reference } from '../watch/reference.ts';
import { type Column, checkDataset, type Dataset, takeRows } from './dataset.ts';
import { GraphBuilder } from './export/graph.ts';
import type { Fitted, OnProgress } from './fitted.ts';
import { fitBoostedTrees } from './learners/boosted-trees.ts';
import { accuracy, auc, averagePrecision, logLoss, rootMeanSquaredError, rSquared } from './metrics.ts';
import { boostingSettings, DEFAULT_HOLDOUT, type TrainingSpec } from './spec.ts';

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
}

export interface TrainedModel extends Training {
  /** Numbers per row, `[row × outputs + output]`: probabilities by class, or a value. */
  predict(columns: readonly Column[], rows: number): Float64Array;
}

/**
 * Learns a model here and now; in a platform, `Trainer` does it in a worker. The same dataset and spec give the same bytes.
 * Throws INVALID_INPUT for rows or settings that do not fit, and whatever `onProgress` throws.
 */
export function trainModel(spec: TrainingSpec, dataset: Dataset, onProgress?: OnProgress): TrainedModel {
  checkDataset(dataset);
  const { train, held } = holdBack(spec, dataset);
  const fitted = fit(spec, train, onProgress);
  const graph = new GraphBuilder();
  fitted.build(graph, graph.columns(train.columns));
  const names = train.columns.map(({ name }) => name);
  return {
    onnx: graph.encode(metadataOf(train.columns)),
    metrics: held ? measure(fitted, held) : {},
    importance: Object.fromEntries(names.map((name, place) => [name, fitted.importance?.[place] ?? 0])),
    reference: referenceOf(fitted, train),
    rows: { trained: train.rows, heldBack: held?.rows ?? 0 },
    facts: fitted.facts ?? {},
    predict: fitted.predict,
  };
}

function metadataOf(columns: readonly Column[]): { readonly [key: string]: string } {
  const isMatrix = columns.every(({ kind }) => kind === 'number');
  return isMatrix ? { 'millrace.features': JSON.stringify(columns.map(({ name }) => name)) } : {};
}

function fit(spec: TrainingSpec, dataset: Dataset, onProgress: OnProgress | undefined): Fitted {
  const settings = boostingSettings(spec);
  const stopsEarly = settings.earlyStoppingRounds > 0;
  const { train, held } = stopsEarly
    ? holdBack({ ...spec, holdout: 0.1 }, dataset)
    : { train: dataset, held: undefined };
  return fitBoostedTrees(withLabel(spec, train), settings, held, onProgress);
}

function withLabel(spec: TrainingSpec, dataset: Dataset): Dataset & { readonly label: Float64Array } {
  if (dataset.label) return { ...dataset, label: dataset.label };
  const message = `${spec.algorithm} learns to predict a column: name it as the label.`;
  throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/label', message }] });
}

/** Parts the rows. Each side keeps at least one row; with none to be held back, all are learnt from. */
function holdBack(
  spec: TrainingSpec,
  dataset: Dataset,
): { readonly train: Dataset; readonly held: Dataset | undefined } {
  const part = spec.holdout ?? DEFAULT_HOLDOUT;
  if (!(part >= 0 && part < 1)) {
    const message = `holdout is ${part}; give the part of the rows to hold back, from 0 to below 1.`;
    throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/holdout', message }] });
  }
  const count = Math.round(dataset.rows * part);
  if (count === 0 || count === dataset.rows) return { train: dataset, held: undefined };
  const order = Int32Array.from({ length: dataset.rows }, (_, row) => row);
  if (spec.split !== 'last') shuffle(order, spec.seed ?? 1);
  const kept = dataset.rows - count;
  // Rows stay in their order: learning from them must not depend on how the split was drawn.
  return {
    train: takeRows(dataset, order.slice(0, kept).sort()),
    held: takeRows(dataset, order.slice(kept).sort()),
  };
}

function shuffle(order: Int32Array, seed: number): void {
  const random = seededRandom(seed);
  for (let place = order.length - 1; place > 0; place--) {
    const other = random.integer(place + 1);
    [order[place], order[other]] = [order[other]!, order[place]!];
  }
}

function measure(fitted: Fitted, { columns, rows, label, classes }: Dataset): { [name: string]: number } {
  if (!label) return {};
  const answers = fitted.predict(columns, rows);
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

function referenceOf(fitted: Fitted, { columns, rows, classes }: Dataset): Reference {
  const answers = fitted.predict(columns, rows);
  const output = (place: number): Float64Array =>
    Float64Array.from({ length: rows }, (_, row) => answers[row * fitted.outputs + place]!);
  const outputs = classes
    ? classes.map((_, place) => ({ name: `probabilities.${place}`, values: output(place) }))
    : [{ name: 'value', values: output(0) }];
  return buildReference(columns.map(referenceColumn), outputs);
}

function referenceColumn(column: Column): { name: string; values: ArrayLike<number | string | null> } {
  if (column.kind === 'number') return column;
  return { name: column.name, values: Array.from(column.values, (code) => column.categories[code] ?? null) };
}

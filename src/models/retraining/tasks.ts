import type { TaskContext } from '../../kernel/index.ts';
import { type Dataset, readRows, type Training, type TrainingSpec, trainModel } from '../training/index.ts';
import type { Reference } from '../watch/reference.ts';
import { freshWeights, heldBackPlaces, type Parting } from './fresh.ts';
import type { HistoryPage } from './history.ts';

/** A task of the platform's workers: training takes seconds to minutes. */

export interface LearnInput {
  readonly spec: TrainingSpec;
  readonly pages: readonly HistoryPage[];
  readonly parting: Parting;
}

export interface Learnt extends Trained {
  /** Of the latest rows, one JSON object a line, which the model has not seen: it is judged by them. */
  readonly heldBack: Uint8Array<ArrayBuffer>;
  readonly rows: { readonly learnt: number; readonly fresh: number; readonly heldBack: number };
}

export interface TrainInput {
  readonly spec: TrainingSpec;
  /** Rows with their truth, one JSON object a line. */
  readonly lines: Uint8Array;
}

export interface Trained {
  readonly onnx: Uint8Array;
  readonly metrics: { readonly [name: string]: number };
  readonly reference: Reference;
  /** How the model wants to be served. */
  readonly serving: Training['serving'];
}

/**
 * Learns from the history of a stream, in the order of time; of what was written at the same time, partition by partition. Rows of a
 * period that has drifted count for as much as all before them, and what drift is measured against is made of them alone.
 */
export function learn({ spec, pages, parting }: LearnInput, { transfer }: TaskContext): Learnt {
  const records = pages.flatMap(recordsOf);
  records.sort((a, b) => a.timeMs - b.timeMs || a.partition - b.partition);
  const { freshFromMs } = parting;
  const held = heldBackPlaces(
    records.map(({ timeMs }) => timeMs),
    parting,
  );
  const learnt = records.filter((_, place) => !held.has(place));
  const judging = records.filter((_, place) => held.has(place));
  const heldBack = new Uint8Array(Buffer.from(judging.map(({ value }) => value).join('\n')));
  const isNew = learnt.map(({ timeMs }) => freshFromMs !== null && timeMs >= freshFromMs);
  const trained = trainRows(
    spec,
    learnt.map(({ value }) => value),
    isNew,
  );
  transfer.push(heldBack.buffer);
  const fresh = isNew.filter(Boolean).length;
  return { ...trained, heldBack, rows: { learnt: learnt.length, fresh, heldBack: judging.length } };
}

function recordsOf({ partition, values, ends, timesMs }: HistoryPage) {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return Array.from(ends, (end, at) => ({
    partition,
    timeMs: timesMs[at]!,
    // Line breaks inside JSON are white space: blanks keep it on one line.
    value: bytes.toString('utf8', at === 0 ? 0 : ends[at - 1], end).replaceAll('\n', ' '),
  }));
}

export function train({ spec, lines }: TrainInput): Trained {
  const text = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength).toString('utf8');
  return trainRows(
    spec,
    text.split('\n').filter((line) => line !== ''),
  );
}

function trainRows(spec: TrainingSpec, lines: readonly string[], isNew: readonly boolean[] = []): Trained {
  const rows = lines.map((line): unknown => JSON.parse(line));
  const dataset = readRows(rows, spec);
  // The rows to judge it by have been put aside already.
  const { onnx, metrics, reference, serving } = trainModel(
    { holdout: 0, ...spec },
    isNew.includes(true) ? ofNewPeriod(dataset, isNew) : dataset,
  );
  return { onnx, metrics, reference, serving };
}

function ofNewPeriod(dataset: Dataset, isNew: readonly boolean[]): Dataset {
  const { weights } = dataset;
  const referenceWeights = Float64Array.from(isNew, (each, row) => (each ? (weights?.[row] ?? 1) : 0));
  return { ...dataset, weights: freshWeights(isNew, weights), referenceWeights };
}

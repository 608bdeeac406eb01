import type { TaskContext } from '../../kernel/index.ts';
import { readRows, type Training, type TrainingSpec, trainModel } from '../training/index.ts';
import type { Reference } from '../watch/reference.ts';
import type { HistoryPage } from './history.ts';

/** A task of the platform's workers: training takes seconds to minutes. */

export interface LearnInput {
  readonly spec: TrainingSpec;
  readonly pages: readonly HistoryPage[];
}

export interface Learnt extends Trained {
  /** The latest rows, one JSON object a line, which the model has not seen: it is judged by them. */
  readonly heldBack: Uint8Array<ArrayBuffer>;
  readonly rows: { readonly learnt: number; readonly heldBack: number };
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

/** The latest part of the rows is put aside. */
const HELD_BACK = 0.2;

/** Learns from the history of a stream, in the order of time; of what was written at the same time, partition by partition. */
export function learn({ spec, pages }: LearnInput, { transfer }: TaskContext): Learnt {
  const records = pages.flatMap(recordsOf);
  records.sort((a, b) => a.timeMs - b.timeMs || a.partition - b.partition);
  const cut = Math.floor(records.length * (1 - HELD_BACK));
  const values = (from: number, to: number): string[] => records.slice(from, to).map(({ value }) => value);
  const heldBack = new Uint8Array(Buffer.from(values(cut, records.length).join('\n')));
  const trained = trainRows(spec, values(0, cut));
  transfer.push(heldBack.buffer);
  return { ...trained, heldBack, rows: { learnt: cut, heldBack: records.length - cut } };
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

function trainRows(spec: TrainingSpec, lines: readonly string[]): Trained {
  const rows = lines.map((line): unknown => JSON.parse(line));
  // The rows to judge it by have been put aside already.
  const { onnx, metrics, reference, serving } = trainModel({ holdout: 0, ...spec }, readRows(rows, spec));
  return { onnx, metrics, reference, serving };
}

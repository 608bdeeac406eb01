import { type Json, MillraceError, type TaskContext } from '../../kernel/index.ts';
import type { Column, Dataset } from '../training/index.ts';
import { type TrainingSpec, trainModel } from '../training/index.ts';
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
  const rows = lines.map((line) => JSON.parse(line) as Row);
  // The rows to judge it by have been put aside already.
  const { onnx, metrics, reference } = trainModel({ holdout: 0, ...spec }, datasetOf(rows, spec));
  return { onnx, metrics, reference };
}

type Row = { readonly [column: string]: Json };

/** Rows column by column: numbers and flags as numbers, anything else as categories. */
export function datasetOf(rows: readonly Row[], { label, features, weight }: TrainingSpec): Dataset {
  const names = features ?? [...new Set(rows.flatMap((row) => Object.keys(row)))].sort();
  const columns = names
    .filter((name) => name !== label && name !== weight)
    .map((name) => columnOf(rows, name));
  return {
    rows: rows.length,
    columns,
    ...(label === undefined ? {} : labelOf(rows, label)),
    ...(weight === undefined ? {} : { weights: Float64Array.from(rows, (row) => Number(row[weight])) }),
  };
}

const isNumeric = (value: Json | undefined): boolean =>
  value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean';

function columnOf(rows: readonly Row[], name: string): Column {
  const value = (row: Row): number => {
    const found = row[name];
    return found === null || found === undefined ? Number.NaN : Number(found);
  };
  if (rows.every((row) => isNumeric(row[name]))) {
    return { name, kind: 'number', values: Float32Array.from(rows, value) };
  }
  const texts = rows.map((row) =>
    row[name] === null || row[name] === undefined ? undefined : String(row[name]),
  );
  const categories = [...new Set(texts.filter((text) => text !== undefined))].sort();
  const places = new Map(categories.map((category, at) => [category, at]));
  const values = Int32Array.from(texts, (text) => (text === undefined ? -1 : places.get(text)!));
  return { name, kind: 'category', values, categories };
}

/** Few whole numbers, flags or texts are classes; other numbers are values. */
function labelOf(rows: readonly Row[], label: string): Pick<Dataset, 'label' | 'classes'> {
  const texts = rows.map((row) =>
    String(typeof row[label] === 'boolean' ? Number(row[label]) : (row[label] ?? '')),
  );
  const found = [...new Set(texts)].sort((a, b) => Number(a) - Number(b) || (a < b ? -1 : 1));
  if (found.includes('')) {
    const message = `Some rows have no '${label}', which is what is to be learnt. Publish only rows whose truth is known.`;
    throw new MillraceError('INVALID_INPUT', message, {
      errors: [{ path: `/${label}`, message: 'is missing' }],
    });
  }
  const numbers = texts.map(Number);
  if (found.length > 20 && numbers.every(Number.isFinite)) return { label: Float64Array.from(numbers) };
  const places = new Map(found.map((text, at) => [text, at]));
  return { label: Float64Array.from(texts, (text) => places.get(text)!), classes: found };
}

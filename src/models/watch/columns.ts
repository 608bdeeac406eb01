import { isTensor, type Tensor, type Value } from '../tensor.ts';
import { type CellValue, type Encoder, encoderOf } from './cells.ts';
import type { ColumnReference } from './reference.ts';

/** Inputs or outputs of some rows, by name. */
export type Batch = { readonly [name: string]: Value };

/** Where a column is found: `at` inside each row of a tensor, or under `key` of each row's map. */
export interface ColumnSource {
  readonly column: string;
  readonly value: string;
  readonly at: number;
  readonly key?: string | number | bigint;
}

/** Inputs with more columns than this (images, texts) are not watched column by column. */
export const MOST_WATCHED = 1000;

/**
 * The columns of a batch: an input of one value a row by its name; of several as `name.0`, `name.1`, or by the names of the
 * features where there is one input with as many columns; of a map as `name.key`.
 */
export function columnsOf(batch: Batch, rows: number, features?: readonly string[]): ColumnSource[] {
  const names = Object.keys(batch);
  return names.flatMap((name): ColumnSource[] => {
    const value = batch[name]!;
    if (!isTensor(value)) return mapColumns(name, value, rows);
    const stride = rows === 0 ? 0 : value.data.length / rows;
    if (!Number.isInteger(stride) || stride === 0 || stride > MOST_WATCHED || value.dims[0] !== rows)
      return [];
    const named = names.length === 1 && features?.length === stride ? features : undefined;
    return Array.from({ length: stride }, (_, at) => {
      const column = named?.[at] ?? (value.dims.length === 1 || stride === 1 ? name : `${name}.${at}`);
      return { column, value: name, at };
    });
  });
}

function mapColumns(name: string, value: Exclude<Value, Tensor>, rows: number): ColumnSource[] {
  const first = value.kind === 'sequence' && value.items.length === rows ? value.items[0] : undefined;
  if (!first || isTensor(first) || first.kind !== 'map' || first.entries.size > MOST_WATCHED) return [];
  return [...first.entries.keys()].map((key, at) => ({ column: `${name}.${key}`, value: name, at, key }));
}

/** One value of a row, for whoever needs it as it is. */
export function valueAt(
  batch: Batch,
  { value, at, key }: ColumnSource,
  row: number,
  rows: number,
): CellValue {
  const found = batch[value];
  if (!found) return undefined;
  if (isTensor(found)) return found.data[(row * found.data.length) / rows + at];
  const item = found.kind === 'sequence' ? found.items[row] : undefined;
  if (!item || isTensor(item) || item.kind !== 'map') return undefined;
  const entry = item.entries.get(key!);
  return typeof entry === 'object' ? undefined : entry;
}

/** Puts the columns of batches into blocks of encoded rows. */
export interface BatchEncoder {
  /** Rows `from` to `to` of the batch into the block, from its row `start` on. */
  encode(batch: Batch, rows: number, from: number, to: number, block: Float32Array, start: number): void;
}

/**
 * Encodes the columns of a reference into places `offset` and on of rows that are `width` long. A column that the batches have
 * not is missing in every row.
 */
export function createBatchEncoder(
  columns: readonly ColumnReference[],
  sources: readonly ColumnSource[],
  offset: number,
  width: number,
): BatchEncoder {
  const runs = runsOf(columns, sources, offset);
  return {
    encode(batch, rows, from, to, block, start) {
      for (const run of runs) {
        const found = run.source && batch[run.source.value];
        const begin = start * width + run.place;
        if (run.numeric && found && isTensor(found) && found.data instanceof Float32Array) {
          copyNumbers(found.data, rows, from, to, run, block, begin, width);
        } else encodeValues(batch, rows, from, to, run, block, begin, width);
      }
    },
  };
}

/** Columns that stand side by side in the batch and in the block alike. */
interface Run {
  /** Of the first of them; undefined: the batches have not got it. */
  readonly source: ColumnSource | undefined;
  readonly numeric: boolean;
  /** Place of the first in a row of the block. */
  readonly place: number;
  readonly encoders: Encoder[];
}

function runsOf(
  columns: readonly ColumnReference[],
  sources: readonly ColumnSource[],
  offset: number,
): readonly Run[] {
  const byName = new Map(sources.map((source) => [source.column, source]));
  const runs: Run[] = [];
  for (const [index, column] of columns.entries()) {
    const source = byName.get(column.name);
    const numeric = column.kind === 'numeric';
    const last = runs.at(-1);
    const goesOn =
      last?.source &&
      source?.key === undefined &&
      last.source.key === undefined &&
      last.numeric === numeric &&
      last.source.value === source?.value &&
      last.source.at + last.encoders.length === source.at;
    if (goesOn) last.encoders.push(encoderOf(column));
    else runs.push({ source, numeric, place: offset + index, encoders: [encoderOf(column)] });
  }
  return runs;
}

function encodeValues(
  batch: Batch,
  rows: number,
  from: number,
  to: number,
  { source, encoders }: Run,
  block: Float32Array,
  begin: number,
  width: number,
): void {
  for (const [index, encode] of encoders.entries()) {
    const own = source && { ...source, at: source.at + index };
    for (let row = from, place = begin + index; row < to; row++, place += width) {
      block[place] = encode(own && valueAt(batch, own, row, rows));
    }
  }
}

function copyNumbers(
  data: Float32Array,
  rows: number,
  from: number,
  to: number,
  { source, encoders }: Run,
  block: Float32Array,
  begin: number,
  width: number,
): void {
  const stride = data.length / rows;
  const count = encoders.length;
  for (let row = from, place = begin; row < to; row++, place += width) {
    const read = row * stride + source!.at;
    for (let column = 0; column < count; column++) {
      const value = data[read + column]!;
      // Infinities are missing, as in the reference.
      block[place + column] = value - value === 0 ? value : Number.NaN;
    }
  }
}

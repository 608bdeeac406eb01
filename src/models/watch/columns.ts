import { isTensor, type Tensor, type Value } from '../tensor.ts';
import { type CellValue, encoderOf } from './cells.ts';
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
  const byName = new Map(sources.map((source) => [source.column, source]));
  const plan = columns.map((column) => ({
    source: byName.get(column.name),
    numeric: column.kind === 'numeric',
    encode: encoderOf(column),
  }));
  return {
    encode(batch, rows, from, to, block, start) {
      for (let index = 0; index < plan.length; index++) {
        const { source, numeric, encode } = plan[index]!;
        const found = source && batch[source.value];
        let place = start * width + offset + index;
        if (numeric && found && isTensor(found) && found.data instanceof Float32Array) {
          place = copyNumbers(found.data, rows, from, to, source.at, block, place, width);
          continue;
        }
        for (let row = from; row < to; row++, place += width) {
          block[place] = encode(found && valueAt(batch, source, row, rows));
        }
      }
    },
  };
}

function copyNumbers(
  data: Float32Array,
  rows: number,
  from: number,
  to: number,
  at: number,
  block: Float32Array,
  start: number,
  width: number,
): number {
  const stride = data.length / rows;
  let place = start;
  for (let row = from, read = from * stride + at; row < to; row++, read += stride, place += width) {
    const value = data[read]!;
    // Infinities are missing, as in the reference.
    block[place] = value - value === 0 ? value : Number.NaN;
  }
  return place;
}

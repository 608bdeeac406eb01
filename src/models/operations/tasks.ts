import type { Json, TaskContext } from '../../kernel/index.ts';
import { parseRows, truthOf } from './rows.ts';

/** A task of the platform's workers: a file of rows takes too long to read on the main thread. */

export interface PrepareInput {
  readonly bytes: Uint8Array;
  /** Column of the truth; null: only counted. */
  readonly label: string | null;
  /** Column that groups the rows; null: none. */
  readonly by: string | null;
}

export interface Prepared {
  readonly rows: number;
  /** Rows without their truth, as JSON lists of so many: little to parse at a time. */
  readonly pages: readonly Uint8Array<ArrayBuffer>[];
  readonly labels: Float64Array<ArrayBuffer>;
  readonly groups: readonly string[] | null;
}

/** Rows of a page. */
export const PAGE_ROWS = 250;

/** Reads rows; those whose truth is not known are left out. Throws INVALID_INPUT. */
export function prepare({ bytes, label, by }: PrepareInput, { transfer }: TaskContext): Prepared {
  const all = parseRows(bytes);
  if (label === null) return { rows: all.length, pages: [], labels: new Float64Array(0), groups: null };
  const rows = all.filter((row) => !Number.isNaN(truthOf(row[label])));
  const pages: Uint8Array<ArrayBuffer>[] = [];
  for (let start = 0; start < rows.length; start += PAGE_ROWS) {
    const inputs = rows.slice(start, start + PAGE_ROWS).map(({ [label]: _, ...row }): Json => row);
    pages.push(new Uint8Array(Buffer.from(JSON.stringify(inputs))));
  }
  const labels = Float64Array.from(rows, (row) => truthOf(row[label]));
  transfer.push(labels.buffer, ...pages.map(({ buffer }) => buffer));
  const groups = by === null ? null : rows.map((row) => String(row[by] ?? ''));
  return { rows: rows.length, pages, labels, groups };
}

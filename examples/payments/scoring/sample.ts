import { MODEL_COLUMNS } from '../features/row.ts';
import type { Waiting } from './cell.ts';

/** From this score on every payment is learnt from; of the others, which are most, one in `ONE_IN`, which counts for all of them. */
const SUSPECT_FROM = 0.1;
const ONE_IN = 10;

/**
 * What is kept of a payment that is learnt from. It is chosen before its truth is known and weighted by the inverse of its chance,
 * so the sample looks like the whole (Horvitz and Thompson, 1952): keeping all frauds, and few others, would need the features of
 * every payment for a week.
 */
export function learnable(
  id: number,
  score: number,
  values: readonly number[],
): Pick<Waiting, 'values' | 'weight'> | undefined {
  const weight = score >= SUSPECT_FROM ? 1 : ONE_IN;
  if (id % weight !== 0) return undefined;
  return { weight, values: values.map((value) => Number(value.toPrecision(6))) };
}

/** A payment as the model learns from it: its columns, the truth, and how many payments it stands for. */
export function labelledRow(
  values: readonly number[],
  weight: number,
  fraud: boolean,
): { readonly [column: string]: number } {
  const columns = Object.fromEntries(MODEL_COLUMNS.map((name, place) => [name, values[place]!]));
  return { ...columns, fraud: fraud ? 1 : 0, weight };
}

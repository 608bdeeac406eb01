import type { ModelRetraining } from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import { countRows } from './history.ts';
import type { RetrainRun } from './store.ts';

/** Of the new period, one in so many rows judges and the others are learnt from. */
const HELD_BACK_OF = 3;
/** A row of the new period counts at most as much as so many others. */
const MOST_WEIGHT = 10;

/** How many records of the run's rows were written at or after a time. */
export async function countSince(streams: Streams, stream: string, sinceMs: number): Promise<number> {
  const { bounds } = streams.describe(stream);
  const positions: { from: number; to: number }[] = [];
  for (const [partition, { lastStableOffset }] of bounds.entries()) {
    const from = await streams.resolvePosition({ topic: stream, partition }, new Date(sinceMs).toISOString());
    positions.push({ from: Math.min(from, lastStableOffset), to: lastStableOffset });
  }
  return countRows(positions);
}

/** Whether the truth of the new period is there, or has been waited for long enough. */
export async function isFresh(
  streams: Streams,
  { freshFromMs, startedMs }: RetrainRun,
  { stream, fresh }: ModelRetraining,
  nowMs: number,
): Promise<boolean> {
  if (freshFromMs === null || nowMs - startedMs >= fresh.atMostMs) return true;
  return nowMs >= freshFromMs && (await countSince(streams, stream, freshFromMs)) >= fresh.rows;
}

/** How the rows are shared out between learning and judging. */
export interface Parting {
  /** Of the latest rows, this part judges. */
  readonly part: number;
  /** Rows written from then on are of a new period; null: there is none. */
  readonly freshFromMs: number | null;
  /** Rows that the gates need. */
  readonly leastRows: number;
}

/**
 * Which rows judge, as places in the order of time: the last `part` of them. Where there is a new period, one in three of its rows, because
 * it is what the next version has to learn and to be judged by, and as many of the latest before it (more, where the gates need them): judged
 * mostly by the time before, a version that has learnt the new one would be stopped for it.
 */
export function heldBackPlaces(timesMs: readonly number[], parting: Parting): Set<number> {
  const { part, freshFromMs, leastRows } = parting;
  const size = timesMs.length;
  const before = freshFromMs === null ? size : timesMs.filter((timeMs) => timeMs < freshFromMs).length;
  const held = new Set<number>();
  for (let place = size - HELD_BACK_OF; place >= before; place -= HELD_BACK_OF) held.add(place);
  const most = before - Math.floor(before * (1 - part));
  const wanted = held.size === 0 ? most : Math.max(held.size, leastRows - held.size);
  for (let place = before - 1; place >= before - Math.min(most, wanted); place--) held.add(place);
  return held;
}

/** Weights under which the rows of the new period count for as much as all others together, as far as that is sound. */
export function freshWeights(isNew: readonly boolean[], weights: Float64Array | undefined): Float64Array {
  const before = weights ?? new Float64Array(isNew.length).fill(1);
  let [fresh, others] = [0, 0];
  for (const [row, weight] of before.entries()) {
    if (isNew[row]) fresh += weight;
    else others += weight;
  }
  const factor = fresh > 0 ? Math.min(MOST_WEIGHT, Math.max(1, others / fresh)) : 1;
  return before.map((weight, row) => (isNew[row] ? weight * factor : weight));
}

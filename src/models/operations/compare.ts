import type { ModelTruth } from '../../kernel/index.ts';
import type { Values } from '../inference.port.ts';
import { decodeRows } from '../rows/decode.ts';
import { isTensor } from '../tensor.ts';
import { scoreOf } from './rows.ts';

/** Rows of which an output is not a finite number. */
export function countUnfinished(outputs: Values, rows: number): number {
  const unfinished = new Set<number>();
  for (const value of Object.values(outputs)) {
    if (!isTensor(value) || !(value.data instanceof Float32Array || value.data instanceof Float64Array))
      continue;
    const stride = Math.max(1, value.data.length / rows);
    for (let at = 0; at < value.data.length; at++) {
      if (!Number.isFinite(value.data[at]!)) unfinished.add(Math.floor(at / stride));
    }
  }
  return unfinished.size;
}

/** How many rows two versions decided alike: on the same side of the threshold. */
export function countAlike(
  one: Values,
  other: Values,
  rows: number,
  { output, threshold }: ModelTruth,
): number {
  const [first, second] = [decodeRows(one, rows), decodeRows(other, rows)];
  let alike = 0;
  for (let row = 0; row < rows; row++) {
    const scores = [scoreOf(first[row]!, output), scoreOf(second[row]!, output)] as const;
    if (scores[0] >= threshold === scores[1] >= threshold && !scores.some(Number.isNaN)) alike++;
  }
  return alike;
}

/** Answers of a call wait here for those of its shadow, whichever comes first. */
export interface Pairs<Item> {
  /** The other one, when it is here already. */
  meet(call: number, side: 'current' | 'candidate', item: Item): Item | undefined;
}

/** Calls that wait for their other half; the oldest are given up, because a shadow may be refused or fail. */
const MOST_WAITING = 1000;

export function createPairs<Item>(): Pairs<Item> {
  const waiting = new Map<number, { readonly side: string; readonly item: Item }>();
  return {
    meet(call, side, item) {
      const there = waiting.get(call);
      if (there && there.side !== side) {
        waiting.delete(call);
        return there.item;
      }
      waiting.set(call, { side, item });
      if (waiting.size > MOST_WAITING) waiting.delete(waiting.keys().next().value!);
      return undefined;
    },
  };
}

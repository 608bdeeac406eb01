import type { Clock, ModelServing } from '../../kernel/index.ts';
import type { Prediction } from '../rows/decode.ts';

/** Predictions of one version by the key of their row, for a while; the ones used longest ago make room. */
export interface PredictionCache {
  /** The key of a row; undefined for a row that has none. */
  keyOf(row: unknown): string | undefined;
  get(key: string): Prediction | undefined;
  set(key: string, prediction: Prediction): void;
  readonly size: number;
}

/** Keys longer than this are rows that come only once. */
const LONGEST_KEY = 4096;

export function createPredictionCache(
  { ttlMs, entries, key }: NonNullable<ModelServing['cache']>,
  clock: Clock,
): PredictionCache {
  const held = new Map<string, { readonly prediction: Prediction; readonly untilMs: number }>();
  return {
    keyOf(row) {
      const value = key === undefined ? row : (row as { readonly [field: string]: unknown } | null)?.[key];
      const text = value === undefined ? undefined : (JSON.stringify(value) as string | undefined);
      return text !== undefined && text.length <= LONGEST_KEY ? text : undefined;
    },
    get(text) {
      const found = held.get(text);
      if (!found) return undefined;
      held.delete(text);
      if (found.untilMs <= clock.monotonic()) return undefined;
      held.set(text, found);
      return found.prediction;
    },
    set(text, prediction) {
      held.delete(text);
      held.set(text, { prediction, untilMs: clock.monotonic() + ttlMs });
      if (held.size > entries) held.delete(held.keys().next().value!);
    },
    get size() {
      return held.size;
    },
  };
}

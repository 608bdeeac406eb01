import type { Values } from '../inference.port.ts';
import { createExplainer, type Explainer, type Explanation } from './explainer.ts';

export interface ExplainInput {
  /** Tells versions apart: what was read of one is kept for the next rows. */
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly inputs: Values;
  readonly features: readonly string[] | undefined;
}

/** Versions that a worker keeps ready. */
const MOST_KEPT = 8;
const kept = new Map<string, Explainer>();

/** Runs in a worker: contributions of many rows take longer than the main thread may be held. */
export function explainRows({ version, bytes, inputs, features }: ExplainInput): readonly Explanation[] {
  const explainer = kept.get(version) ?? createExplainer(bytes);
  kept.delete(version);
  kept.set(version, explainer);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  return explainer.explain(inputs, features);
}

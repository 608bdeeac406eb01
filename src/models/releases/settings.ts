import { DEFAULT_OPERATIONS, type ModelGates, type ModelRelease } from '../../kernel/index.ts';

/** What a version must show before and while it takes traffic. */
export interface ReleaseSettings extends ModelRelease {
  readonly gates: Pick<ModelGates, 'metrics' | 'latency' | 'fairness' | 'leastRows'>;
  /** Key of the blob with the held-back rows; left out: those of the model. */
  readonly heldBack?: string;
}

export const DEFAULT_RELEASE: ReleaseSettings = {
  ...DEFAULT_OPERATIONS.release,
  gates: { metrics: [], latency: { p99Ms: null, slowerBy: 1.5 }, fairness: null, leastRows: 200 },
};

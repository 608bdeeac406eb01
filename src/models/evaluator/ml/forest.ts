/** How a node decides; the last stands for one that does not. A node's mode is a place in this list. */
export const MODES = ['LEQ', 'LT', 'GTE', 'GT', 'EQ', 'NEQ', 'MEMBER', 'LEAF'] as const;
export type Mode = (typeof MODES)[number];
export const LEAF = MODES.indexOf('LEAF');

export type Aggregate = 'SUM' | 'AVERAGE' | 'MIN' | 'MAX';

/**
 * Trees as a file has them, a column for each thing that it says of nodes: tests with two children, and leaves with weights
 * for some targets. Columns, because there are tens of thousands of nodes, and an object for each would take longer than
 * all the rest of loading a model.
 */
export interface Forest {
  /** By node: its place in `MODES`. */
  readonly mode: Uint8Array;
  readonly feature: Int32Array;
  readonly value: Float64Array;
  /** Of MEMBER nodes: the values that go to the true child. */
  readonly members: ReadonlyMap<number, readonly number[]>;
  /** 1: a missing value (NaN) goes to the true child, beyond what the test says. */
  readonly missingTrue: Uint8Array;
  /** Nodes; -1 for none. */
  readonly whenTrue: Int32Array;
  readonly whenFalse: Int32Array;
  /** Weights of a node lie from `weightStart[node]` to `weightStart[node + 1]`. */
  readonly weightStart: Int32Array;
  readonly weightTarget: Int32Array;
  readonly weight: Float64Array;
  readonly roots: Int32Array;
  readonly targets: number;
  readonly aggregate: Aggregate;
}

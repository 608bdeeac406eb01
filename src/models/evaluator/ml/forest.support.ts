import { type Aggregate, type Forest, MODES, type Mode } from './forest.ts';

/** A node of a tree as one would write it down; a forest has columns. */
export interface TreeNode {
  readonly mode: Mode;
  readonly feature: number;
  readonly value: number;
  readonly members?: readonly number[];
  readonly missingTrue: boolean;
  readonly whenTrue: number;
  readonly whenFalse: number;
  readonly weights: readonly { readonly target: number; readonly weight: number }[];
}

export interface Trees {
  readonly nodes: readonly TreeNode[];
  readonly roots: readonly number[];
  readonly targets: number;
  readonly aggregate: Aggregate;
}

export function forestOf({ nodes, roots, targets, aggregate }: Trees): Forest {
  const weights = nodes.flatMap((node) => node.weights);
  const weightStart = new Int32Array(nodes.length + 1);
  for (const [index, node] of nodes.entries()) {
    weightStart[index + 1] = weightStart[index]! + node.weights.length;
  }
  return {
    mode: Uint8Array.from(nodes, ({ mode }) => MODES.indexOf(mode)),
    feature: Int32Array.from(nodes, ({ feature }) => feature),
    value: Float64Array.from(nodes, ({ value }) => value),
    members: new Map(nodes.map(({ members = [] }, index) => [index, members])),
    missingTrue: Uint8Array.from(nodes, ({ missingTrue }) => Number(missingTrue)),
    whenTrue: Int32Array.from(nodes, ({ whenTrue }) => whenTrue),
    whenFalse: Int32Array.from(nodes, ({ whenFalse }) => whenFalse),
    weightStart,
    weightTarget: Int32Array.from(weights, ({ target }) => target),
    weight: Float64Array.from(weights, ({ weight }) => weight),
    roots: Int32Array.from(roots),
    ...{ targets, aggregate },
  };
}

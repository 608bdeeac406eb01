import type { Rows } from './dataset.ts';
import type { GraphBuilder } from './export/graph.ts';

/** What learning gives: answers for rows, and a graph that gives the same answers anywhere. */
export interface Fitted {
  /** Numbers per row: probabilities by class, a value, a score, or distances by cluster. */
  readonly outputs: number;
  /** `[row × outputs + output]`. The columns are those that were learnt from, in the same order. */
  predict(rows: Rows): Float64Array;
  /** Adds nodes that take the matrix of columns (of texts: none) and end in the model's outputs. */
  build(graph: GraphBuilder, columns: string): void;
  /** How much each column counts, adding up to 1; absent where that cannot be said. */
  readonly importance?: Float64Array;
  /** More of the file's `metadata_props`. */
  readonly metadata?: { readonly [key: string]: string };
  /** Facts about how it was learnt, such as rounds kept. */
  readonly facts?: { readonly [name: string]: number };
}

/** Called now and then while learning. Throws to end it. */
export type OnProgress = (progress: Progress) => void;

export interface Progress {
  /** Steps done, and how many there are at most: rounds, epochs, iterations. */
  readonly done: number;
  readonly of: number;
  /** What is made small, on the rows held back where there are any. */
  readonly loss?: number;
}

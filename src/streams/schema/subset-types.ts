import type { InputProblem, Json, JsonSchema } from '../../kernel/index.ts';

export type Node = { readonly [keyword: string]: Json };

export interface Comparison {
  /** The first reason why a value of `narrow` may not fit `wide`; undefined when all fit. */
  problem(narrow: JsonSchema, wide: JsonSchema, path: string): InputProblem | undefined;
}

/** What one side says of a value: every node must hold. */
export interface Conjunction {
  readonly nodes: readonly Node[];
  readonly types: ReadonlySet<string>;
}

export const isNode = (value: Json | undefined): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

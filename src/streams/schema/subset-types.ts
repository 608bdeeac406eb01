import type { InputProblem, Json, JsonSchema } from '../../kernel/index.ts';

export type Node = { readonly [keyword: string]: Json };

/** How two schemas are compared where the plain question, whether every value fits, has two answers in the field. */
export interface ComparisonRules {
  /** What an open object holds beside the members it lists: nothing (C4), or anything. */
  readonly undeclared: 'absent' | 'any';
  /** A required member counts as optional where it has a default. */
  readonly defaultsFill: boolean;
}

export const STREAM_RULES: ComparisonRules = { undeclared: 'absent', defaultsFill: false };

export interface Comparison {
  readonly rules: ComparisonRules;
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

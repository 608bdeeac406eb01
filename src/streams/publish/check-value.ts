import type { InputProblem, Json, JsonSchema } from '../../kernel/index.ts';
import { valueProblems } from '../schema/compile.ts';

/** A task for platform workers: the problems of one large value. The schema has been compiled, and so checked, before. */
export function checkValue(input: {
  readonly schema: JsonSchema;
  readonly value: Uint8Array;
}): readonly InputProblem[] {
  const { schema, value } = input;
  return valueProblems(schema, JSON.parse(Buffer.from(value).toString()) as Json);
}

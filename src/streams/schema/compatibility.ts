import {
  type CompatibilityMode,
  type InputProblem,
  type JsonSchema,
  MillraceError,
} from '../../kernel/index.ts';
import type { SchemaVersion } from '../service.ts';
import { createComparison } from './subset.ts';

/** Why a value of `narrow` may not fit `wide`; undefined when every one does. */
export function subsetProblem(narrow: JsonSchema, wide: JsonSchema): InputProblem | undefined {
  return createComparison(narrow, wide).problem(narrow, wide, '');
}

const describe = ({ path, message }: InputProblem): string =>
  `${path === '' ? 'the value' : path} ${message}`;

/**
 * Backward: what was written under an earlier schema fits the next, so new readers read old records. Forward: what
 * the next allows fits the earlier, so old readers read new records. Full: both. The transitive modes hold against
 * every version, the others against the latest.
 */
function problemsAgainst(mode: CompatibilityMode, earlier: JsonSchema, next: JsonSchema): InputProblem[] {
  const problems: InputProblem[] = [];
  if (/^(?:backward|full)/.test(mode)) {
    const found = subsetProblem(earlier, next);
    if (found) problems.push({ ...found, message: `(old records) ${found.message}` });
  }
  if (/^(?:forward|full)/.test(mode)) {
    const found = subsetProblem(next, earlier);
    if (found) problems.push({ ...found, message: `(old readers) ${found.message}` });
  }
  return problems;
}

/**
 * Throws SCHEMA_INCOMPATIBLE. A stream without a schema allows everything. Assumes that records hold no members which their
 * schema does not declare: a publisher that sent undeclared members of another type may be refused later.
 */
export function checkEvolution(
  name: string,
  mode: CompatibilityMode,
  versions: readonly SchemaVersion[],
  current: JsonSchema | undefined,
  next: JsonSchema | undefined,
): void {
  if (mode === 'none' || current === undefined) return;
  const earlier = mode.endsWith('-transitive') ? versions.map(({ schema }) => schema) : [current];
  for (const schema of earlier.toReversed()) {
    const errors = problemsAgainst(mode, schema, next ?? true);
    const first = errors[0];
    if (!first) continue;
    throw new MillraceError(
      'SCHEMA_INCOMPATIBLE',
      `The new schema of '${name}' is not ${mode} compatible: ${describe(first)}. Change it so that it is, publish to a new stream, or define the stream with compatibility 'none'.`,
      { errors },
    );
  }
}

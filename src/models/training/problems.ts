import { type InputProblem, MillraceError } from '../../kernel/index.ts';

/** Throws INVALID_INPUT if there are problems: the sentence tells the first, `errors` all. */
export function refuse(what: string, problems: readonly InputProblem[]): void {
  const [first] = problems;
  if (!first) return;
  const place = first.path.slice(1).replaceAll('/', '.');
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const told = place === '' ? first.message : `${place} ${first.message}`;
  throw new MillraceError('INVALID_INPUT', `${what}: ${told}${more}.`, { errors: problems });
}

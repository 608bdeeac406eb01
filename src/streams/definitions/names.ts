import { LIMITS, MillraceError } from '../../kernel/index.ts';

export const INTERNAL_PREFIX = 'millrace.';

/** Where records go that do not fit a stream which diverts them. */
export const invalidStreamOf = (name: string): string => `${name}.invalid`;

function refuse(name: string, why: string): never {
  const message = `'${name.slice(0, 300)}' cannot name a stream: ${why}.`;
  throw new MillraceError('STREAM_NAME_INVALID', message, { errors: [{ path: '/name', message: why }] });
}

/** Throws STREAM_NAME_INVALID. The rules are those of Kafka's topic names, so that every client can use every stream. */
export function checkName(name: string, internal: boolean): void {
  if (name === '' || name === '.' || name === '..') refuse(name, 'a name must be more than dots');
  if (name.length > LIMITS.nameLength) refuse(name, `a name has at most ${LIMITS.nameLength} characters`);
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    refuse(name, 'a name is made of letters, digits, dots, underscores and dashes');
  if (name.startsWith(INTERNAL_PREFIX) && !internal) {
    refuse(name, `names that begin with '${INTERNAL_PREFIX}' are the platform's own`);
  }
}

/** Levenshtein distance, in one row. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const substitution = row[j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[right.length]!;
}

/** The name most like `name`, when one is near enough to be what was meant. Looks at no more than 10,000. */
export function nearestName(name: string, names: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let best = Math.max(2, Math.floor(name.length / 3)) + 1;
  let looked = 0;
  for (const candidate of names) {
    if (looked++ === 10_000 || name.length > LIMITS.nameLength) break;
    if (Math.abs(candidate.length - name.length) >= best) continue;
    const apart = distance(name.toLowerCase(), candidate.toLowerCase());
    if (apart < best) [nearest, best] = [candidate, apart];
  }
  return nearest;
}

export function streamNotFound(name: string, names: Iterable<string>): MillraceError {
  const nearest = nearestName(name, names);
  const remedy = nearest
    ? `Did you mean '${nearest}'?`
    : `Create it with POST /streams or export stream('${name}') from an app.`;
  return new MillraceError('STREAM_NOT_FOUND', `There is no stream '${name}'. ${remedy}`);
}

/** Checks the form of a cron expression and of a time zone; what the fields mean is the scheduler's matter. */

const FIELDS = {
  second: { min: 0, max: 59, names: [] },
  minute: { min: 0, max: 59, names: [] },
  hour: { min: 0, max: 23, names: [] },
  day: { min: 1, max: 31, names: [] },
  month: { min: 1, max: 12, names: 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ') },
  weekday: { min: 0, max: 7, names: 'SUN MON TUE WED THU FRI SAT'.split(' ') },
  year: { min: 1970, max: 2199, names: [] },
} as const;
type FieldName = keyof typeof FIELDS;

const FIVE: readonly FieldName[] = ['minute', 'hour', 'day', 'month', 'weekday'];
const DAY_MARKS = /^(\?|L|LW|\d+W|(\d|[A-Z]{3})L|(\d|[A-Z]{3})#[1-5])$/;

/** AWS's form ends with a year and marks one of day and weekday with `?`; otherwise the first of six is the second. */
function fieldNames(parts: readonly string[]): readonly FieldName[] | undefined {
  if (parts.length === 5) return FIVE;
  if (parts.length !== 6) return undefined;
  const withYear = parts.includes('?') || /\d{4}/.test(parts[5]!);
  return withYear ? [...FIVE, 'year'] : ['second', ...FIVE];
}

function valueProblem(text: string, name: FieldName): string | undefined {
  const { min, max, names } = FIELDS[name];
  if ((names as readonly string[]).includes(text)) return undefined;
  if (!/^\d+$/.test(text)) return `'${text}' is not a ${name}`;
  const value = Number(text);
  return value < min || value > max ? `${name} ${value} is not between ${min} and ${max}` : undefined;
}

function partProblem(part: string, name: FieldName): string | undefined {
  const [range = '', step, ...more] = part.split('/');
  if (more.length > 0 || (step !== undefined && !/^[1-9]\d*$/.test(step)))
    return `'${part}' has no valid step`;
  if (range === '*') return undefined;
  if ((name === 'day' || name === 'weekday') && DAY_MARKS.test(range)) return undefined;
  const [from = '', to, ...rest] = range.split('-');
  if (rest.length > 0) return `'${part}' is not a range`;
  return valueProblem(from, name) ?? (to === undefined ? undefined : valueProblem(to, name));
}

/** What is wrong with `expression`, or undefined. */
export function cronProblem(expression: string): string | undefined {
  const parts = expression.trim().toUpperCase().split(/\s+/);
  const names = fieldNames(parts);
  if (!names) return `has ${parts.length} fields; it needs five, or six with seconds or a year.`;
  for (const [index, field] of parts.entries()) {
    for (const part of field.split(',')) {
      const problem = partProblem(part, names[index]!);
      if (problem !== undefined) return `is '${expression}': ${problem}.`;
    }
  }
  return undefined;
}

export function timezoneProblem(timezone: string): string | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
    return undefined;
  } catch {
    return `is '${timezone}', which is not an IANA time zone such as 'Europe/Berlin'.`;
  }
}

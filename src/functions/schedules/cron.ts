import { Cron } from 'croner';

/** The due times of one schedule, milliseconds since the Unix epoch. */
export interface Calendar {
  /** The first due time after `afterMs`; undefined when there is none any more. */
  next(afterMs: number): number | undefined;
}

const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/**
 * A calendar of five fields (minute hour day month weekday), or six: with seconds in front, or as AWS writes them with a
 * year at the end, which is so where one field is `?` or the last is a year. AWS counts weekdays from 1 (Sunday); the
 * other forms count from 0 (Sunday), 7 being Sunday too. Where day and weekday are both given, either will do.
 *
 * Where clocks change: a time that the night skips comes at the first instant after the gap, and a time that comes twice
 * comes once, the first time. Expressions with `*`, lists, ranges or steps in minutes or hours follow real time instead:
 * skipped times are left out and repeated ones repeat.
 *
 * Throws an error that says what is wrong with the expression.
 */
export function cronCalendar(expression: string, timezone: string): Calendar {
  const cron = new Cron(withYear(expression), { timezone, paused: true, sloppyRanges: true });
  return { next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime() };
}

/** AWS's six fields as seven: seconds in front, and weekdays by name. */
function withYear(expression: string): string {
  const fields = expression.trim().toUpperCase().split(/\s+/);
  if (fields.length !== 6 || !(fields.includes('?') || /\d{4}/.test(fields[5]!))) return fields.join(' ');
  const [minute, hour, day, month, weekday, year] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return ['0', minute, hour, day, month, namedWeekdays(weekday), year].join(' ');
}

/** `2-6` → `MON-FRI`, `3L` → `TUEL`, `6#2` → `FRI#2`; numbers of `#` and steps stay. */
function namedWeekdays(field: string): string {
  return field.replace(/(^|[,-])([1-7])(?=$|[,\-#L/])/g, (_, before: string, number: string) => {
    return `${before}${WEEKDAYS[Number(number) - 1]}`;
  });
}

/** Multiples of the interval since the Unix epoch, so that restarts, deployments and other nodes agree on them. */
export function intervalCalendar(everyMs: number): Calendar {
  return { next: (afterMs) => (Math.floor(afterMs / everyMs) + 1) * everyMs };
}

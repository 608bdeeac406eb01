import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cronCalendar, intervalCalendar } from './cron.ts';

function dueTimes(expression: string, timezone: string, from: string, to: string): string[] {
  const calendar = cronCalendar(expression, timezone);
  const times: string[] = [];
  const end = Date.parse(to);
  for (let at = calendar.next(Date.parse(from)); at !== undefined && at < end; at = calendar.next(at)) {
    times.push(new Date(at).toISOString().slice(0, 16));
  }
  return times;
}

const localTime = (iso: string, timeZone: string): string =>
  new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' }).format(
    new Date(`${iso}Z`),
  );

describe('calendars', () => {
  for (const zone of [
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Asia/Kolkata',
    'America/St_Johns',
  ]) {
    it(`run a daily time once on every day of a year in ${zone}, also where clocks change`, () => {
      for (const [expression, wanted] of [
        ['30 2 * * *', '02:30'],
        ['0 12 * * *', '12:00'],
        ['15 1 * * *', '01:15'],
      ] as const) {
        const times = dueTimes(expression, zone, '2026-01-01T13:00:00Z', '2027-01-01T13:00:00Z');
        assert.equal(times.length, 365);
        const days = new Set(
          times.map((time) =>
            new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(new Date(`${time}Z`)),
          ),
        );
        assert.equal(days.size, 365);
        const elsewhere = times.filter((time) => localTime(time, zone) !== wanted);
        assert.ok(elsewhere.length <= 1, `${elsewhere}`);
      }
    });

    it(`follow real time hour by hour in ${zone}`, () => {
      const times = dueTimes('*/30 * * * *', zone, '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z');
      const gaps = times
        .slice(1)
        .map((time, index) => Date.parse(`${time}Z`) - Date.parse(`${times[index]}Z`));
      assert.deepEqual([...new Set(gaps)], [1_800_000]);
    });
  }

  it('run a skipped time at the end of the gap, and a repeated one the first time', () => {
    const zone = 'Europe/Berlin';
    assert.deepEqual(dueTimes('30 2 * * *', zone, '2026-03-28T12:00:00Z', '2026-03-30T12:00:00Z'), [
      '2026-03-29T01:00',
      '2026-03-30T00:30',
    ]);
    assert.deepEqual(dueTimes('30 2 * * *', zone, '2026-10-24T12:00:00Z', '2026-10-26T12:00:00Z'), [
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  const january = (expression: string) =>
    dueTimes(expression, 'UTC', '2025-12-31T23:59:59Z', '2026-02-01T00:00:00Z').map((time) => time.slice(8));

  it('read five fields, six with seconds in front, and six with the year at the end', () => {
    assert.deepEqual(january('0 3 1,2 * *'), ['01T03:00', '02T03:00']);
    assert.deepEqual(january('30 0 3 1 * *'), ['01T03:00']);
    assert.deepEqual(january('0 10 * * ? 2026').length, 31);
    assert.deepEqual(january('0 10 * * ? 2025'), []);
    assert.deepEqual(january('0 10 1 JAN * 2026-2027'), ['01T10:00']);
  });

  it('count weekdays from 0 or by name, and from 1 where AWS does', () => {
    const mondays = ['05', '12', '19', '26'].map((day) => `${day}T00:00`);
    assert.deepEqual(january('0 0 * * 1'), mondays);
    assert.deepEqual(january('0 0 * * MON'), mondays);
    assert.deepEqual(january('0 0 ? * 2 *'), mondays);
    assert.deepEqual(january('0 0 ? * MON *'), mondays);
    assert.deepEqual(january('0 0 * * 7'), january('0 0 * * 0'));
    assert.equal(january('0 0 ? * 2-6 *').length, 22);
  });

  it('know the last day, the nearest weekday and the nth weekday', () => {
    assert.deepEqual(january('0 0 L * *'), ['31T00:00']);
    assert.deepEqual(january('0 0 17W * *'), ['16T00:00']);
    assert.deepEqual(january('0 0 LW * *'), ['30T00:00']);
    assert.deepEqual(january('0 0 * * FRI#2'), ['09T00:00']);
    assert.deepEqual(january('0 0 ? * 6#2 *'), ['09T00:00']);
    assert.deepEqual(january('0 0 * * 5L'), ['30T00:00']);
  });

  it('take either of day and weekday where both are given, and steps from a number on', () => {
    assert.deepEqual(january('0 0 1 * 1'), ['01T00:00', '05T00:00', '12T00:00', '19T00:00', '26T00:00']);
    assert.deepEqual(january('0 20/2 1 * *'), ['01T20:00', '01T22:00']);
  });

  it('end where nothing is due ever again, and refuse what is no calendar', () => {
    assert.equal(cronCalendar('0 0 30 2 *', 'UTC').next(0), undefined);
    for (const wrong of ['* * *', '61 * * * *', '0 0 L-3 * *', 'a b c d e']) {
      assert.throws(() => cronCalendar(wrong, 'UTC'), wrong);
    }
  });

  it('put intervals at multiples since 1970, whenever they begin', () => {
    const calendar = intervalCalendar(300_000);
    const noon = Date.UTC(2026, 0, 1, 12);
    assert.equal(calendar.next(noon + 1), noon + 300_000);
    assert.equal(calendar.next(noon), noon + 300_000);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { manualClock } from './clock.ts';
import { ERROR_TABLE } from './error-table.ts';
import { isMillraceError, MillraceError, toProblem } from './errors.ts';
import { createIds } from './ids.ts';
import { type Random, seededRandom, systemRandom } from './random.ts';
import { onSignal, signal, signalled } from './signals.ts';
import { formatBytes, formatDuration, parseDurationMs, parseSizeBytes } from './units.ts';

describe('randomness', () => {
  for (const [name, random] of [
    ['system', systemRandom()],
    ['seeded', seededRandom(7)],
  ] as [string, Random][]) {
    it(`of the ${name} kind stays in its bounds and covers them`, () => {
      const counts = new Array<number>(6).fill(0);
      for (let count = 0; count < 6000; count++) {
        const float = random.float();
        assert.ok(float >= 0 && float < 1);
        counts[random.integer(6)]!++;
      }
      // Each count is 1,000 with a standard deviation of 29.
      assert.ok(
        counts.every((count) => count > 800 && count < 1200),
        String(counts),
      );
      assert.equal(random.bytes(33).length, 33);
    });
  }

  it('with the same seed is the same, with another another', () => {
    const draw = (seed: number): number[] => {
      const random = seededRandom(seed);
      return [random.float(), random.integer(1000), ...random.bytes(4)];
    };
    assert.deepEqual(draw(1), draw(1));
    assert.notDeepEqual(draw(1), draw(2));
  });
});

describe('identifiers', () => {
  it('sort by the time they were made and never repeat', () => {
    const clock = manualClock(0);
    const ids = createIds(clock, seededRandom(1));
    const made: string[] = [];
    for (let count = 0; count < 2000; count++) {
      made.push(ids.next());
      clock.advance(1 + (count % 90) * 1_000_000);
    }
    assert.deepEqual(made, made.toSorted());
    assert.equal(new Set(made).size, made.length);
    assert.ok(made.every((id) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(id)));
  });

  it('carry their time in the first ten characters', () => {
    const ids = createIds(manualClock(Date.UTC(2016, 6, 30, 22, 36, 16, 385)), seededRandom(1));
    assert.ok(ids.next().startsWith('01ARYZ6S41'), 'the example of the ULID specification');
  });

  it('for traces and spans are never all zero', () => {
    const zeroes: Random = { float: () => 0, integer: () => 0, bytes: (length) => new Uint8Array(length) };
    const ids = createIds(manualClock(), zeroes);
    assert.match(ids.traceId(), /^(?!0{32})[0-9a-f]{32}$/);
    assert.match(ids.spanId(), /^(?!0{16})[0-9a-f]{16}$/);
  });
});

describe('units', () => {
  it('read durations and sizes', () => {
    assert.deepEqual(
      ['250ms', '10s', '1.5m', '2 H', '7d', '1w', 40].map((each) => parseDurationMs(each)),
      [250, 10_000, 90_000, 7_200_000, 604_800_000, 604_800_000, 40],
    );
    assert.deepEqual(
      ['1b', '6mb', '1.5KB', '2gb', '1tb', 0].map((each) => parseSizeBytes(each)),
      [1, 6_291_456, 1536, 2_147_483_648, 1_099_511_627_776, 0],
    );
  });

  it('refuse anything else, with the place and an example', () => {
    for (const bad of ['', '10', 's', '-1s', '1x', '1e3s', -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const parse of [parseDurationMs, parseSizeBytes]) {
        assert.throws(
          () => parse(bad, '/timeout'),
          (error) => isMillraceError(error, 'INVALID_INPUT') && error.errors[0]?.path === '/timeout',
        );
      }
    }
  });

  it('never take one for the other', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom('kb', 'mb', 'gb'), (count, unit) => {
        assert.throws(() => parseDurationMs(`${count}${unit}`));
      }),
    );
  });

  it('write for people', () => {
    assert.deepEqual([0, 1023, 1536, 5 * 1024 ** 2, 200 * 1024 ** 3].map(formatBytes), [
      '0 B',
      '1023 B',
      '1.5 kB',
      '5.0 MB',
      '200 GB',
    ]);
    assert.deepEqual([0.5, 3.14, 250, 1500, 90_000, 3_600_000, 90_061_000].map(formatDuration), [
      '0.50ms',
      '3.1ms',
      '250ms',
      '1.5s',
      '1m 30s',
      '1h',
      '1d 1h',
    ]);
  });
});

describe('errors', () => {
  it('know their status and what to do', () => {
    const error = new MillraceError('STREAM_NOT_FOUND', 'There is no stream s.', { retryAfterMs: 5 });
    assert.deepEqual([error.status, error.action, error.retryAfterMs], [404, 'fix', 5]);
    assert.ok(isMillraceError(error) && isMillraceError(error, 'STREAM_NOT_FOUND'));
    assert.ok(!isMillraceError(error, 'INTERNAL') && !isMillraceError(new Error('x')));
  });

  it('become problem details', () => {
    const errors = [{ path: '/card', message: 'is missing' }];
    assert.deepEqual(toProblem(new MillraceError('INVALID_INPUT', 'It does not fit.', { errors })), {
      type: 'urn:millrace:error:INVALID_INPUT',
      title: ERROR_TABLE.INVALID_INPUT.title,
      status: 422,
      code: 'INVALID_INPUT',
      detail: 'It does not fit.',
      errors,
    });
  });

  it('that nobody expected show nothing of themselves', () => {
    for (const unexpected of [new Error('password=hunter2'), 'hunter2', undefined]) {
      const problem = toProblem(unexpected);
      assert.equal(problem.code, 'INTERNAL');
      assert.ok(!JSON.stringify(problem).includes('hunter2'));
    }
  });
});

describe('signals', () => {
  it('reach who listens, until they stop', () => {
    const heard: number[] = [];
    assert.equal(signalled('log.synced'), false);
    signal('log.synced', { bytes: 1, groups: 1, durationMs: 1 });
    const stop = onSignal('log.synced', ({ bytes }) => void heard.push(bytes));
    assert.equal(signalled('log.synced'), true);
    signal('log.synced', { bytes: 2, groups: 1, durationMs: 1 });
    stop();
    signal('log.synced', { bytes: 3, groups: 1, durationMs: 1 });
    assert.deepEqual([heard, signalled('log.synced')], [[2], false]);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { manualClock } from '../../kernel/index.ts';
import { createRateLimiter } from './rate-limit.ts';

const PER_MS = 60_000;

describe('a rate limit', () => {
  it('lets no more than its requests through in any window, and gives an allowance back at most a sixtieth late', () => {
    const pauses = fc.array(fc.integer({ min: 0, max: 30_000 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), pauses, (requests, each) => {
        const clock = manualClock();
        const limiter = createRateLimiter({ requests, perMs: PER_MS }, clock);
        const passed: number[] = [];
        for (const pauseMs of each) {
          clock.advance(pauseMs);
          const nowMs = clock.monotonic();
          const within = (windowMs: number) => passed.filter((atMs) => nowMs - atMs < windowMs).length;
          const { allowed } = limiter.take('one');
          if (allowed) assert.ok(within(PER_MS) < requests, 'over the limit');
          else assert.ok(within(PER_MS + PER_MS / 60) >= requests, 'refused without need');
          if (allowed) passed.push(nowMs);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('lets a burst of exactly its requests through, and the same again once the window is over', () => {
    const clock = manualClock();
    const limiter = createRateLimiter({ requests: 2000, perMs: 300_000 }, clock);
    const burst = () =>
      Array.from({ length: 2500 }, () => limiter.take('one')).filter(({ allowed }) => allowed);
    assert.equal(burst().length, 2000);
    clock.advance(299_999);
    assert.equal(burst().length, 0);
    clock.advance(1);
    assert.equal(burst().length, 2000);
  });

  it('counts clients apart, and forgets the one seen longest ago when there are too many', () => {
    const limiter = createRateLimiter({ requests: 1, perMs: PER_MS }, manualClock(), 3);
    const allowed = (client: string) => limiter.take(client).allowed;
    assert.deepEqual(['a', 'b', 'c', 'a'].map(allowed), [true, true, true, false]);
    // 'b' was seen longest ago; 'a' was just refused, which counts as being seen.
    assert.equal(allowed('d'), true);
    assert.deepEqual(['a', 'c', 'b'].map(allowed), [false, false, true]);
  });

  it('says what is left and when more will be', () => {
    const clock = manualClock();
    const limiter = createRateLimiter({ requests: 2, perMs: PER_MS }, clock);
    assert.equal(limiter.take('one').remaining, 1);
    clock.advance(10_000);
    assert.equal(limiter.take('one').remaining, 0);
    const { allowed, resetMs } = limiter.take('one');
    assert.equal(allowed, false);
    assert.equal(resetMs, 50_000);
  });
});

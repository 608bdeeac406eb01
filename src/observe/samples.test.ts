import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { memorySampleStore } from '../adapters/memory/index.ts';
import { type ManualClock, manualClock, signal } from '../kernel/index.ts';
import { bucketOf, HISTOGRAM_BUCKETS, middleOf, percentile } from './histogram.ts';
import { createSamples, type Samples } from './samples.ts';

const HOUR_MS = 3_600_000;

const invoked = (fn: string, durationMs: number, outcome: 'ok' | 'error' | 'throttled' = 'ok'): void =>
  signal('function.invoked', {
    ...{ app: 'cards', fn, version: '1', trigger: 'stream', outcome, durationMs, records: 1, cold: false },
    ...{ invocationId: 'i', traceId: 't' },
  });

const appended = (stream: string, records: number): void =>
  signal('stream.appended', { stream, partition: 0, records, bytes: records * 100 });

async function running(clock: ManualClock, store = memorySampleStore()): Promise<Samples> {
  const samples = createSamples({ store, clock });
  await samples.start!();
  return samples;
}

const over = AbortSignal.timeout(1000);

async function total(
  samples: Samples,
  clock: ManualClock,
  stepMs: number,
  backMs = 24 * HOUR_MS,
): Promise<number> {
  const toMs = clock.now() + 1;
  const found = await samples.query({
    kind: 'stream',
    name: 'payments',
    fromMs: toMs - backMs,
    toMs,
    stepMs,
  });
  return (found[0]?.points ?? []).reduce((sum, point) => sum + (point.counts['records'] ?? 0), 0);
}

describe('samples', () => {
  it('count streams, functions and routes from signals', async () => {
    const clock = manualClock();
    const samples = await running(clock);
    appended('payments', 5);
    for (let call = 0; call < 98; call++) invoked('score', 10);
    invoked('score', 900, 'error');
    invoked('score', 900);
    invoked('score', 0, 'throttled');
    signal('http.served', {
      door: 'api',
      route: '/streams',
      method: 'GET',
      status: 503,
      durationMs: 2,
      bytes: 9,
    });
    const toMs = clock.now() + 1;
    const found = await samples.query({ fromMs: toMs - 60_000, toMs });
    assert.deepEqual(
      found.map(({ kind, name }) => `${kind} ${name}`),
      ['function score', 'route api GET /streams', 'stream payments'],
    );
    const score = found[0]!.points[0]!;
    assert.deepEqual(score.counts, { invocations: 100, errors: 1, records: 100, throttled: 1 });
    assert.ok(Math.abs(score.p50Ms! - 10) / 10 < 0.05, `${score.p50Ms}`);
    assert.ok(Math.abs(score.p99Ms! - 900) / 900 < 0.05, `${score.p99Ms}`);
    assert.equal(found[1]!.points[0]!.counts['errors'], 1);
    await samples.stop!(over);
    appended('payments', 5);
    assert.equal(await total(samples, clock, 10_000), 5);
  });

  it('give the same total whatever the step, at every moment', async () => {
    const clock = manualClock();
    const samples = await running(clock);
    let told = 0;
    for (let minute = 0; minute < 150; minute++) {
      appended('payments', minute);
      told += minute;
      clock.advance(minute % 7 === 0 ? 61_000 : 53_000);
      for (const stepMs of minute % 25 === 0 ? [10_000, 60_000, 600_000, HOUR_MS, 2 * HOUR_MS] : []) {
        assert.equal(await total(samples, clock, stepMs), told, `step ${stepMs}, minute ${minute}`);
      }
    }
    await samples.stop!(over);
  });

  it('go on after a restart, the coarser steps included', async () => {
    const clock = manualClock();
    const store = memorySampleStore();
    let told = 0;
    for (let run = 0; run < 8; run++) {
      const samples = await running(clock, store);
      for (let turn = 0; turn < 30; turn++) {
        appended('payments', 3);
        told += 3;
        clock.advance(17_000);
      }
      for (const stepMs of [10_000, 60_000, 600_000, HOUR_MS]) {
        assert.equal(await total(samples, clock, stepMs), told, `run ${run}, step ${stepMs}`);
      }
      await samples.stop!(over);
      clock.advance(4000);
    }
  });

  it('lose nothing when the clock jumps', async () => {
    const clock = manualClock();
    const samples = await running(clock);
    const start = clock.now();
    for (const jumpMs of [0, 3 * HOUR_MS, -5 * HOUR_MS, 2 * HOUR_MS]) {
      clock.jump(clock.now() + jumpMs);
      appended('payments', 10);
      clock.advance(30_000);
    }
    const found = await samples.query({
      kind: 'stream',
      fromMs: start - 6 * HOUR_MS,
      toMs: clock.now() + 6 * HOUR_MS,
      stepMs: 60_000,
    });
    assert.equal(
      found[0]!.points.reduce((sum, point) => sum + point.counts['records']!, 0),
      40,
    );
    await samples.stop!(over);
  });

  it('tell what happens now', async () => {
    const clock = manualClock();
    const samples = await running(clock);
    assert.deepEqual([...samples.live('function').names()], []);
    for (let second = 0; second < 60; second++) {
      for (let call = 0; call < 20; call++) invoked('score', 5);
      clock.advance(1000);
    }
    const live = samples.live('function');
    assert.ok(Math.abs(live.rate('score', 'invocations') - 20) < 2);
    assert.ok(Math.abs(live.latency('score').p50Ms! - 5) < 0.25);
    assert.equal(live.history('score').length, 60);
    assert.equal(live.history('score').at(-1), 20);
    clock.advance(HOUR_MS);
    assert.equal(samples.live('function').rate('score', 'invocations'), 0);
    await samples.stop!(over);
  });

  it('refuse a question with too many points, and hold a bounded number of series', async () => {
    const clock = manualClock();
    const samples = await running(clock);
    const toMs = clock.now();
    const year = samples.query({ fromMs: toMs - 365 * 24 * HOUR_MS, toMs, stepMs: 10_000 });
    await assert.rejects(year, { code: 'BAD_REQUEST' });
    for (let index = 0; index < 10_500; index++) appended(`stream-${index}`, 1);
    assert.equal([...samples.live('stream').names()].length, 10_001);
    await samples.stop!(over);
  });
});

describe('percentiles', () => {
  it('are off by at most 4.9 % of their value', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.02, max: 3_500_000, noNaN: true }), (durationMs) => {
        const bucket = bucketOf(durationMs);
        assert.ok(bucket < HISTOGRAM_BUCKETS);
        assert.ok(Math.abs(middleOf(bucket) - durationMs) <= durationMs * 0.0489);
      }),
    );
  });

  it('come from the rank, as a sorted list would give them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 200 }),
        (values) => {
          const histogram = new Map<number, number>();
          for (const value of values)
            histogram.set(bucketOf(value), (histogram.get(bucketOf(value)) ?? 0) + 1);
          const sorted = values.toSorted((a, b) => a - b);
          for (const fraction of [0.5, 0.9, 0.99]) {
            const exact = sorted[Math.ceil(fraction * sorted.length) - 1]!;
            assert.ok(Math.abs(percentile(histogram, fraction)! - exact) <= exact * 0.0489);
          }
        },
      ),
    );
    assert.equal(percentile(new Map(), 0.5), null);
  });
});

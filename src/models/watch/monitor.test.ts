import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createWorkers, manualClock, seededRandom } from '../../kernel/index.ts';
import type { Batch } from './columns.ts';
import {
  createMonitor,
  DEFAULT_DRIFT,
  type DriftOptions,
  type JudgedWindow,
  type Monitor,
} from './monitor.ts';
import { buildReference, type Reference } from './reference.ts';
import { createWindows } from './windows.ts';

const HOUR = 3_600_000;
const random = seededRandom(11);
const uniform = (length: number, low = 0): number[] => Array.from({ length }, () => low + random.float());

/** Two features in one matrix, with the score that a model gave. */
function batch(rows: number, low = 0): { inputs: Batch; outputs: Batch } {
  const features = {
    type: 'float32',
    dims: [rows, 2],
    data: Float32Array.from(uniform(rows * 2, low)),
  } as const;
  const items = uniform(rows).map((score) => ({
    kind: 'map' as const,
    keyType: 'string' as const,
    entries: new Map([['yes', score]]),
  }));
  return { inputs: { x: features }, outputs: { scores: { kind: 'sequence', items } } };
}

const reference = (): Reference =>
  buildReference(
    ['age', 'income'].map((name) => ({ name, values: uniform(3000) })),
    [{ name: 'scores.yes', values: uniform(3000) }],
  );

function watching(settings: Partial<DriftOptions> & { reference?: Reference }) {
  const workers = createWorkers({ size: 1, queue: 64, idleMs: 1000, clock: manualClock() });
  const windows: JudgedWindow[] = [];
  const learned: Reference[] = [];
  const errors: unknown[] = [];
  const monitor = createMonitor({
    workers,
    reference: settings.reference,
    features: ['age', 'income'],
    options: { ...DEFAULT_DRIFT, ...settings },
    judged: async (window) => void windows.push(window),
    learned: async (made) => void learned.push(made),
    failed: (error) => void errors.push(error),
  });
  const observe = (rows: number, timeMs: number, low = 0): void => {
    const { inputs, outputs } = batch(rows, low);
    monitor.observe(inputs, outputs, rows, timeMs);
  };
  const stop = () => workers.stop!(AbortSignal.timeout(1000));
  return { monitor, windows, learned, errors, observe, [Symbol.asyncDispose]: stop };
}

const drifting = (window: JudgedWindow): string[] =>
  [...window.inputs, ...window.outputs]
    .filter((column) => column.reasons.length > 0)
    .map((column) => column.name);

const counted = ({ rows }: Monitor) => [rows.seen, rows.open, rows.late, rows.skipped];

describe('watching a version', () => {
  it('judges windows of rows, in batches of any size, and names what drifts', async () => {
    await using under = watching({
      reference: reference(),
      windows: { rows: 2000, everyMs: null, leastRows: 500 },
    });
    for (let sent = 0; sent < 2000; sent += 125) under.observe(125, sent);
    under.observe(2000, 5000, 0.4);
    await under.monitor.settled();
    assert.deepEqual(under.errors, []);
    assert.deepEqual(under.windows.map(drifting), [[], ['age', 'income']]);
    assert.deepEqual(
      under.windows.map(({ rows, fromMs }) => [rows, fromMs]),
      [
        [2000, 0],
        [2000, 5000],
      ],
    );
    assert.equal(under.windows[1]!.outputs[0]!.rows, 2000);
    assert.deepEqual(counted(under.monitor), [4000, 0, 0, 0]);
  });

  it('judges windows of time, late rows included until time has gone on', async () => {
    await using under = watching({
      reference: reference(),
      windows: { rows: null, everyMs: HOUR, leastRows: 100 },
    });
    under.observe(300, HOUR / 2);
    under.observe(300, HOUR + 1000);
    under.observe(50, HOUR - 1);
    await under.monitor.settled();
    assert.equal(under.windows.length, 0, 'the hour before may still get rows');
    under.monitor.tick(HOUR * 1.2);
    await under.monitor.settled();
    assert.deepEqual(
      under.windows.map(({ rows }) => rows),
      [350],
    );
    under.observe(7, HOUR - 1);
    await under.monitor.settled();
    assert.deepEqual(counted(under.monitor), [657, 300, 7, 0]);
  });

  it('takes few rows along into the next window instead of passing them', async () => {
    await using under = watching({
      reference: reference(),
      windows: { rows: null, everyMs: HOUR, leastRows: 500 },
    });
    for (let hour = 0; hour < 4; hour++) {
      under.observe(200, hour * HOUR);
      under.monitor.tick(hour * HOUR + 1);
    }
    await under.monitor.settled();
    under.monitor.tick(10 * HOUR);
    await under.monitor.settled();
    const sizes = under.windows.map(({ rows }) => rows);
    assert.deepEqual(sizes, [600]);
    assert.equal(under.monitor.rows.open, 200);
  });

  it('learns its reference from the first rows where training left none', async () => {
    await using under = watching({
      learnRows: 1000,
      windows: { rows: 1000, everyMs: null, leastRows: 500 },
    });
    under.observe(600, 0);
    assert.equal(under.learned.length, 0);
    under.observe(600, 0);
    await under.monitor.settled();
    assert.deepEqual(
      under.learned.map(({ rows }) => rows),
      [1200],
    );
    assert.deepEqual(
      under.monitor.reference?.outputs.map(({ name }) => name),
      ['scores.yes'],
    );
    under.observe(1000, 0);
    under.observe(1000, 0, 1);
    await under.monitor.settled();
    assert.deepEqual(under.windows.map(drifting), [[], ['age', 'income']]);
  });

  it('counts a column that is gone as missing', async () => {
    const known = reference();
    const [age, income] = known.inputs;
    await using under = watching({
      reference: { ...known, inputs: [age!, { ...income!, name: 'wealth' }] },
      windows: { rows: 500, everyMs: null, leastRows: 500 },
    });
    under.observe(500, 0);
    await under.monitor.settled();
    assert.deepEqual(drifting(under.windows[0]!), ['wealth']);
  });

  it('counts a part of the calls, evenly, when there are more rows than it needs', async () => {
    await using under = watching({
      reference: reference(),
      windows: { rows: 1000, everyMs: null, leastRows: 500 },
    });
    const second = (at: number): void => {
      for (let call = 0; call < 500; call++) under.observe(2000, at);
      under.monitor.tick(at + 1000);
    };
    for (let call = 0; call < 10; call++) under.observe(2000, 0);
    under.monitor.tick(1000);
    await under.monitor.settled();
    assert.equal(under.monitor.rows.sampledOut, 0);
    second(1000);
    await under.monitor.settled();
    const before = under.monitor.rows;
    second(2000);
    await under.monitor.settled();
    // Three columns of a million rows are thirty times what is counted a second.
    const share = 1 - (under.monitor.rows.sampledOut - before.sampledOut) / 1_000_000;
    assert.ok(Math.abs(share - 1 / 30) < 0.01, `${share}`);
  });

  it('skips rows, and says how many, when they come faster than they can be counted', async () => {
    await using under = watching({ reference: reference() });
    // 20 blocks at once, of which eight may wait.
    under.observe(220_000, 0);
    await under.monitor.settled();
    const { seen, open, skipped } = under.monitor.rows;
    assert.equal(seen, 220_000);
    assert.ok(skipped > 0);
    const judged = under.windows.reduce((sum, window) => sum + window.rows, 0);
    assert.equal(judged + open + skipped, seen, 'every row is accounted for');
  });
});

describe('windows', () => {
  it('hand out every row once, but for those that are too late', () => {
    const windows = createWindows(1, { rows: 50, everyMs: 1000, leastRows: 10 });
    const steps = seededRandom(4);
    let [handedOut, total] = [0, 0];
    for (let step = 0; step < 2000; step++) {
      const rows = steps.integer(20);
      const timeMs = Math.max(0, step * 100 - steps.integer(2500));
      total += rows;
      const closed = [
        ...windows.add(Float64Array.of(rows), rows, timeMs, timeMs),
        ...windows.tick(step * 100),
      ];
      for (const window of closed) {
        assert.equal(window.counts[0], window.rows);
        assert.ok(window.rows >= 10);
        handedOut += window.rows;
      }
    }
    assert.equal(handedOut + windows.openRows + windows.late, total);
    assert.ok(windows.late > 0 && windows.openRows < 100);
  });
});

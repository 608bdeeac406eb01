import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMillraceError, type Json, readModelOperations, seededRandom } from '../../kernel/index.ts';
import { mortalStore } from '../mortal-store.support.ts';
import { operated, type Surroundings } from '../operations/operations.support.ts';
import { DEFAULT_SERVING } from '../service.ts';
import type { RetrainRun } from './store.ts';
import { train } from './tasks.ts';

const MINUTE = 60_000;

/** Settings that take seconds where the defaults take minutes. */
const QUICK = {
  gates: { label: 'late', metrics: { accuracy: { margin: 0.05 } }, output: 'probabilities.1' },
  release: {
    shadow: { for: '10s', rows: 20 },
    canary: { for: '10s', rows: 10, weight: 50 },
    watch: { for: '10s', rows: 20 },
    live: { drift: false },
  },
};
const SPEC = { algorithm: 'boosted-trees', label: 'late', settings: { rounds: 10 } } as const;

const row = (random: ReturnType<typeof seededRandom>, from = 0.5) => {
  const [distance, weight] = [random.float(), random.float()];
  return { distance, weight, late: distance > from ? 1 : 0 };
};

async function deliveries(on: object, surroundings: Surroundings = {}) {
  const under = await operated(surroundings);
  const random = seededRandom(3);
  const publish = async (count: number, from = 0.5): Promise<void> => {
    const records = Array.from({ length: count }, () => ({ value: { json: row(random, from) as Json } }));
    await under.streams.publish('deliveries', records);
  };
  /** What there is before anything fails: a stream, a model and how it is operated. */
  const prepare = async (): Promise<string> => {
    await under.streams.define({ name: 'deliveries', partitions: 2 });
    await publish(1500);
    const lines = Buffer.from(Array.from({ length: 1000 }, () => JSON.stringify(row(random))).join('\n'));
    const { onnx, reference } = train({ spec: SPEC, lines });
    const facts = { reference: reference as unknown as Json };
    const serving = { ...DEFAULT_SERVING, missing: true };
    const { version: first } = await under.models.register('late', {
      bytes: onnx,
      serving,
      by: 'test',
      facts,
    });
    const retrain = { on, from: 'deliveries', least: 500, spec: SPEC };
    const window = { rows: 500 };
    await under.operations.set(
      'late',
      readModelOperations({ ...QUICK, retrain, watch: { window } } as never),
    );
    return first;
  };
  const traffic = async (low = 0): Promise<void> => {
    for (let call = 0; call < 60; call++) {
      const { distance, weight } = row(random);
      await under.models.predict('late', [{ distance: low + distance, weight }], { key: `${call}` });
    }
  };
  const runs = (): Promise<readonly RetrainRun[]> => under.operations.retraining.list('late');
  const production = () => under.models.registry.require('late').aliases.production;
  const dispose = under[Symbol.asyncDispose];
  return { ...under, publish, prepare, traffic, runs, production, [Symbol.asyncDispose]: dispose };
}

describe('retraining', () => {
  it('learns from new records, and releases what it has learnt by the model’s gates', async () => {
    await using under = await deliveries({ kind: 'records', count: 1000 });
    const first = await under.prepare();
    await under.pass(MINUTE, under.traffic);
    assert.deepEqual(await under.runs(), [], 'what was there before counts for nothing');
    await under.publish(999);
    await under.pass(10_000, under.traffic);
    assert.equal((await under.runs()).length, 0);
    await under.publish(1);
    await under.pass(3 * MINUTE, under.traffic);
    const [run] = await under.runs();
    assert.deepEqual([run!.step, run!.outcome, run!.fact], ['done', 'released', 'records/2500'], run!.reason);
    assert.equal(under.production(), run!.version);
    const version = await under.models.registry.version('late', run!.version!);
    assert.equal(version.lineage.parent, first);
    assert.partialDeepStrictEqual(version.data!, { source: 'stream deliveries', rows: 2000, from: '0,0' });
    assert.ok(version.facts.reference);
    const steps = under.told.filter(({ type }) => type === 'model.retraining').map(({ step }) => step);
    assert.deepEqual(steps, ['data', 'train', 'release', 'watch', 'done']);
    await under.pass(MINUTE, under.traffic);
    assert.equal((await under.runs()).length, 1, 'one fact, one run');
  });

  it('is set off by drift, of the columns that are asked for', async () => {
    for (const [columns, expected] of [
      [['distance'], 1],
      [['weight'], 0],
    ] as const) {
      await using under = await deliveries({ kind: 'drift', columns });
      await under.prepare();
      await under.traffic();
      await under.pass(MINUTE * 2, () => under.traffic(0.5));
      const runs = await under.runs();
      assert.equal(runs.length, expected, columns[0]);
      if (expected === 1) assert.match(runs[0]!.fact, /^drift\/late@/);
    }
  });

  it('because of drift waits for the truth of the new period, learns it, and is not needed twice', async () => {
    await using under = await deliveries({ kind: 'drift', columns: [] });
    await under.prepare();
    const LATE = { stream: 'truths', key: 'delivery', label: 'late' };
    await under.streams.define({ name: LATE.stream, partitions: 1 });
    const retrain = { on: { kind: 'drift' }, from: 'deliveries', least: 500, rows: 5000, spec: SPEC };
    const watch = {
      window: { rows: 500 },
      labels: { from: LATE.stream, key: LATE.key, label: LATE.label, output: 'probabilities.1' },
    };
    await under.operations.set('late', readModelOperations({ ...QUICK, retrain, watch } as never));
    // Labels come an hour after their predictions.
    const keys = Array.from({ length: 100 }, (_, at) => `first ${at}`);
    await under.models.predict(
      'late',
      keys.map(() => ({ distance: 0.3, weight: 0.3 })),
      { keys },
    );
    under.clock.advance(60 * MINUTE);
    await under.streams.publish(
      LATE.stream,
      keys.map((delivery) => ({ value: { json: { delivery, late: 0 } } })),
    );
    await under.pass(10_000, under.traffic);
    // Everything is further away, and what was late is not any more.
    const shifted = () => under.traffic(1);
    await under.pass(2 * MINUTE, shifted);
    assert.deepEqual(
      (await under.runs()).map(({ step }) => step),
      ['data'],
    );
    await under.publish(150);
    await under.pass(MINUTE, shifted);
    assert.deepEqual(
      (await under.runs()).map(({ step }) => step),
      ['data'],
      'these are of the time before',
    );
    under.clock.advance(75 * MINUTE);
    await under.pass(10_000, shifted);
    assert.deepEqual(
      (await under.runs()).map(({ step }) => step),
      ['data'],
      'a fifth of 500 is needed',
    );
    const random = seededRandom(8);
    const fresh = Array.from({ length: 900 }, () => {
      const { distance, weight } = row(random);
      return { value: { json: { distance: 1 + distance, weight, late: distance > 0.7 ? 1 : 0 } } };
    });
    await under.streams.publish('deliveries', fresh);
    await under.pass(3 * MINUTE, shifted);
    const [run, ...others] = await under.runs();
    assert.deepEqual([run!.outcome, others.length], ['released', 0], run!.reason);
    const steps = under.told.filter(({ type, step }) => type === 'model.retraining' && step === 'release');
    assert.match(
      String(steps[0]!.reason),
      /^Learnt from \d+ rows, 600 of them of the new period, to be judged by \d+ others/,
    );
    // It knows what is late now, and finds nothing unlike what it was trained on.
    const { predictions } = await under.models.predict('late', [
      { distance: 1.3, weight: 0.5 },
      { distance: 1.9, weight: 0.5 },
    ]);
    assert.deepEqual(
      predictions.map(({ label }) => String(label)),
      ['0', '1'],
    );
    await under.pass(5 * MINUTE, shifted);
    assert.equal((await under.runs()).length, 1);
    assert.deepEqual(under.operations.watcher.show('late').at(-1)?.drifting ?? [], []);
  });

  it('is set off by the calendar, once for times that were missed', async () => {
    await using under = await deliveries({ kind: 'cron', expression: '0 * * * *' });
    await under.prepare();
    await under.pass(MINUTE, under.traffic);
    assert.equal((await under.runs()).length, 0);
    under.clock.advance(3 * 60 * MINUTE);
    await under.pass(3 * MINUTE, under.traffic);
    const runs = await under.runs();
    assert.deepEqual(
      runs.map(({ fact }) => fact),
      ['cron/2026-01-01T01:00:00.000Z'],
    );
  });

  it('ends with its reason where there are too few rows, or none that can be learnt from', async () => {
    await using under = await deliveries({ kind: 'records', count: 1e9 });
    await under.prepare();
    const spec = { algorithm: 'boosted-trees', label: 'unheard' };
    const operate = (retrain: object) =>
      under.operations.set('late', readModelOperations({ ...QUICK, retrain } as never));
    await operate({ on: { kind: 'records', count: 1e9 }, from: 'deliveries', least: 5000, spec: SPEC });
    await under.operations.retraining.begin('late', 'somebody');
    await assert.rejects(under.operations.retraining.begin('late', 'somebody'), (error) =>
      isMillraceError(error, 'CONFLICT'),
    );
    await under.pass(10_000);
    await operate({ on: { kind: 'records', count: 1e9 }, from: 'deliveries', least: 500, spec });
    await under.operations.retraining.begin('late', 'somebody');
    await under.pass(10_000);
    const [failed, skipped] = await under.runs();
    assert.deepEqual([skipped!.outcome, failed!.outcome], ['skipped', 'failed']);
    assert.match(skipped!.reason, /holds 1500 rows, 5000 are needed/);
    assert.match(failed!.reason, /unheard is no column of the rows/);
    assert.deepEqual(await under.blobs.list('models/retraining/'), []);
  });

  it('trains one version and releases it once, wherever the platform dies in between', async () => {
    let deaths = 0;
    // Dies right after the n-th write since the fact: each of the retraining's own, and some of its release's.
    for (const write of [1, 2, 3, 4, 5, 6, 7, 9, 12, 15]) {
      const before = await deliveries({ kind: 'records', count: 1000 });
      await before.prepare();
      await before.pass(10_000);
      await before.publish(1000);
      await before.operations.stop();
      const mortal = mortalStore(before.state, write);
      const dying = await deliveries({}, { ...before, state: mortal.store });
      await dying.pass(80_000, () => dying.traffic().catch(() => undefined));
      const died = mortal.dead();
      await dying.operations.stop();
      if (died) {
        deaths++;
        await using restarted = await deliveries({}, before);
        await restarted.pass(2 * MINUTE, restarted.traffic);
        const runs = await restarted.runs();
        const told = [
          ...new Set(before.told.filter(({ type }) => type === 'model.retraining').map(({ id }) => id)),
        ];
        assert.deepEqual(
          runs.map(({ step, outcome, fact }) => [step, outcome, fact]),
          [['done', 'released', 'records/2500']],
          `after write ${write}`,
        );
        assert.equal(restarted.production(), runs[0]!.version);
        assert.equal(restarted.models.registry.require('late').latest, 2, 'one version more');
        assert.equal((await restarted.operations.releases.list('late')).length, 1);
        assert.ok(told.includes(`${runs[0]!.id}/done`));
      }
      await dying[Symbol.asyncDispose]();
      await before[Symbol.asyncDispose]();
    }
    assert.ok(deaths >= 9, `died ${deaths} times`);
  });
});

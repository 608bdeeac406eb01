import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Json, readModelOperations, seededRandom } from '../../kernel/index.ts';
import { logisticModel } from '../operations/logistic.support.ts';
import { operated, type Surroundings } from '../operations/operations.support.ts';
import { addLabel, emptyCounts } from './label-counts.ts';
import { findDecay, metricsOf } from './live-metrics.ts';
import { createPending } from './pending.ts';

/** A score that is its only input, so that the truth can be made to fit. */
const IDENTITY = logisticModel({ features: ['logit', 'region'], weights: [1, 0], bias: 0 });
const LABELS = { from: 'chargebacks', key: 'payment', label: 'fraud', groups: ['region'] };

async function fraud(surroundings: Surroundings = {}) {
  const under = await operated(surroundings);
  const random = seededRandom(8);
  const prepare = async (): Promise<string> => {
    await under.streams.define({ name: 'chargebacks', partitions: 2 });
    const version = await under.register('fraud', IDENTITY);
    await under.operations.set('fraud', readModelOperations({ watch: { labels: LABELS } }));
    await under.operations.settled();
    return version;
  };
  /** Predictions and, for each, its label as it will come; `honest` of them come out as the score says. */
  const predict = async (from: number, count: number, honest = 1): Promise<Json[]> => {
    const rows = Array.from({ length: count }, () => ({
      logit: random.float() * 8 - 4,
      region: random.integer(2),
    }));
    const keys = rows.map((_, at) => `payment ${from + at}`);
    await under.models.predict('fraud', rows, { keys });
    return rows.map(({ logit }, at) => {
      const likely = random.float() < honest ? logit > 0 : random.float() < 0.5;
      return { payment: keys[at]!, fraud: likely };
    });
  };
  const publish = async (labels: readonly Json[]): Promise<void> => {
    await under.streams.publish(
      'chargebacks',
      labels.map((json) => ({ value: { json } })),
    );
    await under.operations.settled();
  };
  const dispose = under[Symbol.asyncDispose];
  return { ...under, prepare, predict, publish, [Symbol.asyncDispose]: dispose };
}

describe('delayed labels', () => {
  it('become live metrics, by version and by group, whenever they come', async () => {
    await using under = await fraud();
    const version = await under.prepare();
    const labels = await under.predict(0, 600, 0.8);
    under.clock.advance(7 * 86_400_000);
    await under.publish(labels.slice(0, 400));
    await under.publish([{ payment: 'unheard', fraud: 1 }, { nothing: true }, 'no record']);
    const status = under.operations.labels.show('fraud')!;
    assert.deepEqual([status.waiting, status.unmatched], [200, 1]);
    const [shown] = status.versions;
    assert.equal(shown!.version, version);
    assert.equal(shown!.now.labels, 400);
    assert.ok(Math.abs(shown!.now.accuracy! - 0.9) < 0.06, `${shown!.now.accuracy}`);
    const groups = Object.entries(shown!.groups);
    assert.deepEqual(groups.map(([name]) => name).sort(), ['region=0', 'region=1']);
    assert.equal(
      groups.reduce((sum, [, { labels }]) => sum + labels, 0),
      400,
    );
  });

  it('tell of a decay once, and of its end', async () => {
    await using under = await fraud();
    await under.prepare();
    for (const honest of [0.95, 0.95, 0.5, 0.5, 0.95]) {
      await under.publish(await under.predict(0, 1000, honest));
    }
    const facts = under.told.filter(({ type }) => type.startsWith('decay'));
    assert.deepEqual(
      facts.map(({ type, metric }) => [type, metric]),
      [
        ['decay.detected', 'auc'],
        ['decay.ended', undefined],
      ],
    );
  });

  it('tell of groups that are treated unlike, once, and when that is over', async () => {
    await using under = await fraud();
    await under.prepare();
    for (const unfair of [false, true, true, false]) {
      const rows = Array.from({ length: 1000 }, (_, at) => ({
        logit: at % 2 === 0 ? 2 : -2,
        region: Math.floor(at / 2) % 2,
      }));
      const keys = rows.map((_, at) => `payment ${at}`);
      await under.models.predict('fraud', rows, { keys });
      // In one region every fourth decision is wrong.
      const labels = rows.map(({ logit, region }, at) => {
        const wrong = at % 20 === 0 || (unfair && region === 1 && at % 4 === 2);
        return { payment: keys[at]!, fraud: logit > 0 !== wrong };
      });
      await under.publish(labels);
    }
    const facts = under.told.filter(({ type }) => type.startsWith('bias'));
    assert.deepEqual(
      facts.map(({ type, of }) => [type, of]),
      [
        ['bias.detected', 'accuracy'],
        ['bias.ended', 'accuracy'],
      ],
    );
    assert.equal((facts[0]!.lowest as { readonly group: string }).group, 'region=1');
  });

  it('find their predictions after a restart', async () => {
    await using before = await fraud();
    await before.prepare();
    const labels = await before.predict(0, 300);
    await before.publish(labels.slice(0, 100));
    await before.operations.stop();
    await using after = await fraud(before);
    await after.publish(labels.slice(100));
    const status = after.operations.labels.show('fraud')!;
    assert.deepEqual([status.waiting, status.unmatched], [0, 0]);
    assert.equal(status.versions[0]!.now.labels, 300);
    assert.equal(status.versions[0]!.now.accuracy, 1);
  });
});

describe('predictions that wait', () => {
  it('are found once, and the oldest are pushed out', () => {
    const pending = createPending(1);
    const slots = 8192;
    for (let at = 0; at < slots + 10; at++) {
      pending.add({ key: `k${at}`, score: at, timeMs: at, version: at % 3, group: 0 });
    }
    assert.deepEqual([pending.size, pending.forgotten], [slots, 10]);
    assert.equal(pending.take('k9'), undefined);
    assert.deepEqual(pending.take('k10'), { score: 10, timeMs: 10, version: 1, group: 0 });
    assert.equal(pending.take('k10'), undefined);
    const restored = createPending(1);
    for (const { part, bytes } of pending.changed()) restored.load(part, bytes);
    assert.equal(restored.size, slots - 1);
    assert.equal(restored.take('k8200')?.score, 8200);
    restored.add({ key: 'new', score: 1, timeMs: 1e9, version: 0, group: 0 });
    assert.equal(restored.take('k11')?.score, 11, 'the ring goes on where it was');
  });

  it('are found as in a map, whatever comes and goes', () => {
    const random = seededRandom(5);
    const pending = createPending(1);
    const slots = 8192;
    const known = new Map<string, number>();
    let adds = 0;
    let repeated = 0;
    for (let step = 0; step < 60_000; step++) {
      const key = `k${random.integer(6000)}`;
      if (random.integer(3) === 0) {
        const added = known.get(key);
        const isThere = added !== undefined && adds <= added + slots;
        assert.equal(pending.take(key)?.timeMs, isThere ? added : undefined);
        known.delete(key);
      } else {
        if (known.has(key)) repeated++;
        pending.add({ key, score: 1, timeMs: adds, version: 0, group: 0 });
        known.set(key, adds++);
      }
    }
    assert.ok(repeated > 1000 && pending.forgotten > 0);
    assert.equal(pending.size, [...known.values()].filter((added) => adds <= added + slots).length);
  });

  it('wait once after the platform was killed between storing two parts of the ring', () => {
    const pending = createPending(8193);
    const first = { key: 'twice', score: 1, timeMs: 1, version: 0, group: 0 };
    pending.add(first);
    const [old] = pending.changed();
    for (let at = 0; at < 8192; at++) pending.add({ ...first, key: `k${at}`, timeMs: 2 });
    pending.add({ ...first, score: 3, timeMs: 3 });
    const second = pending.changed().find(({ part }) => part === 1)!;
    for (const parts of [
      [old!, second],
      [second, old!],
    ]) {
      const restored = createPending(8193);
      for (const { part, bytes } of parts) restored.load(part, bytes);
      assert.equal(restored.take('twice')?.score, 3);
      assert.equal(restored.take('twice'), undefined);
    }
  });
});

describe('live metrics', () => {
  it('are those of the rows, the AUC but for its bins', () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 99 }), fc.boolean()), {
      minLength: 2,
      maxLength: 80,
    });
    fc.assert(
      fc.property(rows, (list) => {
        const counts = emptyCounts();
        // In the middle of bins: then there is nothing that binning could lose.
        const scored = list.map(([bin, truth]) => ({ score: (bin + 0.5) / 100, truth: truth ? 1 : 0 }));
        let right = 0;
        for (const { score, truth } of scored) {
          addLabel(counts, score, truth, 0.5);
          if (score >= 0.5 === (truth === 1)) right++;
        }
        const metrics = metricsOf(counts);
        assert.equal(metrics.accuracy, right / list.length);
        const positives = scored.filter(({ truth }) => truth === 1);
        const negatives = scored.filter(({ truth }) => truth === 0);
        const wins = positives.flatMap((a) =>
          negatives.map((b): number => (a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0)),
        );
        const auc = wins.reduce((sum, win) => sum + win, 0) / wins.length;
        if (wins.length === 0) assert.equal(metrics.auc, null);
        else assert.ok(Math.abs(metrics.auc! - auc) < 1e-9);
      }),
      { numRuns: 100 },
    );
  });

  it('call a metric lower only when that is no chance', () => {
    const random = seededRandom(2);
    const counted = (size: number, accuracy: number) => {
      const counts = emptyCounts();
      for (let row = 0; row < size; row++) {
        const truth = random.integer(2);
        const score = random.float() < accuracy ? truth * 0.8 + 0.1 : 0.9 - truth * 0.8;
        addLabel(counts, score, truth, 0.5);
      }
      return counts;
    };
    assert.equal(findDecay(counted(1000, 0.9), { accuracy: 0.9 }, 0.02, 0.001), undefined);
    assert.equal(findDecay(counted(50, 0.85), { accuracy: 0.9 }, 0.02, 0.001), undefined);
    const decay = findDecay(counted(1000, 0.8), { accuracy: 0.9 }, 0.02, 0.001);
    assert.equal(decay?.metric, 'accuracy');
    assert.equal(findDecay(counted(1000, 0.5), {}, 0.02, 0.001), undefined);
  });
});

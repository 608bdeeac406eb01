import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMillraceError, type ModelMetric, seededRandom } from '../../kernel/index.ts';
import { mortalStore } from '../mortal-store.support.ts';
import type { ReleaseRecord } from './record.ts';
import { CAREFUL, createWorld, FAULTS, type Fault } from './world.support.ts';

const MINUTE = 60_000;
const HALF_HOUR = 30 * MINUTE;

const last = (record: ReleaseRecord) => record.decisions.at(-1)!;
const path = (record: ReleaseRecord): string[] =>
  record.decisions.map(({ decision, stage }) => `${stage}: ${decision}`);

/** A row that is positive every other time, and was decided right or wrong. */
function truth(version: string, right: boolean, at = 0) {
  const truth = at % 2;
  return { version, truth, score: right ? truth : 1 - truth, threshold: 0.5, group: '' };
}

describe('a release', () => {
  it('takes a good version through gates, shadow and canary into production, and watches it', async () => {
    await using world = createWorld('none', 1);
    const { id } = await world.begin();
    await world.run(20_000);
    assert.equal(world.releases.active('credit')?.stage, 'shadow');
    assert.equal(world.answered.new, 0, 'what a shadow answers is not returned');
    await world.run(MINUTE);
    assert.equal(world.releases.active('credit')?.stage, 'canary');
    const before = { ...world.answered };
    await world.run(4 * MINUTE);
    const share = (world.answered.new - before.new) / (4 * 6 * 200);
    assert.ok(Math.abs(share - 0.1) < 0.02, `${share}`);
    assert.equal(world.aliases.get('credit'), 'good');
    await world.run(2 * MINUTE);
    assert.equal(world.aliases.get('credit'), 'new');
    await world.run(HALF_HOUR);
    const record = await world.releases.get('credit', id);
    assert.equal(record.outcome, 'released');
    assert.deepEqual(path(record), [
      'gates: begin',
      'gates: advance',
      'shadow: advance',
      'canary: promote',
      'promoting: advance',
      'watch: finish',
    ]);
    assert.deepEqual(
      world.told.map((fact) => fact.id),
      record.decisions.map(({ number }) => `${id}/${number}`),
    );
    assert.ok(record.decisions.every(({ reason }) => reason.length > 10));
    assert.match(record.decisions[1]!.reason, /accuracy is 0\.8.*difference of/);
  });

  it('keeps a user on one version while the canary runs', async () => {
    await using world = createWorld('none', 2);
    await world.begin();
    await world.run(2 * MINUTE);
    assert.equal(world.releases.active('credit')?.stage, 'canary');
    for (let user = 0; user < 50; user++) {
      const routes = [1, 2, 3].map(() => world.releases.route('credit', 'good', `u${user}`)?.version);
      assert.equal(new Set(routes).size, 1);
    }
  });

  const stoppedBy: { readonly [fault in Fault]?: RegExp } = {
    schema: /schema: The output 'decision' was int64 of rank 1 and would be string/,
    worse: /accuracy/,
    slow: /latency against the current version: Median and p99/,
    unfair: /fairness by region: selection/,
    drifting: /drift: Unlike what the version was trained on: age, income/,
    failing: /errors: \d+ of \d+ rows got no answer/,
  };
  for (const fault of FAULTS) {
    it(`stops a version that is ${fault === 'schema' ? 'of another schema' : fault} before it answers anybody`, async () => {
      await using world = createWorld(fault, 3);
      const { id } = await world.begin();
      await world.run(HALF_HOUR / 10);
      const record = await world.releases.get('credit', id);
      assert.equal(record.outcome, 'stopped');
      assert.match(last(record).reason, stoppedBy[fault]!);
      assert.equal(last(record).verdict, 'fail');
      assert.equal(world.answered.new, 0);
      assert.equal(world.aliases.get('credit'), 'good');
    });
  }

  it('goes back by itself when a version turns bad after it has taken all traffic', async () => {
    await using world = createWorld('failing', 4);
    // By hand, past the gates: the watch after it is what is left.
    const { id } = await world.begin();
    await world.releases.promote('credit', id, 'a person');
    assert.equal(world.aliases.get('credit'), 'new');
    await world.run(5 * MINUTE);
    const record = await world.releases.get('credit', id);
    assert.equal(record.outcome, 'returned');
    assert.equal(world.aliases.get('credit'), 'good');
    assert.match(last(record).reason, /good serves again/);
    assert.match(
      path(record).join(' '),
      /shadow: promote promoting: advance watch: return returning: finish/,
    );
  });

  it('does not take few data for a pass: it waits, and stops in the end', async () => {
    await using world = createWorld('none', 5, {
      ...CAREFUL,
      shadow: { ...CAREFUL.shadow, atMostMs: 10 * MINUTE },
    });
    const { id } = await world.begin();
    await world.run(5 * MINUTE, 1);
    const waiting = await world.releases.get('credit', id);
    assert.deepEqual(
      [waiting.stage, last(waiting).decision, last(waiting).verdict],
      ['shadow', 'extend', 'not enough data'],
    );
    await world.run(6 * MINUTE, 1);
    const record = await world.releases.get('credit', id);
    assert.deepEqual([record.outcome, last(record).verdict], ['stopped', 'not enough data']);
    assert.match(last(record).reason, /drift: No window is full yet/);
    assert.equal(world.answered.new, 0);
  });

  it('says so when the held-back rows are too few', async () => {
    await using world = createWorld('none', 6, {
      ...CAREFUL,
      gates: { ...CAREFUL.gates, leastRows: 10_000 },
    });
    const { id } = await world.begin();
    await world.run(MINUTE);
    const record = await world.releases.get('credit', id);
    assert.deepEqual([record.outcome, last(record).verdict], ['stopped', 'not enough data']);
  });

  it('judges by delayed labels where asked, and an A/B test must show that it is better', async () => {
    const settings = {
      ...CAREFUL,
      canary: { ...CAREFUL.canary, kind: 'ab', weight: 50 },
      live: { ...CAREFUL.live, labels: { margin: 0.02, leastRows: 100, metrics: [], fairness: null } },
    } as const;
    for (const [rightNew, outcome] of [
      [0.96, 'promoting: advance'],
      [0.84, 'canary: stop'],
    ] as const) {
      await using world = createWorld('none', 7, settings);
      const { id } = await world.begin();
      await world.run(2 * MINUTE);
      assert.equal(world.releases.active('credit')?.stage, 'canary');
      for (let label = 0; label < 2000; label++) {
        world.releases.labelled('credit', truth('good', label % 100 < 90));
        world.releases.labelled('credit', truth('new', label % 100 < rightNew * 100));
      }
      await world.run(6 * MINUTE);
      assert.match(path(await world.releases.get('credit', id)).join(' '), new RegExp(outcome));
    }
  });

  it('judges by the metrics that are named, for values too, and what does not fit them stops it', async () => {
    const labels = (metric: ModelMetric, limit: number | null = null) => ({
      ...{ margin: 0.02, leastRows: 100, fairness: null },
      metrics: [{ metric, limit, margin: 0.02, relative: true }],
    });
    const random = seededRandom(4);
    /** Scores that rank well or badly, whatever is decided by them. */
    const ranked = (version: string, noise: number) => {
      const truth = random.integer(2);
      const score = 0.25 + 0.5 * (truth * (1 - noise) + random.float() * noise);
      return { version, truth, score, threshold: 0.9, group: '' };
    };
    const valued = (version: string, noise: number) => {
      const truth = 1000 + random.float() * 10;
      return { version, truth, score: truth + (random.float() - 0.5) * noise, threshold: 0, group: '' };
    };
    const cases = [
      { settings: labels('auc'), row: ranked, noise: 0.5, old: 0.5, outcome: /canary: promote/, says: /./ },
      {
        settings: labels('auc'),
        row: ranked,
        noise: 1,
        old: 0.5,
        outcome: /canary: stop/,
        says: /auc is 0\.5/,
      },
      { settings: labels('rmse', 1), row: valued, noise: 2, old: 2, outcome: /canary: promote/, says: /./ },
      {
        settings: labels('rmse', 1),
        row: valued,
        noise: 6,
        old: 2,
        outcome: /canary: stop/,
        says: /rmse is/,
      },
      {
        settings: labels('auc'),
        row: valued,
        noise: 2,
        old: 2,
        outcome: /canary: stop/,
        says: /name mae, rmse or r2/,
      },
    ];
    for (const { settings, row, noise, old, outcome, says } of cases) {
      await using world = createWorld('none', 7, { ...CAREFUL, live: { ...CAREFUL.live, labels: settings } });
      const { id } = await world.begin();
      await world.run(2 * MINUTE);
      for (let label = 0; label < 2000; label++) {
        world.releases.labelled('credit', row('good', old));
        world.releases.labelled('credit', row('new', noise));
      }
      await world.run(6 * MINUTE);
      const record = await world.releases.get('credit', id);
      assert.match(path(record).join(' '), outcome, last(record).reason);
      assert.match(last(record).reason, says);
    }
  });

  it('judges by labels whether groups are treated alike', async () => {
    const fairness = { by: 'group', of: 'truePositives', gap: 0.1, margin: 0.05 } as const;
    const labels = { margin: 0.02, leastRows: 100, metrics: [], fairness };
    for (const [caught, outcome] of [
      [0.9, /canary: promote/],
      [0.6, /canary: stop/],
    ] as const) {
      await using world = createWorld('none', 7, { ...CAREFUL, live: { ...CAREFUL.live, labels } });
      const { id } = await world.begin();
      await world.run(2 * MINUTE);
      for (let label = 0; label < 4000; label++) {
        world.releases.labelled('credit', { ...truth('good', label % 20 > 1, label), group: 'region=south' });
        const south = label % 40 < 20;
        const right = south || label % 2 === 0 ? label % 20 > 1 : label % 20 < caught * 20;
        const group = south ? 'region=south' : 'region=north';
        world.releases.labelled('credit', { ...truth('new', right, label), group });
      }
      await world.run(6 * MINUTE);
      const record = await world.releases.get('credit', id);
      assert.match(path(record).join(' '), outcome, last(record).reason);
      if (caught < 0.9) assert.match(last(record).reason, /fairness by labels: truePositives/);
    }
  });

  it('is one at a time, can be aborted, and gives way to whoever moves the alias', async () => {
    await using world = createWorld('none', 8);
    const { id } = await world.begin();
    await assert.rejects(
      world.begin(),
      (error: Error) => isMillraceError(error, 'CONFLICT') && /abort it/.test(error.message),
    );
    await world.run(2 * MINUTE);
    const aborted = await world.releases.abort('credit', id, 'a person');
    assert.equal(aborted.outcome, 'aborted');
    await assert.rejects(world.releases.abort('credit', id, 'a person'), (error) =>
      isMillraceError(error, 'NOT_FOUND'),
    );
    const second = await world.begin();
    await world.run(MINUTE / 2);
    world.aliases.set('credit', 'somebody else’s');
    assert.equal(world.releases.route('credit', 'somebody else’s', 'u'), undefined);
    await world.run(MINUTE / 2);
    const record = await world.releases.get('credit', second.id);
    assert.deepEqual([record.outcome, world.aliases.get('credit')], ['aborted', 'somebody else’s']);
    assert.equal((await world.releases.list('credit'))[0]!.id, second.id);
  });

  it('ends as it would have, wherever the platform dies in between', async () => {
    const short = { forMs: 20_000, leastRows: 100, atMostMs: MINUTE };
    const quick = {
      ...CAREFUL,
      gates: { ...CAREFUL.gates, metrics: [] },
      shadow: { ...short, share: 1 },
      canary: { ...CAREFUL.canary, ...short, weight: 50 },
      watch: short,
      live: { ...CAREFUL.live, drift: false },
    };
    let deaths = 0;
    // Dies right after the n-th write, for every n.
    for (let write = 1, died = true; died; write++) {
      await using world = createWorld('none', 9, quick);
      const store = world.state;
      const mortal = mortalStore(store, write);
      world.useStore(mortal.store);
      const begun = await world.begin().catch(() => undefined);
      await world.run(2 * MINUTE, 60);
      died = mortal.dead();
      deaths += died ? 1 : 0;
      if (!died) continue;
      await world.releases.stop();
      await world.restart(store);
      const there = begun ?? (await world.releases.list('credit'))[0];
      if (!there) continue;
      await world.run(3 * MINUTE, 60);
      const record = await world.releases.get('credit', there.id);
      assert.equal(record.outcome, 'released', `${write}: ${path(record).join(' ')}`);
      assert.equal(world.aliases.get('credit'), 'new');
      const told = new Set(world.told.map((fact) => fact.id));
      assert.deepEqual(
        [...told].sort(),
        record.decisions.map(({ number }) => `${there.id}/${number}`).sort(),
      );
      assert.equal(world.releases.active('credit'), undefined);
      const again = await world.releases.begin({
        model: 'credit',
        version: 'good',
        by: 'x',
        settings: CAREFUL,
      });
      assert.equal(again.from, 'new', 'the next release may begin');
    }
    assert.ok(deaths > 6, `died ${deaths} times`);
  });
});

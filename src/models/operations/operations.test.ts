import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMillraceError, readModelOperations, seededRandom } from '../../kernel/index.ts';
import { DEFAULT_SERVING } from '../service.ts';
import { type Logistic, logisticModel, logisticReference } from './logistic.support.ts';
import { operated } from './operations.support.ts';
import { parseRows, scoreOf, truthOf } from './rows.ts';

const MINUTE = 60_000;
const random = seededRandom(6);

/** Somebody new at each call: the same few keys could all fall on one side of a canary. */
let users = 0;
const someone = (): string => `user ${users++}`;

const draw = (shift = 0): [number, number] => [random.float() + shift, random.float()];
const GOOD: Logistic = { features: ['age', 'income'], weights: [4, 4], bias: -4 };
/** Learned a little differently. */
const SIMILAR: Logistic = { ...GOOD, weights: [4.2, 4], bias: -4.1 };
/** Five points worse: it hardly looks at the age. */
const WORSE: Logistic = { ...GOOD, weights: [2.4, 4], bias: -3.2 };

const withReference = (logistic: Logistic, shift = 0): Uint8Array =>
  logisticModel({
    ...logistic,
    reference: logisticReference(
      logistic,
      Array.from({ length: 4000 }, () => draw(shift)),
    ),
  });

/** Rows with their truth, as NDJSON. */
function heldBack(rows: number): Buffer {
  const lines = Array.from({ length: rows }, () => {
    const [age, income] = draw();
    return JSON.stringify({ age, income, default: age + income > 1, region: age > 0.5 ? 'old' : 'young' });
  });
  return Buffer.from(lines.join('\n'));
}

const GATES = { label: 'default', metrics: { accuracy: { atLeast: 0.9 } } };

async function credit(gates: object = GATES) {
  const under = await operated();
  const first = await under.register('credit', withReference(GOOD));
  await under.operations.set('credit', readModelOperations({ gates } as never));
  await under.operations.setHeldBack('credit', heldBack(4000));
  const predict = (count = 100, shift = 0, key?: string) =>
    under.models.predict(
      'credit',
      Array.from({ length: count }, () => draw(shift)),
      key === undefined ? {} : { key },
    );
  const calls = async (): Promise<void> => {
    for (let call = 0; call < 40; call++) await predict(5, 0, someone());
  };
  const production = () => under.models.registry.require('credit').aliases.production;
  return { ...under, first, predict, calls, production, [Symbol.asyncDispose]: under[Symbol.asyncDispose] };
}

describe('a model in operation', () => {
  it('is watched against what its file says of its training', async () => {
    await using under = await operated();
    const version = await under.register('credit', withReference(GOOD));
    await under.operations.set('credit', readModelOperations({ watch: { window: { rows: 1000 } } }));
    const predict = (shift: number) =>
      under.models.predict(
        'credit',
        Array.from({ length: 1100 }, () => draw(shift)),
      );
    // The first call only makes it look for the reference.
    await predict(0);
    await under.operations.settled();
    for (const shift of [0, 0.5, 0.5, 0, 0]) await predict(shift);
    await under.operations.settled();
    const drift = under.told.filter(({ stream }) => stream === 'millrace.drift');
    assert.deepEqual(
      drift.map(({ type, began }) => [type, began]),
      [
        ['drift.detected', ['age', 'risk']],
        ['drift.ended', []],
      ],
    );
    assert.equal(drift[0]!.version, version);
    const [shown] = under.operations.watcher.show('credit');
    assert.deepEqual([shown!.reference, shown!.drifting], ['training', []]);
    assert.ok(shown!.rows.seen >= 5500);
  });

  it('releases a version that is as good, and stops one that is worse before it answers', async () => {
    await using under = await credit();
    const similar = await under.register('credit', withReference(SIMILAR));
    const { id } = await under.operations.release('credit', similar, 'tester');
    await under.pass(30 * MINUTE, under.calls);
    const good = await under.operations.releases.get('credit', id);
    assert.equal(good.outcome, 'released', JSON.stringify(good.decisions.at(-1)));
    assert.equal(under.production(), similar);

    const worse = await under.register('credit', withReference(WORSE));
    const second = await under.operations.release('credit', worse, 'tester');
    await under.pass(2 * MINUTE, under.calls);
    const bad = await under.operations.releases.get('credit', second.id);
    assert.equal(bad.outcome, 'stopped');
    assert.match(bad.decisions.at(-1)!.reason, /accuracy/);
    assert.equal(under.production(), similar);
    const decided = under.told.filter(({ stream }) => stream === 'millrace.decisions');
    assert.equal(decided.at(-1)!.decision, 'stop');
  });

  it('compares the answers of a shadow with those that are returned', async () => {
    const release = { live: { agreement: 0.995, drift: false }, shadow: { for: '1m', rows: 100 } };
    await using under = await operated();
    await under.register('credit', logisticModel(GOOD));
    await under.operations.set('credit', readModelOperations({ release }));
    const other = await under.register('credit', logisticModel({ ...GOOD, weights: [3, 4], bias: -3.5 }));
    const { id } = await under.operations.release('credit', other, 'tester');
    const calls = async (): Promise<void> => {
      for (let call = 0; call < 40; call++) {
        const answer = await under.models.predict('credit', [draw(), draw()]);
        assert.notEqual(answer.version, other);
      }
    };
    await under.pass(2 * MINUTE, calls);
    const stopped = await under.operations.releases.get('credit', id);
    assert.equal(stopped.outcome, 'stopped');
    assert.match(
      stopped.decisions.at(-1)!.reason,
      /agreement: .* answers are like those of the current version/,
    );
  });

  it('does not judge by rows that it has not got', async () => {
    await using under = await operated();
    await under.register('credit', logisticModel(GOOD));
    await under.operations.set('credit', readModelOperations({ gates: GATES }));
    const next = await under.register('credit', logisticModel(SIMILAR));
    const { id } = await under.operations.release('credit', next, 'tester');
    await under.pass(MINUTE);
    const record = await under.operations.releases.get('credit', id);
    assert.deepEqual([record.outcome, record.decisions.at(-1)!.verdict], ['stopped', 'not enough data']);
    assert.match(record.decisions.at(-1)!.reason, /PUT rows to/);
  });

  it('releases what a deployment brings where there are gates, and puts it into production where there are none', async () => {
    await using under = await credit();
    const next = await under.register('credit', withReference(SIMILAR));
    assert.equal(await under.operations.takesOver('credit', next, 'shop@1'), true);
    assert.equal(await under.operations.takesOver('credit', next, 'shop@1'), true, 'repeated after a crash');
    assert.equal(under.operations.releases.active('credit')?.to, next);
    const third = await under.register('credit', withReference(WORSE));
    assert.equal(await under.operations.takesOver('credit', third, 'shop@2'), true);
    assert.equal(under.operations.releases.active('credit')?.to, third, 'the newer one counts');
    assert.equal(await under.operations.takesOver('credit', under.first, 'shop@3'), false);
    await under.operations.set('credit', readModelOperations({}));
    assert.equal(await under.operations.takesOver('credit', next, 'shop@4'), false);
  });

  it('goes on with its releases after a restart', async () => {
    await using before = await credit();
    const next = await before.register('credit', withReference(SIMILAR));
    const { id } = await before.operations.release('credit', next, 'tester');
    await before.pass(MINUTE / 2, before.calls);
    await before.operations.stop();
    await using after = await operated(before);
    assert.equal(after.operations.of('credit').gates?.label, 'default');
    assert.equal(after.operations.releases.active('credit')?.id, id);
    await after.pass(30 * MINUTE, async () => {
      for (let call = 0; call < 40; call++)
        await after.models.predict('credit', [draw(), draw()], { key: someone() });
    });
    assert.equal((await after.operations.releases.get('credit', id)).outcome, 'released');
  });
});

describe('held-back rows', () => {
  it('are read from CSV and NDJSON', () => {
    const csv = 'amount,"the ""name""",fraud\r\n1.5,"a, b",1\n,x,0\n';
    assert.deepEqual(parseRows(Buffer.from(csv)), [
      { amount: 1.5, 'the "name"': 'a, b', fraud: 1 },
      { amount: null, 'the "name"': 'x', fraud: 0 },
    ]);
    assert.deepEqual(parseRows(Buffer.from('{"a":1}\n\n{"a":null}\n')), [{ a: 1 }, { a: null }]);
    for (const wrong of ['', 'a,b\n1\n', 'a,b\n"x,1\n', '{"a":1}\n[1]', '{"a"']) {
      assert.throws(
        () => parseRows(Buffer.from(wrong)),
        (error) => isMillraceError(error, 'INVALID_INPUT'),
        wrong,
      );
    }
  });

  it('know truths and scores in the forms that they come in', () => {
    assert.deepEqual([true, 'false', '1', 0, null, 'x'].map(truthOf), [1, 0, 1, 0, Number.NaN, Number.NaN]);
    assert.equal(scoreOf({ label: 'no', probabilities: [0.8, 0.2] }, null), 0.2);
    assert.equal(scoreOf({ label: 'no', probabilities: { no: 0.8, yes: 0.2 } }, 'probabilities.no'), 0.8);
    assert.equal(scoreOf({ risk: [0.3] }, 'risk'), 0.3);
    assert.ok(Number.isNaN(scoreOf({ risk: null }, null)));
  });

  it('is not released by metrics of what it does not predict', async () => {
    await using under = await operated();
    await under.register('price', withReference(GOOD));
    const { version } = await under.models.register('price', {
      ...{ bytes: withReference(SIMILAR), serving: DEFAULT_SERVING, by: 'test' },
      metrics: { rmse: 3, rSquared: 0.5 },
    });
    const gates = { label: 'price', metrics: { auc: {} } };
    await under.operations.set('price', readModelOperations({ gates }));
    await assert.rejects(
      under.operations.release('price', version, 'test'),
      (error: Error) =>
        isMillraceError(error, 'INVALID_INPUT') &&
        /predicts values.*Name mae, rmse or r2/.test(error.message),
    );
    assert.equal(under.operations.releases.active('price'), undefined);
  });
});

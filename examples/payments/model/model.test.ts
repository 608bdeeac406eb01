import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, test } from 'node:test';
import { generatePayments } from '../traffic/generator.ts';
import { DAY_MS, divide, measure, type Quality, type Sample } from './protocol.ts';
import { trainOnMadeUp } from './ship.ts';

const sample = (day: number, card: string, fraud = false): Sample => ({
  atMs: day * DAY_MS + 3_600_000,
  card,
  fraud,
  values: new Float32Array(0),
});

describe('the protocol of the handbook', () => {
  it('tests two weeks after the first day of training, without cards known to be defrauded', () => {
    const samples = [
      sample(0, 'a', true),
      sample(6, 'b'),
      ...[sample(7, 'c', true), sample(12, 'e', true), sample(13, 'd', true)],
      ...[14, 15, 20].flatMap((day) => ['a', 'b', 'c', 'd', 'e'].map((card) => sample(day, card))),
      sample(21, 'b'),
    ];
    const { train, test } = divide(samples, { trainFromMs: 0 });
    assert.deepEqual(
      train.map(({ card }) => card),
      ['a', 'b'],
    );
    const tested = (day: number): string =>
      test.flatMap(({ atMs, card }) => (Math.floor(atMs / DAY_MS) === day ? [card] : [])).join('');
    // c's fraud of day 7 is known a week later, when day 14 is over; e's of day 12 when day 19 is.
    assert.deepEqual([tested(14), tested(15), tested(20), tested(21)], ['bcde', 'bde', 'bd', '']);
  });

  it('counts cards by their highest score, and a card that was found not again', () => {
    const test = [
      sample(0, 'a', true),
      sample(0, 'a'),
      sample(0, 'b'),
      ...[sample(1, 'a', true), sample(1, 'b', true)],
      ...Array.from({ length: 200 }, (_, place) => sample(0, `other ${place}`)),
    ];
    const scores = Float64Array.from(test, (_, place) => [0.2, 0.9, 0.8, 0.9, 0.1][place] ?? 0.5);
    // One of 100 on each day: `a` by the score of its other payment, then `b` alone.
    assert.equal(measure(test, scores).cardPrecisionAt100, 0.01);
  });
});

test('the fraud model is trained and measured on recorded payments', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-model-'));
  try {
    const [train, later] = [join(folder, 'train.csv'), join(folder, 'test.csv')];
    const startMs = Date.UTC(2018, 6, 1);
    const lines: string[][] = [[], []];
    for (const { id, atMs, card, terminal, amount, fraud } of generatePayments({
      seed: 5,
      startMs,
      customers: 200,
      terminals: 60,
    })) {
      const day = Math.floor((atMs - startMs) / DAY_MS);
      if (day >= 46) break;
      const cells = [id, new Date(atMs).toISOString(), card, terminal, amount, fraud ? 1 : 0];
      lines[day < 38 ? 0 : 1]!.push(cells.join(','));
    }
    const header = 'transaction_id,time,customer_id,terminal_id,amount,fraud\n';
    writeFileSync(train, `${header}${lines[0]!.join('\n')}\n`);
    writeFileSync(later, `${header}${lines[1]!.join('\n')}\n`);
    const run = (...words: string[]) =>
      spawnSync(process.execPath, [new URL('./main.ts', import.meta.url).pathname, ...words], {
        encoding: 'utf8',
      });
    const { stdout, stderr, status } = run('--train', train, '--test', later, '--json');
    assert.equal(status, 0, stderr);
    const quality = JSON.parse(stdout) as Quality;
    assert.deepEqual(Object.keys(quality), ['averagePrecision', 'auc', 'cardPrecisionAt100']);
    assert.ok(quality.averagePrecision > 0.3 && quality.auc > 0.7, stdout);
    assert.match(run('--train', train, '--json').stderr, /0 to test on for the week from 2018-07-25/);
    assert.match(run('--train', later, '--test', train, '--from', '2018-08-08').stderr, /comes after one of/);
    assert.equal(run('--test', later).status, 2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the model that npm start begins with is what its script makes', () => {
  const shipped = readFileSync(new URL('../scoring/fraud.onnx', import.meta.url));
  assert.ok(shipped.equals(trainOnMadeUp()), 'run `npm run payments:ship`');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { knownAtMs } from '../features/batch.ts';
import { payments } from '../intake/streams.ts';
import { type GeneratedPayment, generatePayments } from '../traffic/generator.ts';
import { terminalEvents } from './streams.ts';

const DAY_MS = 86_400_000;
const INFLATED_FROM = 20;
/** By then at the latest the new version has all traffic, and has been watched. */
const MOST_DAYS = 45;

const timeOf = (ms: number): string => new Date(ms).toISOString();

function* days(): Generator<readonly GeneratedPayment[]> {
  const inflation = { fromDay: INFLATED_FROM, factor: 2 };
  const made = generatePayments({ seed: 4, customers: 300, terminals: 150, startMs: 0, inflation });
  for (let day = 0, first = made.next().value; day < MOST_DAYS; day++) {
    const today: GeneratedPayment[] = [];
    for (; first.atMs < (day + 1) * DAY_MS; first = made.next().value) today.push(first);
    yield today;
  }
}

/** What the platform tells of models and of drift. */
interface Fact {
  readonly type: string;
  readonly model: string;
  readonly version?: string;
  readonly began?: readonly string[];
  readonly step?: string;
  readonly fact?: string;
  readonly outcome?: string;
  readonly reason?: string;
  readonly alias?: string;
  readonly from?: string | null;
  readonly to?: string;
}

test('when everything costs twice as much, the model is trained anew, and the new version takes over', async () => {
  await using app = await testApp([import('../intake/app.ts'), import('./app.ts')]);
  const facts = async (stream: string, type: string): Promise<Fact[]> => {
    const records = await app.records(stream).catch(() => []);
    return records.map(({ value }) => value as Fact).filter((fact) => fact.type === type);
  };
  const frauds: GeneratedPayment[] = [];
  const pay = async (payment: GeneratedPayment): Promise<void> => {
    for (; frauds[0] && knownAtMs(frauds[0].atMs) <= payment.atMs; frauds.shift()) {
      const { id, atMs, card, terminal } = frauds[0];
      await app.emit(terminalEvents, { kind: 'fraud', id, at: timeOf(atMs), card, terminal });
    }
    if (payment.fraud) frauds.push(payment);
    const { id, atMs, card, terminal, amount } = payment;
    await app.emit(payments, { id, at: timeOf(atMs), card, terminal, amount });
  };
  const retraining = () => facts('millrace.models', 'model.retraining');

  let day = 0;
  for (const today of days()) {
    // A day takes five seconds. While a version is released many small batches come: their latencies are compared too.
    const isReleased = (await retraining()).some(({ step }) => step === 'watch');
    for (const [place, payment] of today.entries()) {
      await pay(payment);
      if (isReleased && place % 20 === 0) await app.idle();
    }
    await app.idle();
    await app.clock.advance('5s');
    if (++day === INFLATED_FROM) assert.deepEqual(await retraining(), [], 'nothing has changed yet');
    if ((await retraining()).some(({ step }) => step === 'done')) break;
  }

  const drifted = (await facts('millrace.drift', 'drift.detected')).filter(({ began }) =>
    began!.includes('amount'),
  );
  assert.ok(drifted.length > 0, 'the drift of the amounts is on record');
  const run = (await retraining()).at(-1)!;
  assert.deepEqual([run.step, run.outcome], ['done', 'released'], run.reason ?? '');
  assert.match(run.fact!, /^drift\/fraud@/);
  const [shipped, next] = (await facts('millrace.models', 'model.alias')).filter(
    ({ alias }) => alias === 'production',
  );
  assert.deepEqual([next!.from, next!.to], [shipped!.to, run.version]);
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { createPlatform, loadConfig } from '../../src/main.ts';
import { knownAtMs } from './features/batch.ts';
import { scoreInOneLoop } from './loop.ts';
import type { Verdict } from './scoring/streams.ts';
import type { Summary } from './summary.ts';
import { generatePayments } from './traffic/generator.ts';
import type { SourcePayment } from './traffic/source.ts';

const MAIN = new URL('./main.ts', import.meta.url).pathname;

/** `npm start` with other words behind it, read line by line. */
function start(words: readonly string[]) {
  const ports = ['--json', '--api-port', '0', '--edge-port', '0', '--kafka-port', '0'];
  const child = spawn(process.execPath, [MAIN, ...ports, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <Line>(): Promise<Line> => JSON.parse((await lines.next()).value as string) as Line;
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { next, ended, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'millrace-payments-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function made(count: number): SourcePayment[] {
  const payments: SourcePayment[] = [];
  for (const { id, atMs, card, terminal, amount, fraud } of generatePayments({
    seed: 7,
    customers: 60,
    terminals: 40,
  })) {
    if (payments.length === count) break;
    payments.push({ row: id, id, at: new Date(atMs).toISOString(), atMs, card, terminal, amount, fraud });
  }
  return payments;
}

function writeCsv(path: string, payments: readonly SourcePayment[]): void {
  const rows = payments.map(({ id, at, card, terminal, amount, fraud }) =>
    [id, at, card, terminal, amount, fraud ? 1 : 0].join(','),
  );
  writeFileSync(path, `transaction_id,time,customer_id,terminal_id,amount,fraud\n${rows.join('\n')}\n`);
}

interface Ready {
  readonly ready: true;
  readonly edge: string;
  readonly api: string;
}

test('a payment over HTTP is answered with its score, becomes a case, and an analyst closes it', async () => {
  using data = folder();
  using running = start(['--rate', '50', '--for', '60s', '--data', data.path]);
  const { edge } = await running.next<Ready>();
  const json = { 'content-type': 'application/json' };
  const pay = (amount: number) =>
    fetch(`${edge}/payments`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ card: 'test-card', terminal: 'test-terminal', amount }),
    }).then((answer) => answer.json() as Promise<{ score: number; reasons: string[] }>);

  assert.deepEqual((await pay(20)).reasons, []);
  const large = await pay(250);
  assert.ok(large.score >= 0.5, `a score of ${large.score}`);
  assert.deepEqual(large.reasons, ['250.00 is a very large amount']);

  const openCases = async (): Promise<string[]> => {
    const answer = (await (await fetch(`${edge}/cases?limit=1000`)).json()) as { worst: { card: string }[] };
    return answer.worst.map((each) => each.card);
  };
  for (let cards: string[] = []; !cards.includes('test-card'); ) cards = await openCases();

  const close = (card: string) =>
    fetch(`${edge}/cases/${card}/close`, {
      method: 'POST',
      headers: json,
      body: '{"verdict":"genuine","analyst":"Ada"}',
    });
  assert.equal((await close('test-card')).status, 200);
  assert.ok(!(await openCases()).includes('test-card'), 'the next look sees the closing');
  assert.equal((await close('test-card')).status, 404);
});

test('a replay finds what one loop over an array finds, and started again it does nothing twice', async () => {
  using data = folder();
  const payments = made(12_000);
  const recording = join(data.path, 'payments.csv');
  writeCsv(recording, payments);
  const truth = scoreInOneLoop(payments);
  assert.ok(truth.trueAlerts > 20, 'the recording holds frauds of each kind');

  const words = ['--replay', recording, '--rate', 'max', '--data', join(data.path, 'data')];
  for (const round of ['first', 'second']) {
    using running = start(words);
    await running.next<Ready>();
    const summary = await running.next<Summary>();
    assert.equal(await running.ended, 0);
    const { records, alerts, trueAlerts, falseAlerts, missedFrauds, lost, labels } = summary;
    // Counted in windows of a thousand: of the latest, or of the full one before.
    assert.ok(labels!.labels >= 200 && labels!.labels <= 1000, `${labels!.labels} labels`);
    assert.ok(labels!.precision! > 0.5 && labels!.recall! > 0.3, JSON.stringify(labels));
    assert.deepEqual(
      { records, alerts, trueAlerts, falseAlerts, missedFrauds, lost },
      {
        records: payments.length,
        alerts: truth.alerts,
        trueAlerts: truth.trueAlerts,
        falseAlerts: truth.falseAlerts,
        missedFrauds: truth.missedFrauds,
        lost: 0,
      },
      `${round} run`,
    );
  }

  const verdicts = await verdictsIn(join(data.path, 'data'));
  const byId = new Map(payments.map((payment) => [payment.id, payment]));
  const isKnown = ({ atMs }: SourcePayment): boolean => knownAtMs(atMs) <= payments.at(-1)!.atMs;
  assert.equal(
    verdicts.length,
    new Set(verdicts.map(({ payment }) => payment)).size,
    'one verdict a payment',
  );
  for (const { payment, fraud, alerted } of verdicts) {
    assert.deepEqual(
      { fraud, alerted },
      { fraud: byId.get(payment)!.fraud, alerted: truth.findings.has(payment) },
    );
    assert.ok(isKnown(byId.get(payment)!), `${payment} is judged after a week`);
  }
  const frauds = payments.filter((payment) => payment.fraud && isKnown(payment));
  assert.equal(verdicts.filter(({ fraud }) => fraud).length, frauds.length);
  // That a payment was genuine is noticed with the next payment at its terminal.
  const genuine = payments.filter((each) => !each.fraud && isKnown(each) && truth.findings.has(each.id));
  assert.ok(verdicts.filter(({ fraud }) => !fraud).length > 0.9 * genuine.length);
});

async function verdictsIn(folder: string): Promise<Verdict[]> {
  const flags = { data: folder, 'edge-port': 'off', 'api-port': 'off', 'kafka-port': 'off' };
  await using platform = createPlatform(await loadConfig({ flags, env: {}, folder }));
  await platform.start();
  const { streams } = platform;
  const found: Verdict[] = [];
  for (const [partition, { highWatermark }] of streams.describe('verdicts').bounds.entries()) {
    for (let offset = 0; offset < highWatermark; ) {
      const page = await streams.read({ topic: 'verdicts', partition }, offset, { limit: 10_000 });
      found.push(...page.records.map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as Verdict));
      offset = page.nextOffset;
    }
  }
  return found;
}

test('what cannot be replayed is refused with the remedy', async () => {
  using data = folder();
  const run = async (words: string[]): Promise<{ code: number | null; said: string }> => {
    const child = spawn(process.execPath, [
      MAIN,
      '--api-port',
      '0',
      '--edge-port',
      '0',
      '--kafka-port',
      '0',
      ...words,
    ]);
    let said = '';
    child.stderr.on('data', (chunk) => (said += chunk));
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { code, said };
  };
  const missing = await run(['--replay', join(data.path, 'none.csv')]);
  assert.equal(missing.code, 1);
  assert.match(missing.said, /There is no file .*none\.csv/);
  assert.equal((await run(['--rate', 'quick'])).code, 2);
  assert.equal((await run(['--quick'])).code, 2);

  const wrong = join(data.path, 'wrong.csv');
  writeFileSync(wrong, 'transaction_id,time,customer_id,terminal_id,amount,fraud\n1,yesterday,c1,t1,5,0\n');
  const refused = await run(['--replay', wrong, '--data', join(data.path, 'data')]);
  assert.equal(refused.code, 1);
  assert.match(refused.said, /wrong\.csv:2: 'yesterday' is not a time/);
});

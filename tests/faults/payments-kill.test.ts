import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { unpackCard } from '../../examples/payments/features/card.ts';
import { scoreInOneLoop } from '../../examples/payments/loop.ts';
import type { Summary } from '../../examples/payments/summary.ts';
import { generatePayments } from '../../examples/payments/traffic/generator.ts';
import { recorded, type SourcePayment } from '../../examples/payments/traffic/source.ts';
import { createPlatform, loadConfig } from '../../src/main.ts';
import type { Streams } from '../../src/streams/index.ts';

const MAIN = new URL('../../examples/payments/main.ts', import.meta.url).pathname;
/** Real payments, where they are at hand. */
const DATA_SET = new URL('../../../shared/data/fraud/transactions-000-128.csv.gz', import.meta.url).pathname;
const FULL = process.env.MILLRACE_FAULTS === 'full';
const KILLS = 10;

async function recording(folder: string): Promise<{ path: string; payments: SourcePayment[] }> {
  if (FULL && existsSync(DATA_SET)) return { path: DATA_SET, payments: await read(DATA_SET) };
  const path = join(folder, 'payments.csv');
  const rows = ['transaction_id,time,customer_id,terminal_id,amount,fraud'];
  for (const { id, atMs, card, terminal, amount, fraud } of generatePayments({ seed: 3, customers: 300 })) {
    if (rows.length > 60_000) break;
    rows.push([id, new Date(atMs).toISOString(), card, terminal, amount, fraud ? 1 : 0].join(','));
  }
  writeFileSync(path, `${rows.join('\n')}\n`);
  return { path, payments: await read(path) };
}

async function read(path: string): Promise<SourcePayment[]> {
  const payments: SourcePayment[] = [];
  for await (const chunk of recorded(path)) payments.push(...chunk);
  return payments;
}

function replay(path: string, data: string): ChildProcess {
  const words = [
    '--replay',
    path,
    '--rate',
    'max',
    '--data',
    data,
    '--json',
    '--api-port',
    '0',
    '--edge-port',
    '0',
    '--kafka-port',
    'off',
  ];
  return spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Kills the replay with SIGKILL some time after it is ready; false when it ended before. */
async function killed(child: ChildProcess, afterMs: number): Promise<boolean> {
  const ended = new Promise<false>((resolve) => child.once('close', () => resolve(false)));
  const ready = new Promise<true>((resolve) => child.stdout!.once('data', () => resolve(true)));
  if (!(await Promise.race([ready, ended]))) return false;
  const time = new Promise<true>((resolve) => setTimeout(() => resolve(true), afterMs));
  if (!(await Promise.race([time, ended]))) return false;
  child.kill('SIGKILL');
  await ended;
  return true;
}

async function summaryOf(child: ChildProcess): Promise<Summary> {
  let text = '';
  child.stdout!.on('data', (chunk) => (text += chunk));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  assert.equal(code, 0);
  return JSON.parse(text.trim().split('\n').at(-1)!) as Summary;
}

/** The changelog of the state `cards`: compacted, so its latest record of each card is the card's state. */
const CARDS = 'millrace.state.scoring.see-card.scoring.see-card.cards';

/** What the data folder holds when nobody runs on it: every alert, and how many payments the cards' states count. */
async function contents(data: string): Promise<{ findings: number[]; counted: number }> {
  const flags = { data, 'api-port': 'off', 'edge-port': 'off', 'kafka-port': 'off' };
  const config = await loadConfig({ flags, env: {}, folder: data });
  await using platform = createPlatform(config);
  await platform.start();
  const findings: number[] = [];
  for await (const { value } of valuesOf(platform.streams, 'alerts')) {
    findings.push((value as { payment: number }).payment);
  }
  const cards = new Map<string, number>();
  for await (const { key, value } of valuesOf(platform.streams, CARDS)) {
    cards.set(key, unpackCard(value as string).count);
  }
  return { findings, counted: [...cards.values()].reduce((sum, count) => sum + count, 0) };
}

async function* valuesOf(streams: Streams, topic: string): AsyncIterable<{ key: string; value: unknown }> {
  const decoder = new TextDecoder();
  for (const [partition, { logStartOffset, highWatermark }] of streams.describe(topic).bounds.entries()) {
    for (let offset = logStartOffset; offset < highWatermark; ) {
      const page = await streams.read({ topic, partition }, offset, { limit: 10_000 });
      for (const { key, value } of page.records) {
        yield { key: decoder.decode(key ?? undefined), value: JSON.parse(decoder.decode(value!)) };
      }
      offset = page.nextOffset;
    }
  }
}

test(`killed ${KILLS} times in the middle, the replay still scores every payment once`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-payments-kill-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { path, payments } = await recording(folder);
  const truth = scoreInOneLoop(payments);
  const data = join(folder, 'data');

  let kills = 0;
  for (let round = 0; round < KILLS; round++) {
    if (await killed(replay(path, data), 50 + Math.random() * (FULL ? 3000 : 250))) kills++;
  }
  t.diagnostic(`${kills} kills in the middle of ${payments.length} payments`);
  assert.ok(kills > 0, 'at least one kill came before the end');

  const summary = await summaryOf(replay(path, data));
  assert.equal(summary.lost, 0);
  assert.equal(summary.records, payments.length);
  assert.equal(summary.alerts, truth.alerts);

  const { findings, counted } = await contents(data);
  assert.equal(findings.length, new Set(findings).size, 'no alert twice');
  assert.deepEqual(new Set(findings), truth.findings);
  assert.equal(counted, payments.length, 'each payment counts once in the state of its card');
});

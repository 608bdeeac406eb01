import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type FunctionPlatform, startFunctionPlatform } from '../support/function-platform.ts';
import { define, deploy, fold, isPoison, keyOf, PARTITIONS } from './kill-exactly-once.app.ts';

const KILLS = process.env['MILLRACE_FAULTS'] === 'full' ? 1000 : 15;
const CHILD = new URL('./kill-exactly-once.child.ts', import.meta.url).pathname;

async function runAndKill(folder: string): Promise<void> {
  const child = spawn(process.execPath, [CHILD, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const ready = once(child.stdout, 'data').then(() => 'ready');
  const first = await Promise.race([ready, exited]);
  assert.equal(first, 'ready', `the platform came up on what the kill left, instead of ending with ${first}`);
  await wait(Math.random() * 150);
  child.kill('SIGKILL');
  await exited;
}

async function untilRead({ consumers }: FunctionPlatform): Promise<void> {
  const behind = (): boolean =>
    consumers
      .list()
      .some(({ state, partitions }) => state !== 'running' || partitions.some(({ lag }) => lag > 0));
  for (let left = 1000; behind(); left--) {
    assert.ok(left > 0, JSON.stringify(consumers.list()));
    await wait(20);
  }
  // What is handled may still be on its way to the disk: only then can it be read.
  await consumers.idle();
}

interface Value {
  readonly value: number;
  readonly next?: number;
}

async function valuesOf({ streams, log }: FunctionPlatform, stream: string): Promise<Value[]> {
  const values: Value[] = [];
  for (let partition = 0; partition < streams.describe(stream).partitions; partition++) {
    const end = log.bounds({ topic: stream, partition }).highWatermark;
    for (let offset = 0; offset < end; ) {
      const page = await streams.read({ topic: stream, partition }, offset, { limit: 1000 });
      values.push(...page.records.map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as Value));
      offset = page.nextOffset;
    }
  }
  return values;
}

const byKey = (values: readonly Value[]): [string, Value[]][] =>
  [...Map.groupBy(values, ({ value }) => keyOf(value))].sort(([a], [b]) => a.localeCompare(b));

/** The emits with the state they saw: one fold that misses, repeats or swaps a value is another number. */
function expectedScores(payments: readonly Value[]): Value[] {
  const folds = new Map<string, number>();
  return payments
    .filter(({ value }) => !isPoison(value))
    .map(({ value }) => {
      const next = fold(folds.get(keyOf(value)) ?? 0, value);
      folds.set(keyOf(value), next);
      return { value, next };
    });
}

test(`killed ${KILLS} times under load, outputs and state are there exactly once and in order`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kill-'));
  try {
    for (let kill = 0; kill < KILLS; kill++) await runAndKill(folder);
    await using platform = await startFunctionPlatform(folder);
    await define(platform);
    await deploy(platform);
    await untilRead(platform);

    const payments = await valuesOf(platform, 'payments');
    assert.ok(payments.length >= KILLS * 40, `${payments.length} payments were published`);
    assert.deepEqual(byKey(await valuesOf(platform, 'scores')), byKey(expectedScores(payments)));
    assert.deepEqual(byKey(await valuesOf(platform, 'echoes')), byKey(payments));
    const poison = payments.filter(({ value }) => isPoison(value));
    if (poison.length > 0) {
      const letters = (await valuesOf(platform, 'score.dlq')).toSorted((a, b) => a.value - b.value);
      assert.deepEqual(
        letters,
        poison.toSorted((a, b) => a.value - b.value),
      );
    }
    assert.equal(platform.streams.find('echo.dlq'), undefined);
    assert.equal(PARTITIONS, platform.consumers.status('score').partitions.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

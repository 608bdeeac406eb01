import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type SimulatedDisk, simulatedDisk } from '../../adapters/memory/index.ts';
import { manualClock, type Random, seededRandom } from '../../kernel/index.ts';
import { valuesOf } from '../contract/harness.support.ts';
import type { Disk } from '../disk.port.ts';
import { encodeBatch } from '../record-batch/index.ts';
import { createEmbeddedLog, type EmbeddedLog, type LogTuning } from './index.ts';

/** So small that files rotate, segments roll and checkpoints happen all the time. */
const TINY: Partial<LogTuning> = {
  walFileBytes: 4096,
  checkpointBytes: 8192,
  flushBytes: 1024,
  groupBytes: 2048,
  cacheBytes: 2048,
  openFiles: 4,
};
const PARTITIONS = 3;

async function openOn(disk: Disk, seed = 1): Promise<EmbeddedLog> {
  const log = createEmbeddedLog({ disk, clock: manualClock(), random: seededRandom(seed), tuning: TINY });
  await log.start?.();
  return log;
}

interface Expectation {
  /** Acknowledged values of each partition, in order. */
  readonly acked: string[][];
  /** Everything that was ever sent. */
  readonly sent: Set<string>;
  /** Pairs of values that a commit appended to partitions 0 and 1. */
  readonly pairs: [string, string][];
}

const batchOf = (value: string): Uint8Array =>
  encodeBatch([{ value: new TextEncoder().encode(value) }], { timeMs: 1 });

/** Appends and commits at random until the power fails. */
async function load(log: EmbeddedLog, random: Random, expected: Expectation, tag: string): Promise<void> {
  const assignment = (await log.join('group', ['t'])).assignment!;
  const worker = async (id: number): Promise<void> => {
    for (let turn = 0; turn < 60; turn++) {
      const name = `${tag}.${id}.${turn}`;
      if (random.integer(4) === 0) {
        const pair: [string, string] = [`${name}.a`, `${name}.b`];
        for (const value of pair) expected.sent.add(value);
        expected.pairs.push(pair);
        const appends = pair.map((value, partition) => ({ topic: 't', partition, batch: batchOf(value) }));
        const offsets = [{ topic: 't', partition: 0, offset: turn, done: [] }];
        const result = await assignment.commit({ appends, offsets, state: [] });
        assert.equal(result.status, 'COMMITTED');
        pair.forEach((value, partition) => void expected.acked[partition]!.push(value));
      } else {
        const partition = random.integer(PARTITIONS);
        const value = `${name} ${'x'.repeat(random.integer(400))}`;
        expected.sent.add(value);
        await log.append({ topic: 't', partition, batch: batchOf(value) });
        expected.acked[partition]!.push(value);
      }
      if (random.integer(40) === 0) await log.maintain();
    }
  };
  await Promise.allSettled([worker(0), worker(1), worker(2)]);
}

async function check(log: EmbeddedLog, expected: Expectation): Promise<void> {
  const all = new Set<string>();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const values = (await valuesOf(log, { topic: 't', partition })) as string[];
    const places = new Map(values.map((value, offset) => [value, offset]));
    assert.equal(places.size, values.length, 'each record is there once');
    for (const value of values) {
      assert.ok(expected.sent.has(value), 'nothing is there that nobody sent');
      all.add(value);
    }
    let last = new Map<string, number>();
    for (const value of expected.acked[partition]!) {
      const place = places.get(value);
      assert.ok(place !== undefined, `acknowledged '${value.slice(0, 20)}' is there`);
      const writer = value.split('.').slice(0, 2).join('.');
      assert.ok(place > (last.get(writer) ?? -1), 'in order');
      last = last.set(writer, place);
    }
    assert.equal(log.bounds({ topic: 't', partition }).highWatermark, values.length, 'offsets are dense');
  }
  for (const [a, b] of expected.pairs)
    assert.equal(all.has(a), all.has(b), 'commits are there whole or not at all');
  assert.deepEqual((await log.verify()).damages, []);
}

const emptyExpectation = (): Expectation => ({
  acked: Array.from({ length: PARTITIONS }, () => []),
  sent: new Set(),
  pairs: [],
});

/** Ends a life inside a change of the disk: mostly by power failure, sometimes the process alone is killed. */
async function endLife(
  log: EmbeddedLog,
  disk: SimulatedDisk,
  random: Random,
  expected: Expectation,
  life: number,
): Promise<SimulatedDisk> {
  if (random.integer(3) > 0) {
    disk.crashAt(1 + random.integer(life === 1 ? 12 : 250));
    await load(log, random, expected, `${life}`);
    return disk.crash(random);
  }
  const working = load(log, random, expected, `${life}`);
  for (let turns = random.integer(200); turns > 0; turns--) await new Promise(setImmediate);
  const left = disk.kill();
  await working;
  return left;
}

/** Three lives of a log, each ended by a power failure (or a kill) inside some change of the disk. */
async function run(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const expected = emptyExpectation();
  let disk: SimulatedDisk = simulatedDisk();
  const first = await openOn(disk);
  await first.topics.create({
    name: 't',
    partitions: PARTITIONS,
    config: { segmentBytes: 1500, retentionMs: null },
  });
  for (let life = 0; life < 3; life++) {
    const log = life === 0 ? first : await openOn(disk, seed + life);
    if (life > 0) await check(log, expected);
    disk = await endLife(log, disk, random, expected, life);
  }
  const log = await openOn(disk, seed);
  await check(log, expected);
  await log.stop?.(AbortSignal.timeout(1000));
  await check(await openOn(disk.kill(), seed), expected);
}

describe('power failures', () => {
  const only = process.env['MILLRACE_SEED'];
  const count = Number(process.env['MILLRACE_SEEDS'] ?? 60);
  const seeds = only ? [Number(only)] : Array.from({ length: count }, (_, index) => index + 1);
  test(`L1, L2, L4 hold wherever the power fails (${seeds.length} seeds; MILLRACE_SEED replays one)`, async () => {
    for (const seed of seeds) {
      await run(seed).catch((error) => {
        throw new Error(`seed ${seed}`, { cause: error });
      });
    }
  });
});

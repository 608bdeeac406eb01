import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStateStore, type SimulatedDisk, simulatedDisk } from '../../adapters/memory/index.ts';
import { type ManualClock, manualClock, type StateStore, seededRandom } from '../../kernel/index.ts';
import { createEmbeddedLog, createStreams, decodeBatches, type Streams } from '../../streams/index.ts';
import { createStreamConsumers, type StreamConsumers } from './consumers.ts';
import { createTestDispatcher, fail, streamFunction } from './test-dispatcher.support.ts';

/** The real log on a disk that loses power inside its nth change, for every n that the work needs. */
const RECORDS = 60;
const KEYS = 6;
const POISON = 13;
const SEEN = { name: 'seen', ttlMs: null };

interface Machine {
  readonly streams: Streams;
  readonly consumers: StreamConsumers;
}

async function boot(disk: SimulatedDisk, state: StateStore, clock: ManualClock): Promise<Machine> {
  const log = createEmbeddedLog({ disk, clock, random: seededRandom(3) });
  await log.start!();
  const streams = createStreams({ log, state, clock });
  await streams.start!();
  const dispatcher = createTestDispatcher();
  dispatcher.handler = async ({ value }, handle) => {
    if (value === POISON) fail('Poison');
    const seen = ((await handle.get('seen')) as number[] | undefined) ?? [];
    await handle.set('seen', [...seen, value as number]);
    handle.emit('alerts', value, `k${(value as number) % KEYS}`);
  };
  const consumers = createStreamConsumers({
    streams,
    dispatcher,
    clock,
    random: seededRandom(4),
    config: { maxBackoffMs: 100 },
  });
  return { streams, consumers };
}

const scoring = streamFunction('score', ['payments'], {
  batch: { size: 7, waitMs: 0 },
  retry: { attempts: 2, backoffMs: 10 },
});

async function turnsUntil(clock: ManualClock, done: () => boolean): Promise<void> {
  for (let turn = 0; turn < 3000 && !done(); turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (turn % 5 === 0) clock.advance(10);
  }
}

const isDone = ({ consumers }: Machine): boolean =>
  consumers.list().some(({ state }) => state === 'running') &&
  consumers
    .list()
    .every(
      ({ partitions, eventsInFlight }) => eventsInFlight === 0 && partitions.every(({ lag }) => lag === 0),
    );

async function valuesOf({ log }: Streams, topic: string): Promise<number[]> {
  const values: number[] = [];
  for (let partition = 0; partition < (log.topics.find(topic)?.partitions ?? 0); partition++) {
    for (let offset = 0; offset < log.bounds({ topic, partition }).highWatermark; ) {
      const { batches } = await log.fetch({ topic, partition, offset, maxBytes: 1_000_000 });
      const records = decodeBatches(batches);
      values.push(...records.map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as number));
      offset = records.at(-1)!.offset + 1;
    }
  }
  return values;
}

async function check({ streams }: Machine, n: number): Promise<void> {
  const alive = Array.from({ length: RECORDS }, (_, value) => value).filter((value) => value !== POISON);
  const alerts = await valuesOf(streams, 'alerts');
  assert.deepEqual(
    alerts.toSorted((a, b) => a - b),
    alive,
    `crash ${n}: every alert once`,
  );
  for (let key = 0; key < KEYS; key++) {
    const mine = (value: number): boolean => value % KEYS === key;
    assert.deepEqual(alerts.filter(mine), alive.filter(mine), `crash ${n}: key ${key} in order`);
  }
  assert.deepEqual(await valuesOf(streams, 'score.dlq'), [POISON], `crash ${n}: the poison is dead, once`);
  const member = await streams.log.join('shop.score', ['payments']);
  const kept: number[] = [];
  for (const { partition } of member.assignment!.partitions)
    for (const { value } of (await member.assignment!.state('shop.score.seen', partition)).entries())
      kept.push(...(JSON.parse(Buffer.from(value).toString()) as number[]));
  assert.deepEqual(
    kept.toSorted((a, b) => a - b),
    alive,
    `crash ${n}: the state has seen each once`,
  );
}

/** Whether the disk crashed before the work was done. */
async function crashAndRecover(n: number): Promise<boolean> {
  const clock = manualClock();
  const disk = simulatedDisk();
  const state = memoryStateStore({ clock });
  const before = await boot(disk, state, clock);
  await before.streams.define({ name: 'payments', partitions: 2 });
  await before.streams.define({ name: 'alerts', partitions: 2 });
  const records = Array.from({ length: RECORDS }, (_, value) => ({
    key: `k${value % KEYS}`,
    value: { json: value },
  }));
  await before.streams.publish('payments', records);
  disk.crashAt(n);
  void before.consumers.apply('shop', [scoring], [SEEN]);
  await turnsUntil(clock, () => disk.crashed || isDone(before));
  const { crashed } = disk;

  const after = await boot(disk.crash(seededRandom(n)), state, clock);
  await after.consumers.apply('shop', [scoring], [SEEN]);
  await turnsUntil(clock, () => isDone(after));
  await after.consumers.stop!(new AbortController().signal);
  await check(after, n);
  return crashed;
}

test('a power loss inside any change of the disk leaves outputs and state exactly once', async () => {
  let n = 1;
  while (await crashAndRecover(n)) n++;
  assert.ok(n > 10, `${n} crash points`);
});

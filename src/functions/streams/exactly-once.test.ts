import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Json, type ManualClock, manualClock, seededRandom } from '../../kernel/index.ts';
import { createStreamConsumers, type StreamConsumers } from './consumers.ts';
import {
  createTestDispatcher,
  fail,
  streamFunction,
  type TestDispatcher,
} from './test-dispatcher.support.ts';
import { type CommitFault, createTestLog, type TestLog } from './test-log.support.ts';

/**
 * Random records through random failures: of handlers, of whole events, of commits, of an instance of the platform. The state
 * of a key is the list of its values, so that a record that is lost, done twice or out of order shows.
 */
interface World {
  readonly clock: ManualClock;
  readonly log: TestLog;
  readonly dispatcher: TestDispatcher;
  readonly platforms: StreamConsumers[];
  readonly random: () => number;
}

const scenario = fc.record({
  seed: fc.nat(),
  partitions: fc.integer({ min: 1, max: 3 }),
  keys: fc.integer({ min: 1, max: 8 }),
  records: fc.integer({ min: 1, max: 80 }),
  batch: fc.constantFrom(null, { size: 1, waitMs: 0 }, { size: 7, waitMs: 10 }, { size: 50, waitMs: 0 }),
  windowRecords: fc.constantFrom(3, 20, 10_000),
  commitsInFlight: fc.integer({ min: 1, max: 4 }),
  /** How often each happens, of 100. */
  throws: fc.constantFrom(0, 10, 30),
  crashes: fc.constantFrom(0, 10, 30),
  commitFaults: fc.constantFrom(0, 5, 20),
  /** Values that always fail. */
  poison: fc.uniqueArray(fc.nat(79), { maxLength: 4 }),
  secondPlatform: fc.boolean(),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

function createWorld(given: Scenario): World {
  const clock = manualClock();
  const log = createTestLog(clock);
  const dispatcher = createTestDispatcher();
  const numbers = seededRandom(given.seed);
  const random = (): number => numbers.integer(100);
  log.create('payments', given.partitions);
  log.create('alerts', given.partitions);
  const platforms: StreamConsumers[] = [];
  return { clock, log, dispatcher, platforms, random };
}

async function addPlatform(world: World, given: Scenario): Promise<void> {
  const { log, dispatcher, clock } = world;
  const consumers = createStreamConsumers({
    streams: log.streams,
    dispatcher,
    clock,
    random: seededRandom(given.seed + world.platforms.length),
    config: { windowRecords: given.windowRecords, commitsInFlight: given.commitsInFlight, maxBackoffMs: 500 },
  });
  world.platforms.push(consumers);
  const retry = { attempts: 8, backoffMs: 50 };
  await consumers.apply(
    'shop',
    [streamFunction('score', ['payments'], { batch: given.batch, retry })],
    [{ name: 'seen', ttlMs: null }],
  );
}

function goWrong(world: World, given: Scenario): void {
  const { dispatcher, log, random } = world;
  const poison = new Set(given.poison);
  dispatcher.handler = async ({ value }, handle) => {
    if (random() < 30) await new Promise((resolve) => setImmediate(resolve));
    const seen = ((await handle.get('seen')) as number[] | undefined) ?? [];
    await handle.set('seen', [...seen, value as number]);
    handle.emit('alerts', value, `card-${(value as number) % given.keys}`);
    if (poison.has(value as number) || random() < given.throws) fail('Flaky');
  };
  dispatcher.mishap = () =>
    random() < given.crashes ? (['crash before', 'crash after', 'refuse'] as const)[random() % 3]! : 'none';
  log.fault = (): CommitFault =>
    random() < given.commitFaults ? (['fail before', 'fail after', 'fence'] as const)[random() % 3]! : 'none';
  log.latency = () => new Promise((resolve) => setImmediate(resolve));
}

function calmDown({ dispatcher, log }: World): void {
  dispatcher.mishap = () => 'none';
  log.fault = () => 'none';
}

async function turns(world: World, count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    world.clock.advance(20);
  }
}

async function untilDone(world: World): Promise<void> {
  const done = (platform: StreamConsumers): boolean =>
    platform
      .list()
      .every(({ state, partitions }) => state === 'running' && partitions.every(({ lag }) => lag === 0));
  for (let round = 0; round < 400 && !world.platforms.every(done); round++) await turns(world, 5);
  for (const platform of world.platforms) await platform.idle();
}

const valuesByKey = (values: readonly Json[], keys: number): Map<number, number[]> =>
  Map.groupBy(values as number[], (value) => value % keys);

/** Every record is either in the state and the emits of its key, once and in order, or a dead letter, once. */
function check(world: World, given: Scenario): void {
  const { log } = world;
  const dead = (log.values('score.dlq') as number[]).toSorted((a, b) => a - b);
  assert.equal(new Set(dead).size, dead.length, 'dead letters are there once');
  for (const value of given.poison)
    if (value < given.records) assert.ok(dead.includes(value), `${value} is dead`);
  const alive = Array.from({ length: given.records }, (_, value) => value).filter(
    (value) => !dead.includes(value),
  );
  const expected = valuesByKey(alive, given.keys);
  assert.deepEqual(sortedEntries(valuesByKey(log.values('alerts'), given.keys)), sortedEntries(expected));
  const state = new Map<number, number[]>();
  for (let partition = 0; partition < given.partitions; partition++)
    for (const [key, seen] of log.state('shop.score.seen', partition))
      state.set(Number(key.slice('card-'.length)), seen as number[]);
  assert.deepEqual(sortedEntries(state), sortedEntries(expected));
}

const sortedEntries = (map: Map<number, number[]>): [number, number[]][] =>
  [...map].sort(([a], [b]) => a - b);

test('whatever fails when, outputs and state are there exactly once and in order per key', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const world = createWorld(given);
      const { log, platforms } = world;
      goWrong(world, given);
      await addPlatform(world, given);
      for (let value = 0; value < given.records; value++)
        log.publish('payments', [{ key: `card-${value % given.keys}`, value }]);
      await turns(world, 10);
      if (given.secondPlatform) {
        await addPlatform(world, given);
        await turns(world, 10);
        // One goes down hard, in the middle of whatever it does.
        const [first] = platforms.splice(0, 1);
        const stopping = first!.stop!(AbortSignal.abort());
        await turns(world, 5);
        await stopping;
      }
      await turns(world, 10);
      calmDown(world);
      await untilDone(world);
      for (const platform of platforms) await platform.stop!(new AbortController().signal);
      check(world, given);
    }),
    { numRuns: Number(process.env.MILLRACE_RUNS ?? 60) },
  );
});

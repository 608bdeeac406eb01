import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type FunctionManifest,
  type Json,
  manualClock,
  onSignal,
  type StateManifest,
  seededRandom,
} from '../../kernel/index.ts';
import type { ReadRecord } from '../../streams/index.ts';
import type { StreamConsumerConfig } from './config.ts';
import { createStreamConsumers } from './consumers.ts';
import { createTestDispatcher, fail, streamFunction } from './test-dispatcher.support.ts';
import { createTestLog } from './test-log.support.ts';

const SPENT: StateManifest = { name: 'spent', ttlMs: null };

function setup(config: Partial<StreamConsumerConfig> = {}) {
  const clock = manualClock();
  const log = createTestLog(clock);
  const dispatcher = createTestDispatcher();
  log.create('payments', 1);
  log.create('alerts', 1);
  const make = () =>
    createStreamConsumers({ streams: log.streams, dispatcher, clock, random: seededRandom(1), config });
  const consumers = make();
  const run = (...functions: FunctionManifest[]) => consumers.apply('shop', functions, [SPENT]);
  /** Lets everything happen, timers included. */
  const settle = async (ms = 10_000): Promise<void> => {
    for (let left = ms; left >= 0; left -= 50) {
      await consumers.idle();
      clock.advance(50);
    }
    await consumers.idle();
  };
  const stop = () => consumers.stop!(new AbortController().signal);
  return { clock, log, dispatcher, consumers, make, run, settle, stop };
}

const payments = (count: number, keys = 5) =>
  Array.from({ length: count }, (_, index) => ({ key: `card-${index % keys}`, value: index }));
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const sorted = (values: readonly Json[]): number[] => (values as number[]).toSorted((a, b) => a - b);

const headersOf = ({ headers }: ReadRecord): Record<string, string> =>
  Object.fromEntries(headers.map(({ key, value }) => [key, Buffer.from(value!).toString()]));

test('every record reaches the function once, and its emits are there with its position', async () => {
  const { log, dispatcher, consumers, run, stop } = setup();
  dispatcher.handler = ({ value }, { emit }) => emit('alerts', value);
  log.publish('payments', payments(1000));
  await run(streamFunction('score', ['payments']));
  await consumers.idle();

  assert.deepEqual(sorted(log.values('alerts')), numbers(1000));
  assert.deepEqual(log.offsets('shop.score'), [{ topic: 'payments', partition: 0, offset: 1000, done: [] }]);
  assert.equal(dispatcher.overlaps, 0);
  await stop();
});

test('keyed state is read through a round trip once, then sent along, and pending writes are seen', async () => {
  const { log, dispatcher, consumers, run, stop } = setup();
  dispatcher.handler = async ({ value }, state) => {
    await state.set('spent', (((await state.get('spent')) as number | undefined) ?? 0) + (value as number));
  };
  await run(streamFunction('score', ['payments'], { batch: { size: 10, waitMs: 0 } }));
  log.publish('payments', payments(1000));
  await consumers.idle();

  const expected = new Map<string, number>();
  for (const { key, value } of payments(1000)) expected.set(key, (expected.get(key) ?? 0) + value);
  assert.deepEqual(log.state('shop.score.spent', 0), expected);
  assert.ok(dispatcher.roundTrips >= 1 && dispatcher.roundTrips < 20, `${dispatcher.roundTrips} round trips`);
  await stop();
});

test('state expires by the clock, in the log and while pending', async () => {
  const { clock, log, dispatcher, consumers, stop } = setup();
  dispatcher.handler = async (_, state) => {
    const seen = ((await state.get('spent')) as number | undefined) ?? 0;
    await state.set('spent', seen + 1);
    state.emit('alerts', seen);
  };
  await consumers.apply('shop', [streamFunction('score', ['payments'])], [{ name: 'spent', ttlMs: 1000 }]);
  const send = async (): Promise<void> => {
    log.publish('payments', [{ key: 'a', value: 1 }]);
    await consumers.idle();
  };
  await send();
  clock.advance(900);
  await send();
  clock.advance(1000);
  await send();
  assert.deepEqual(log.values('alerts'), [0, 1, 0]);
  await stop();
});

test('a batch goes when it is full, or when its oldest record has waited', async () => {
  const { clock, log, dispatcher, consumers, run, stop } = setup();
  await run(streamFunction('score', ['payments'], { batch: { size: 100, waitMs: 20 } }));
  log.publish('payments', payments(250, 250));
  await consumers.idle();
  assert.deepEqual(dispatcher.events, [100, 100]);
  clock.advance(20);
  await consumers.idle();
  assert.deepEqual(dispatcher.events, [100, 100, 50]);
  await stop();
});

test('a record that fails is retried with backoff and holds back its key alone', async () => {
  const { clock, log, dispatcher, consumers, run, settle, stop } = setup();
  const handled: string[] = [];
  dispatcher.handler = ({ key, value, attempt }, { emit }) => {
    if (value === 0 && attempt < 3) fail('Flaky');
    handled.push(`${key}:${value}`);
    emit('alerts', value);
  };
  log.publish('payments', payments(20));
  await run(streamFunction('score', ['payments']));
  await consumers.idle();
  assert.equal(handled.length, 16, 'all but the four of card-0');
  clock.advance(0);
  await settle();
  assert.deepEqual(
    handled.filter((each) => each.startsWith('card-0:')),
    ['card-0:0', 'card-0:5', 'card-0:10', 'card-0:15'],
  );
  assert.deepEqual(sorted(log.values('alerts')), numbers(20));
  assert.deepEqual(log.records('score.dlq'), []);
  await stop();
});

test('after the last attempt a record is a dead letter with its story, and others of its key go on', async () => {
  const { log, dispatcher, run, settle, stop } = setup();
  dispatcher.handler = ({ value }, { emit }) => {
    emit('alerts', value);
    if (value === 7) fail('TypeError', 'no such card');
  };
  log.publish('payments', payments(20));
  await run(streamFunction('score', ['payments']));
  await settle();

  const [letter, ...others] = log.records('score.dlq');
  assert.deepEqual(others, []);
  assert.equal(Buffer.from(letter!.key!).toString(), 'card-2');
  assert.equal(Buffer.from(letter!.value!).toString(), '7');
  const headers = headersOf(letter!);
  assert.match(headers['millrace-first-failure']!, /^2026-/);
  assert.match(headers['millrace-last-failure']!, /^2026-/);
  assert.partialDeepStrictEqual(headers, {
    'millrace-error-name': 'TypeError',
    'millrace-error-message': 'no such card',
    'millrace-attempts': '3',
    'millrace-function': 'score',
    'millrace-version': 'v1',
    'millrace-origin-stream': 'payments',
    'millrace-origin-partition': '0',
    'millrace-origin-offset': '7',
  });
  assert.deepEqual(
    sorted(log.values('alerts')),
    numbers(20).filter((value) => value !== 7),
  );
  assert.equal(log.offsets('shop.score')[0]!.offset, 20);
  await stop();
});

test('a batch that throws is halved until the record that throws is alone', async () => {
  const { log, dispatcher, run, settle, stop } = setup();
  dispatcher.handler = ({ value }, { emit }) => {
    if (value === 33) fail('Bad');
    emit('alerts', value);
  };
  log.publish('payments', payments(64, 64));
  await run(streamFunction('score', ['payments'], { batch: { size: 64, waitMs: 0 } }));
  await settle();
  assert.deepEqual(
    sorted(log.values('alerts')),
    numbers(64).filter((value) => value !== 33),
  );
  assert.equal(log.records('score.dlq').length, 1);
  // 64, then both halves of every level down to the one, then that one twice more.
  assert.equal(dispatcher.events.length, 1 + 2 * 6 + 2);
  await stop();
});

test('of a batch that returns failed, only those are retried', async () => {
  const { log, dispatcher, run, settle, stop } = setup();
  const handled: Json[] = [];
  dispatcher.handler = ({ value }) => void handled.push(value);
  dispatcher.failed = (records) =>
    records.flatMap(({ value, attempt }, index) => (value === 3 && attempt === 1 ? [index] : []));
  log.publish('payments', payments(10));
  await run(streamFunction('score', ['payments'], { batch: { size: 10, waitMs: 0 } }));
  await settle();
  assert.deepEqual(handled, [...numbers(10), 3]);
  assert.equal(log.offsets('shop.score')[0]!.offset, 10);
  await stop();
});

test('an emit that its stream refuses fails its record, with the reason', async () => {
  const { log, dispatcher, run, settle, stop } = setup();
  log.refuses = (_, value) => value === '4';
  dispatcher.handler = async ({ value }, { emit, set }) => {
    await set('spent', value);
    emit('alerts', value);
  };
  log.publish('payments', payments(10, 10));
  await run(streamFunction('score', ['payments']));
  await settle();
  assert.deepEqual(
    sorted(log.values('alerts')),
    numbers(10).filter((value) => value !== 4),
  );
  assert.equal(log.state('shop.score.spent', 0).has('card-4'), false);
  const [letter] = log.records('score.dlq');
  assert.match(
    String(Buffer.from(letter!.headers.find(({ key }) => key === 'millrace-error-message')!.value!)),
    /alerts.*does not fit/s,
  );
  await stop();
});

test('a slow record keeps nobody else waiting', async () => {
  const { log, dispatcher, consumers, run, stop } = setup();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  dispatcher.handler = async ({ value }, { emit }) => {
    if (value === 0) await gate;
    emit('alerts', value);
  };
  await run(streamFunction('score', ['payments'], { batch: { size: 1, waitMs: 0 } }));
  log.publish('payments', payments(20));
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    sorted(log.values('alerts')),
    numbers(20).filter((value) => value % 5 !== 0),
  );
  open();
  await consumers.idle();
  assert.deepEqual(log.offsets('shop.score')[0], { topic: 'payments', partition: 0, offset: 20, done: [] });
  assert.equal(dispatcher.overlaps, 0);
  await stop();
});

test('a new version takes over between two events, at the position', async () => {
  const { log, dispatcher, consumers, run, stop } = setup();
  dispatcher.handler = ({ value }, { emit }) => emit('alerts', value);
  await run(streamFunction('score', ['payments']));
  log.publish('payments', payments(100));
  await consumers.idle();
  const before = dispatcher.versions.length;
  await run(streamFunction('score', ['payments'], { version: 'v2', batch: { size: 10, waitMs: 0 } }));
  log.publish('payments', payments(100));
  await consumers.idle();
  assert.deepEqual(new Set(dispatcher.versions.slice(0, before)), new Set(['v1']));
  assert.deepEqual(new Set(dispatcher.versions.slice(before)), new Set(['v2']));
  assert.equal(log.values('alerts').length, 200);
  await stop();
});

test('a function that goes keeps its position and goes on there when it comes back', async () => {
  const { log, dispatcher, consumers, run, stop } = setup();
  dispatcher.handler = ({ value }, { emit }) => emit('alerts', value);
  log.publish('payments', payments(10));
  await run(streamFunction('score', ['payments']));
  await consumers.idle();
  await run();
  assert.deepEqual(consumers.list(), []);
  log.publish('payments', [{ key: 'x', value: 10 }]);
  await run(streamFunction('score', ['payments'], { from: 'end' }));
  await consumers.idle();
  assert.deepEqual(sorted(log.values('alerts')), numbers(11));
  await stop();
});

test('from the end is for groups that are new', async () => {
  const { log, dispatcher, consumers, run, stop } = setup();
  dispatcher.handler = ({ value }, { emit }) => emit('alerts', value);
  log.publish('payments', payments(10));
  await run(streamFunction('score', ['payments'], { from: 'end' }));
  log.publish('payments', [{ key: 'x', value: 10 }]);
  await consumers.idle();
  assert.deepEqual(log.values('alerts'), [10]);
  await stop();
});

test('paused, nothing goes out; resumed, all of it', async () => {
  const { log, dispatcher, consumers, run, stop } = setup();
  await run(streamFunction('score', ['payments']));
  consumers.pause('score');
  log.publish('payments', payments(10));
  await consumers.idle();
  assert.deepEqual(dispatcher.events, []);
  assert.equal(consumers.status('score').partitions[0]!.lag, 10);
  consumers.resume('score');
  await consumers.idle();
  assert.equal(
    dispatcher.events.reduce((sum, records) => sum + records, 0),
    10,
  );
  assert.equal(consumers.status('score').partitions[0]!.lag, 0);
  await stop();
});

test('an instance that nobody gives is waited for, and that is no attempt', async () => {
  const { log, dispatcher, run, settle, stop } = setup();
  let refusals = 5;
  dispatcher.mishap = () => (refusals-- > 0 ? 'refuse' : 'none');
  dispatcher.handler = ({ attempt }, { emit }) => emit('alerts', attempt);
  log.publish('payments', payments(3));
  await run(streamFunction('score', ['payments']));
  await settle();
  assert.deepEqual(log.values('alerts'), [1, 1, 1]);
  await stop();
});

test('dead letters are given again to their function alone, once, and keep their origin', async () => {
  const { log, dispatcher, consumers, run, settle, stop } = setup();
  let broken = true;
  dispatcher.handler = async ({ key, value, headers, stream }, { emit, set }) => {
    if (broken && (value as number) < 3) fail('Bad');
    await set('spent', value);
    emit('alerts', { value, stream, key, origin: headers['millrace-origin-offset'] ?? null });
  };
  log.publish('payments', payments(6, 6));
  await run(streamFunction('score', ['payments']));
  await settle();
  assert.equal(log.records('score.dlq').length, 3);

  broken = false;
  assert.deepEqual(await consumers.redrive('score', { record: 1 }), { redriven: 1, left: 0 });
  await assert.rejects(consumers.redrive('score', { record: 1 }), { code: 'CONFLICT' });
  await assert.rejects(consumers.redrive('score', { record: 9 }), { code: 'NOT_FOUND' });
  assert.deepEqual(await consumers.redrive('score'), { redriven: 2, left: 0 });
  assert.deepEqual(await consumers.redrive('score'), { redriven: 0, left: 0 });
  await settle();
  const again = log.values('alerts').filter((alert) => (alert as { origin: string | null }).origin !== null);
  assert.deepEqual(
    again.map((alert) => JSON.stringify(alert)).sort(),
    [0, 1, 2].map((value) =>
      JSON.stringify({ value, stream: 'payments', key: `card-${value}`, origin: String(value) }),
    ),
  );
  assert.equal(log.values('alerts').length, 6);
  assert.equal(log.state('shop.score.spent', 0).size, 6);
  assert.equal(log.records('payments').length, 6, 'nobody else sees them');
  await stop();
});

test('a letter that dies again keeps its first origin and counts its redrives', async () => {
  const { log, dispatcher, consumers, run, settle, stop } = setup();
  dispatcher.handler = () => fail('Bad');
  log.publish('payments', payments(2, 2));
  await run(streamFunction('score', ['payments']));
  await settle();
  await consumers.redrive('score', { record: 1 });
  await settle();
  const [, given, again] = log.records('score.dlq').map(headersOf);
  assert.equal(again!['millrace-redrives'], '1');
  for (const name of ['stream', 'partition', 'offset', 'time'])
    assert.equal(again![`millrace-origin-${name}`], given![`millrace-origin-${name}`]);
  assert.equal(again!['millrace-first-failure'], given!['millrace-first-failure']);
  await stop();
});

test('what is read ahead is bounded, whatever waits in the stream', async () => {
  const { log, dispatcher, consumers, run, stop } = setup({ prefetchBytes: 64 * 1024, windowRecords: 100 });
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  let begun = 0;
  dispatcher.handler = async () => {
    begun++;
    await gate;
  };
  for (let batch = 0; batch < 100; batch++) log.publish('payments', payments(100, 100));
  await run(streamFunction('score', ['payments'], { batch: { size: 1, waitMs: 0 } }));
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(begun <= 100, `${begun} records are out`);
  open();
  await consumers.idle();
  assert.equal(log.offsets('shop.score')[0]!.offset, 10_000);
  await stop();
});

test('a dead letter and the lag are signalled', async () => {
  const { clock, log, dispatcher, consumers, run, settle, stop } = setup();
  const letters: Json[] = [];
  const lags: number[] = [];
  const stopListening = [
    onSignal('function.deadLettered', ({ fn, stream, offset, error }) =>
      letters.push([fn, stream, offset, error]),
    ),
    onSignal('group.lag', ({ group, lag }) => void (group === 'shop.score' && lags.push(lag))),
  ];
  dispatcher.handler = () => fail('Bad', 'no');
  log.publish('payments', payments(1));
  await run(streamFunction('score', ['payments'], { retry: { attempts: 1, backoffMs: 1 } }));
  await settle();
  consumers.pause('score');
  log.publish('payments', payments(7));
  await consumers.idle();
  clock.advance(1000);
  for (const end of stopListening) end();
  assert.deepEqual(letters, [['score', 'payments', 0, 'Bad: no']]);
  assert.equal(lags.at(-1), 7);
  await stop();
});

test('what the dispatcher refuses while the platform stops is left for the next start', async () => {
  const { log, dispatcher, consumers, run, make, stop } = setup();
  dispatcher.mishap = () => 'refuse';
  dispatcher.handler = ({ value }, { emit }) => emit('alerts', value);
  log.publish('payments', payments(10));
  await run(streamFunction('score', ['payments']));
  await consumers.idle();
  consumers.refuse!();
  await stop();
  dispatcher.mishap = () => 'none';
  const next = make();
  await next.apply('shop', [streamFunction('score', ['payments'])], [SPENT]);
  await next.idle();
  assert.deepEqual(sorted(log.values('alerts')), numbers(10));
  await next.stop!(new AbortController().signal);
});

test('a record that waits for an instance while the version changes goes to the new one in its shape', async () => {
  const { log, dispatcher, consumers, run, settle, stop } = setup();
  const shapes: boolean[] = [];
  let refuse = true;
  dispatcher.mishap = ({ asBatch }) => {
    shapes.push(asBatch);
    return refuse ? 'refuse' : 'none';
  };
  dispatcher.handler = ({ value }, { emit }) => emit('alerts', value);
  log.publish('payments', payments(3));
  await run(streamFunction('score', ['payments']));
  await consumers.idle();
  await run(streamFunction('score', ['payments'], { version: 'v2', batch: { size: 3, waitMs: 0 } }));
  refuse = false;
  await settle();
  assert.equal(shapes.at(0), false);
  assert.equal(shapes.at(-1), true);
  assert.deepEqual(dispatcher.versions, ['v2']);
  assert.deepEqual(sorted(log.values('alerts')), [0, 1, 2]);
  await stop();
});

test('however often a redrive breaks off, each dead letter is given again once', async () => {
  const { log, dispatcher, consumers, run, settle, stop } = setup();
  const random = seededRandom(9);
  let broken = true;
  dispatcher.handler = ({ value }, { emit }) => {
    if (broken) fail('Bad');
    emit('alerts', value);
  };
  log.publish('payments', payments(30));
  await run(streamFunction('score', ['payments'], { retry: { attempts: 1, backoffMs: 1 } }));
  await settle();
  assert.equal(log.records('score.dlq').length, 30);

  broken = false;
  log.fault = ({ offsets }) => {
    if (!offsets.some(({ topic }) => topic === 'score.dlq')) return 'none';
    return (['none', 'fail before', 'fail after'] as const)[random.integer(3)]!;
  };
  let failures = 0;
  for (let record = 0; record < 30; record++)
    await consumers.redrive('score', { record }).catch(() => failures++);
  for (let left = true; left; )
    left = await consumers.redrive('score').then(
      ({ redriven }) => redriven > 0,
      () => true,
    );
  await settle();
  assert.ok(failures > 5, `${failures} redrives broke off`);
  assert.deepEqual(sorted(log.values('alerts')), numbers(30));
  await stop();
});

test('large emits go in several commits, and one event that emits too much fails', async () => {
  const { log, dispatcher, run, settle, stop } = setup();
  const sizes: number[] = [];
  log.onCommit = ({ appends }) => void sizes.push(appends.reduce((sum, { batch }) => sum + batch.length, 0));
  const million = 'x'.repeat(1_000_000);
  dispatcher.handler = ({ value }, { emit }) => {
    for (let count = value === 5 ? 9 : 1; count > 0; count--) emit('alerts', million);
  };
  log.publish('payments', payments(24, 24));
  const batch = { size: 1, waitMs: 0 };
  await run(streamFunction('score', ['payments'], { batch, retry: { attempts: 1, backoffMs: 1 } }));
  await settle();
  assert.equal(log.records('alerts').length, 23);
  assert.ok(Math.max(...sizes) < 6_000_000, `${Math.max(...sizes)} bytes in one commit`);
  assert.deepEqual(log.values('score.dlq'), [5]);
  await stop();
});

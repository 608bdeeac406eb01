import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { LogStore, ProducerIdentity, TopicPartition } from '../port.ts';
import {
  append,
  type MakeStore,
  makeTopic,
  produced,
  refuses,
  settle,
  T0,
  T1,
  until,
  valuesOf,
} from './harness.support.ts';

export function producerContract(make: MakeStore): void {
  it('appends a batch that was sent again once', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const producer = await store.producers.init({});
    const send = (sequence: number, ...values: string[]) =>
      store.append({ ...T0, batch: produced(producer, sequence, values) });
    const first = await send(0, 'a', 'b');
    assert.equal(first.duplicate, false);
    for (let sequence = 2; sequence < 6; sequence++) await send(sequence, `${sequence}`);
    const again = await send(0, 'a', 'b');
    assert.deepEqual({ ...again, duplicate: false }, first);
    assert.equal(again.duplicate, true);
    const [one, two] = await Promise.all([send(6, 'z'), send(6, 'z')]);
    assert.equal(one.baseOffset, two.baseOffset);
    assert.deepEqual(await valuesOf(store, T0), ['a', 'b', '2', '3', '4', '5', 'z']);
  });

  it('refuses gaps, unknown producers and old epochs', async (t) => {
    const { store, differs } = await make(t);
    await makeTopic(store);
    const producer = await store.producers.init({});
    const send = (sequence: number, epoch = producer.epoch) =>
      store.append({ ...T0, batch: produced({ ...producer, epoch }, sequence, ['x']) });
    // Kafka takes any first sequence of a producer of which the partition knows nothing (KAFKA-7190).
    if (differs !== 'kafka') await refuses(send(1), 'PRODUCER_UNKNOWN');
    await send(0);
    await refuses(send(2), 'SEQUENCE_OUT_OF_ORDER');
    await refuses(send(2, 1), 'SEQUENCE_OUT_OF_ORDER');
    await send(0, 1);
    await refuses(send(1), 'PRODUCER_FENCED');
    assert.equal(store.bounds(T0).highWatermark, 2);
  });

  it('keeps sequences apart by partition and tells who produces', async (t) => {
    const { store, clock } = await make(t);
    await makeTopic(store);
    const producer = await store.producers.init({});
    await store.append({ ...T0, batch: produced(producer, 0, ['a', 'b']) });
    await store.append({ ...T1, batch: produced(producer, 0, ['c']) });
    await append(store, T1, 'plain');
    assert.deepEqual(store.producers.active(T0), [{ ...producer, lastSequence: 1, lastTimeMs: clock.now() }]);
    assert.equal(store.producers.active(T1).length, 1);
  });

  it('raises the epoch of a transactional id and fences its earlier holder', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const first = await store.producers.init({ transactionalId: 'x' });
    const second = await store.producers.init({ transactionalId: 'x' });
    assert.equal(second.producerId, first.producerId);
    assert.ok(second.epoch > first.epoch);
    await refuses(store.producers.addPartitions('x', first, [T0]), 'PRODUCER_FENCED');
    await refuses(store.producers.end('x', first, 'commit'), 'PRODUCER_FENCED');
    const third = await store.producers.init({ transactionalId: 'x', current: second });
    assert.ok(third.epoch > second.epoch);
    await refuses(store.producers.init({ transactionalId: 'x', current: first }), 'PRODUCER_FENCED');
    await refuses(store.producers.init({ transactionalId: 'x', transactionTimeoutMs: -1 }), 'BAD_REQUEST');
  });
}

/** One producer with a transaction open on T0 and T1. */
async function begin(store: LogStore, transactionalId = 'x', timeoutMs = 60_000) {
  const producer = await store.producers.init({ transactionalId, transactionTimeoutMs: timeoutMs });
  await store.producers.addPartitions(transactionalId, producer, [T0, T1]);
  const sequences = new Map<number, number>();
  const send = async (partition: TopicPartition, ...values: string[]) => {
    const sequence = sequences.get(partition.partition) ?? 0;
    sequences.set(partition.partition, sequence + values.length);
    return store.append({ ...partition, batch: produced(producer, sequence, values, true) });
  };
  const end = (outcome: 'commit' | 'abort') => store.producers.end(transactionalId, producer, outcome);
  return { producer, send, end };
}

export function transactionContract(make: MakeStore): void {
  const committed = { isolation: 'committed' } as const;

  it('shows a transaction whole when it commits, to readers of committed records', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    await append(store, T0, 'before');
    const { send, end } = await begin(store);
    await send(T0, 'a');
    await send(T1, 'b');
    await append(store, T0, 'after');
    assert.equal(store.bounds(T0).lastStableOffset, 1);
    assert.equal(store.bounds(T0).highWatermark, 3);
    assert.deepEqual(await valuesOf(store, T0, committed), ['before']);
    assert.deepEqual(await valuesOf(store, T0), ['before', 'a', 'after']);
    await end('commit');
    assert.deepEqual(await valuesOf(store, T0, committed), ['before', 'a', 'after']);
    assert.deepEqual(await valuesOf(store, T1, committed), ['b']);
    assert.deepEqual(store.bounds(T0), { logStartOffset: 0, lastStableOffset: 4, highWatermark: 4 });
    assert.deepEqual(
      store.producers.active(T0).map((one) => one.transactionStartOffset),
      [undefined],
    );
  });

  it('lists what was aborted, so that readers skip it', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const { producer, send, end } = await begin(store);
    await send(T0, 'a');
    await append(store, T0, 'plain');
    await send(T0, 'b');
    await end('abort');
    assert.deepEqual(await valuesOf(store, T0, committed), ['plain']);
    const { aborted } = await store.fetch({ ...T0, offset: 0, maxBytes: 10_000, isolation: 'committed' });
    assert.deepEqual(aborted, [{ producerId: producer.producerId, firstOffset: 0 }]);
    assert.deepEqual(await valuesOf(store, T0), ['a', 'plain', 'b']);
    await store.producers.addPartitions('x', producer, [T0]);
    await send(T0, 'c');
    await end('commit');
    assert.deepEqual(await valuesOf(store, T0, { ...committed, maxBytes: 1 }), ['plain', 'c']);
  });

  it('wakes watchers when the last stable offset moves', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const { send, end } = await begin(store);
    await send(T0, 'a');
    await settle();
    let stable = -1;
    const stop = store.watch([T0], () => {
      stable = store.bounds(T0).lastStableOffset;
    });
    await end('commit');
    await settle();
    assert.equal(stable, 2);
    stop();
  });

  it('takes batches only while it is open and only where it was told', async (t) => {
    const { store } = await make(t);
    await makeTopic(store, { partitions: 3 });
    const { producer, send, end } = await begin(store);
    await refuses(send({ topic: 't', partition: 2 }, 'x'), 'TRANSACTION_STATE');
    await send(T0, 'a');
    await refuses(store.append({ ...T0, batch: produced(producer, 1, ['plain']) }), 'TRANSACTION_STATE');
    await end('commit');
    await end('commit');
    await refuses(end('abort'), 'TRANSACTION_STATE');
    await refuses(send(T0, 'late'), 'TRANSACTION_STATE');
    await refuses(
      store.producers.addPartitions('x', producer, [{ topic: 'absent', partition: 0 }]),
      'STREAM_NOT_FOUND',
    );
    await refuses(
      store.producers.addPartitions('x', producer, [{ topic: 't', partition: 3 }]),
      'PARTITION_NOT_FOUND',
    );
    await refuses(store.producers.end('unknown', producer, 'commit'), 'PRODUCER_UNKNOWN');
  });

  it('aborts what an earlier holder of the id left open', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const first = await begin(store);
    await first.send(T0, 'orphan');
    const second = await begin(store);
    assert.deepEqual(await valuesOf(store, T0, committed), []);
    assert.equal(store.bounds(T0).lastStableOffset, store.bounds(T0).highWatermark);
    await refuses(first.send(T0, 'late'), 'PRODUCER_FENCED');
    await second.send(T0, 'fresh');
    await second.end('commit');
    assert.deepEqual(await valuesOf(store, T0, committed), ['fresh']);
  });

  it('aborts a transaction whose time is over and fences its producer', async (t) => {
    const { store, clock } = await make(t);
    await makeTopic(store);
    const { send, end } = await begin(store, 'x', 1_000);
    await send(T0, 'a');
    clock.advance(500);
    await settle();
    await send(T0, 'b');
    clock.advance(60_000);
    await until(() => store.bounds(T0).lastStableOffset === store.bounds(T0).highWatermark);
    assert.deepEqual(await valuesOf(store, T0, committed), []);
    await refuses(end('commit'), 'PRODUCER_FENCED');
  });

  it('keeps transactions of several producers apart', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const [one, two] = [await begin(store, 'one'), await begin(store, 'two')];
    await one.send(T0, '1a');
    await two.send(T0, '2a');
    await one.send(T0, '1b');
    await two.end('abort');
    assert.deepEqual(await valuesOf(store, T0, committed), []);
    await one.end('commit');
    assert.deepEqual(await valuesOf(store, T0, committed), ['1a', '1b']);
  });

  it('commits offsets of a group with it, or not at all', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const offset = (value: number) => [{ ...T1, offset: value, done: [], metadata: 'm' }];
    const { producer, send, end } = await begin(store);
    await send(T0, 'a');
    await store.groups.setOffsets('g', offset(3), { producer });
    assert.deepEqual(store.groups.offsets('g'), []);
    assert.deepEqual(store.groups.pending('g'), [T1]);
    const late = (): never => {
      throw new Error('a stale member');
    };
    await assert.rejects(store.groups.setOffsets('g', offset(4), { producer, admit: late }), /stale/);
    await end('commit');
    assert.deepEqual(store.groups.offsets('g'), offset(3));
    assert.deepEqual(store.groups.pending('g'), []);
    await store.groups.setOffsets('g', offset(9), { producer });
    await end('abort');
    assert.deepEqual(store.groups.offsets('g'), offset(3));
    const stranger: ProducerIdentity = { producerId: 999_999, epoch: 0 };
    await refuses(store.groups.setOffsets('g', offset(1), { producer: stranger }), 'PRODUCER_UNKNOWN');
  });

  it('raises the epoch with the end where it is asked to: nothing late joins the next transaction', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const { producer, send } = await begin(store);
    await send(T0, 'a');
    const raise = { raiseEpoch: true };
    const next = await store.producers.end('x', producer, 'commit', raise);
    assert.deepEqual(next, { ...producer, epoch: producer.epoch + 1 });
    assert.deepEqual(await store.producers.end('x', producer, 'commit', raise), next);
    await store.producers.addPartitions('x', next, [T0]);
    await refuses(send(T0, 'late'), 'PRODUCER_FENCED');
    await store.append({ ...T0, batch: produced(next, 0, ['b'], true) });
    const last = await store.producers.end('x', next, 'abort', raise);
    assert.equal((await store.producers.end('x', last, 'abort', raise)).epoch, last.epoch + 1);
    assert.deepEqual(await valuesOf(store, T0, committed), ['a']);
  });

  it('tells what is known of transactional ids', async (t) => {
    const { store, clock } = await make(t);
    await makeTopic(store);
    const { producer, end } = await begin(store, 'x', 60_000);
    await store.groups.setOffsets('g', [{ ...T1, offset: 3, done: [] }], { producer });
    const open = {
      ...{ transactionalId: 'x', ...producer, timeoutMs: 60_000 },
      ...{ state: 'ongoing', startedMs: clock.now(), partitions: [T0, T1], groups: ['g'] },
    };
    assert.deepEqual(store.producers.transaction('x'), open);
    assert.equal(store.producers.transactionalIdOf(producer.producerId), 'x');
    await end('commit');
    const { startedMs: _, ...ended } = { ...open, state: 'completeCommit', partitions: [], groups: [] };
    assert.deepEqual(store.producers.transactions(), [ended]);
    assert.equal(store.producers.transaction('y'), undefined);
  });
}

import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  append,
  appendOf,
  type MakeStore,
  makeTopic,
  produced,
  readAll,
  refuses,
  T0,
  T1,
  textOf,
  utf8,
  valuesOf,
} from './harness.support.ts';

export function reopenContract(make: MakeStore): void {
  it('finds topics and records as they were', async (t) => {
    const under = await make(t);
    if (!under.reopen) return t.skip('this store does not outlive its process');
    await makeTopic(under.store, { config: { segmentBytes: 1024, retentionMs: 5_000_000 } });
    await makeTopic(under.store, { name: 'gone' });
    for (let index = 0; index < 40; index++) await append(under.store, T0, `${index} ${'x'.repeat(100)}`);
    await append(under.store, T1, 'y');
    await under.store.topics.delete('gone');
    await under.store.topics.alter('t', { partitions: 3 });
    await under.store.deleteRecords(T0, 5);
    const [topics, records, bounds] = [
      under.store.topics.list(),
      await readAll(under.store, T0),
      under.store.bounds(T0),
    ];
    const store = await under.reopen();
    assert.deepEqual(store.topics.list(), topics);
    assert.deepEqual(await readAll(store, T0), records);
    assert.deepEqual(store.bounds(T0), bounds);
    assert.equal((await append(store, T0, 'next')).baseOffset, 40);
    assert.equal((await append(store, { topic: 't', partition: 2 }, 'z')).baseOffset, 0);
    assert.deepEqual((await store.verify()).damages, []);
  });

  it('goes on with producers and open transactions', async (t) => {
    const under = await make(t);
    if (!under.reopen) return t.skip('this store does not outlive its process');
    await makeTopic(under.store);
    const plain = await under.store.producers.init({});
    await under.store.append({ ...T0, batch: produced(plain, 0, ['a']) });
    const producer = await under.store.producers.init({ transactionalId: 'x' });
    await under.store.producers.addPartitions('x', producer, [T1]);
    await under.store.append({ ...T1, batch: produced(producer, 0, ['b'], true) });
    await under.store.groups.setOffsets('h', [{ ...T0, offset: 1, done: [] }], { producer });
    const store = await under.reopen();
    const again = await store.append({ ...T0, batch: produced(plain, 0, ['a']) });
    assert.deepEqual([again.duplicate, again.baseOffset], [true, 0]);
    await refuses(store.append({ ...T0, batch: produced(plain, 2, ['c']) }), 'SEQUENCE_OUT_OF_ORDER');
    assert.equal(store.bounds(T1).lastStableOffset, 0);
    await store.append({ ...T1, batch: produced(producer, 1, ['d'], true) });
    await store.producers.end('x', producer, 'commit');
    assert.deepEqual(await valuesOf(store, T1, { isolation: 'committed' }), ['b', 'd']);
    assert.deepEqual(store.groups.offsets('h'), [{ ...T0, offset: 1, done: [] }]);
    assert.notEqual((await store.producers.init({})).producerId, plain.producerId);
  });

  it('still skips what was aborted', async (t) => {
    const under = await make(t);
    if (!under.reopen) return t.skip('this store does not outlive its process');
    await makeTopic(under.store);
    const producer = await under.store.producers.init({ transactionalId: 'x' });
    await under.store.producers.addPartitions('x', producer, [T0]);
    await under.store.append({ ...T0, batch: produced(producer, 0, ['a'], true) });
    await under.store.producers.end('x', producer, 'abort');
    await append(under.store, T0, 'b');
    const store = await under.reopen();
    assert.deepEqual(await valuesOf(store, T0, { isolation: 'committed' }), ['b']);
    await refuses(
      store.producers.addPartitions('x', { ...producer, epoch: producer.epoch + 1 }, [T0]),
      'PRODUCER_FENCED',
    );
  });

  it('has every position and all state, and epochs go on growing', async (t) => {
    const under = await make(t);
    if (!under.reopen) return t.skip('this store does not outlive its process');
    await makeTopic(under.store);
    const { epoch, ...assignment } = (await under.store.join('g', ['t'])).assignment!;
    await assignment.commit({
      appends: [appendOf(T1, 'out')],
      offsets: [{ ...T0, offset: 2, done: [4], metadata: 'm' }],
      state: [
        { store: 's', partition: 0, key: utf8('k'), value: utf8('v') },
        { store: 's', partition: 0, key: utf8('dropped'), value: utf8('x') },
      ],
    });
    await assignment.commit({
      appends: [],
      offsets: [],
      state: [{ store: 's', partition: 0, key: utf8('dropped'), value: null }],
    });
    const store = await under.reopen();
    assert.deepEqual(await valuesOf(store, T1), ['out']);
    const next = (await store.join('g', ['t'])).assignment!;
    assert.deepEqual(await next.position(T0), { offset: 2, done: [4], metadata: 'm' });
    const view = await next.state('s', 0);
    assert.deepEqual(
      [...view.entries()].map((one) => [textOf(one.key), textOf(one.value)]),
      [['k', 'v']],
    );
    assert.ok(next.epoch > epoch);
  });
}

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LIMITS } from '../../kernel/index.ts';
import { append, type MakeStore, makeTopic, refuses, T0, T1, valuesOf } from './harness.support.ts';

export function topicContract(make: MakeStore): void {
  it('makes topics, finds them, lists them', async (t) => {
    const { store, clock } = await make(t);
    const made = await store.topics.create({ name: 'orders.v1', partitions: 3, internal: true });
    assert.match(made.id, /^[0-9a-f]{32}$/);
    assert.equal(made.createdMs, clock.now());
    assert.equal(made.internal, true);
    assert.deepEqual(store.topics.find('orders.v1'), made);
    await makeTopic(store);
    assert.deepEqual(
      store.topics
        .list()
        .map((topic) => topic.name)
        .sort(),
      ['orders.v1', 't'],
    );
    assert.equal(store.topics.find('other'), undefined);
  });

  it('refuses names, counts and configurations that cannot be', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    await refuses(makeTopic(store), 'STREAM_EXISTS');
    for (const name of ['', '.', '..', 'a/b', 'a b', 'ä', 'a\n', 'x'.repeat(LIMITS.nameLength + 1)]) {
      await refuses(makeTopic(store, { name }), 'STREAM_NAME_INVALID');
    }
    for (const partitions of [0, -1, 1.5, Number.NaN, LIMITS.partitions + 1]) {
      await refuses(makeTopic(store, { name: 'n', partitions }), 'PARTITION_COUNT_INVALID');
    }
    for (const config of [
      { segmentBytes: -1 },
      { retentionMs: -5 },
      { maxBatchBytes: 0 },
      { cleanup: 'never' as never },
    ]) {
      await refuses(makeTopic(store, { name: 'n', config }), 'STREAM_CONFIG_INVALID');
    }
    assert.equal(store.topics.find('n'), undefined);
  });

  it('makes one of two topics of the same name that come at once', async (t) => {
    const { store } = await make(t);
    const both = await Promise.allSettled([makeTopic(store), makeTopic(store)]);
    assert.deepEqual(both.map((one) => one.status).sort(), ['fulfilled', 'rejected']);
  });

  it('grows partitions, never shrinks them, and changes configuration', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    await refuses(append(store, { topic: 't', partition: 2 }, 'x'), 'PARTITION_NOT_FOUND');
    const altered = await store.topics.alter('t', { partitions: 4, config: { retentionMs: 5_000 } });
    assert.equal(altered.partitions, 4);
    assert.equal(store.topics.find('t')?.config.retentionMs, 5_000);
    await append(store, { topic: 't', partition: 3 }, 'x');
    await refuses(store.topics.alter('t', { partitions: 3 }), 'PARTITION_COUNT_INVALID');
    await refuses(store.topics.alter('t', { config: { segmentMs: -1 } }), 'STREAM_CONFIG_INVALID');
    await refuses(store.topics.alter('other', {}), 'STREAM_NOT_FOUND');
  });

  it('deletes a topic with its records; one made again under its name is another', async (t) => {
    const { store } = await make(t);
    const before = await makeTopic(store);
    await append(store, T0, 'a', 'b');
    await store.groups.setOffsets('g', [{ ...T0, offset: 2, done: [] }]);
    await store.topics.delete('t');
    await refuses(store.topics.delete('t'), 'STREAM_NOT_FOUND');
    await refuses(append(store, T0, 'x'), 'STREAM_NOT_FOUND');
    await refuses(store.fetch({ ...T0, offset: 0, maxBytes: 1 }), 'STREAM_NOT_FOUND');
    await refuses(() => store.bounds(T0), 'STREAM_NOT_FOUND');
    const after = await makeTopic(store);
    assert.notEqual(after.id, before.id);
    assert.deepEqual(await valuesOf(store, T0), []);
    assert.deepEqual(store.groups.offsets('g'), []);
    assert.equal((await append(store, T0, 'c')).baseOffset, 0);
  });

  it('knows the bytes of each partition', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const [emptyBytes] = await store.topics.sizes('t');
    await append(store, T1, 'x'.repeat(500));
    const sizes = await store.topics.sizes('t');
    assert.equal(sizes.length, 2);
    assert.ok(sizes[1]! >= emptyBytes! + 500);
    await refuses(store.topics.sizes('other'), 'STREAM_NOT_FOUND');
  });
}

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { copyStreams, createPlatform, loadConfig, type Platform } from '../../src/main.ts';
import {
  BATCH_HEADER_BYTES,
  type BatchRecord,
  encodeBatch,
  packBatch,
} from '../../src/streams/record-batch/index.ts';

/** A platform in memory whose Kafka port is a cluster like any other. */
async function start(): Promise<Platform> {
  const flags = { 'edge-port': 'off', 'api-port': 'off', 'kafka-port': '0' };
  const config = await loadConfig({ flags, env: {}, folder: import.meta.dirname });
  const platform = createPlatform(config, { memory: true });
  await platform.start();
  return platform;
}

const record = (value: string, key?: string): BatchRecord => ({
  value: Buffer.from(value),
  key: key === undefined ? null : Buffer.from(key),
  headers: [{ key: 'h', value: Buffer.from(value) }],
});

describe('copying streams to another cluster', () => {
  let [from, to] = [undefined as unknown as Platform, undefined as unknown as Platform];
  before(async () => {
    [from, to] = await Promise.all([start(), start()]);
  });
  after(async () => void (await Promise.all([from.stop(), to.stop()])));

  const copy = (topics?: string[]) =>
    copyStreams({
      from: { brokers: [from.addresses.kafka!] },
      to: { brokers: [to.addresses.kafka!] },
      ...(topics ? { topics } : {}),
    });
  const put = (topic: string, records: readonly BatchRecord[], partition = 0, options = {}) =>
    from.streams.log.append({ topic, partition, batch: encodeBatch(records, { timeMs: 7, ...options }) });
  const read = async ({ streams }: Platform, topic: string, partition = 0) =>
    (await streams.read({ topic, partition }, 0, { limit: 10_000 })).records.map(
      ({ offset, key, value, timeMs, headers }) =>
        [
          offset,
          key && Buffer.from(key).toString(),
          value && Buffer.from(value).toString(),
          timeMs,
          headers.length,
        ] as const,
    );

  it('carries settings, records as they are, and positions of groups; run again it adds what came since', async () => {
    await from.streams.define({ name: 'plain', partitions: 2, retentionMs: 123_456_789, cleanup: 'delete' });
    await put('plain', [record('a', 'k'), record('b')]);
    await put('plain', [record('c')], 1);
    const packed = packBatch(
      encodeBatch([record('d'), { value: null, key: Buffer.from('k') }], { timeMs: 9 }),
      'zstd',
    );
    await from.streams.log.append({ topic: 'plain', partition: 0, batch: new Uint8Array(packed) });
    await from.streams.log.groups.setOffsets('readers', [
      { topic: 'plain', partition: 0, offset: 3, done: [], metadata: 'm' },
    ]);
    const first = await copy(['plain']);
    assert.deepEqual(first, {
      topics: 1,
      partitions: 2,
      records: 5,
      bytes: first.bytes,
      recordsBefore: 0,
      groups: 1,
    });
    for (const partition of [0, 1])
      assert.deepEqual(await read(to, 'plain', partition), await read(from, 'plain', partition));
    assert.equal(to.streams.describe('plain').retentionMs, 123_456_789);
    const fetched = await to.streams.log.fetch({ topic: 'plain', partition: 0, offset: 2, maxBytes: 1 });
    assert.deepEqual(
      Buffer.from(fetched.batches.subarray(BATCH_HEADER_BYTES)),
      Buffer.from(packed.subarray(BATCH_HEADER_BYTES)),
    );
    const offsets = () =>
      to.streams.log.groups.offsets('readers').map(({ offset, metadata }) => [offset, metadata]);
    assert.deepEqual(offsets(), [[3, 'm']]);
    const again = await copy(['plain']);
    assert.deepEqual([again.records, again.recordsBefore], [0, 5]);
    await put('plain', [record('e')]);
    await to.streams.log.groups.setOffsets('readers', [
      { topic: 'plain', partition: 0, offset: 4, done: [] },
    ]);
    assert.equal((await copy(['plain'])).records, 1);
    assert.deepEqual(await read(to, 'plain'), await read(from, 'plain'));
    assert.equal(offsets()[0]![0], 4, 'a group that went on in the target is not moved back');
  });

  it('leaves out what was aborted and compacted; offsets then count records', async () => {
    await from.streams.define({ name: 'holes' });
    const { producers } = from.streams.log;
    for (const [outcome, value] of [
      ['abort', 'lost'],
      ['commit', 'kept'],
    ] as const) {
      const producer = await producers.init({ transactionalId: 't' });
      await producers.addPartitions('t', producer, [{ topic: 'holes', partition: 0 }]);
      await put('holes', [record(value)], 0, { producer: { ...producer, sequence: 0 }, transactional: true });
      await producers.end('t', producer, outcome);
    }
    const parted = encodeBatch([record('x'), record('z')], {
      timeMs: 7,
      offsetDeltas: [0, 2],
      lastOffsetDelta: 3,
    });
    await from.streams.log.append({ topic: 'holes', partition: 0, batch: parted, trusted: true });
    await put('holes', [record('end')]);
    await from.streams.log.groups.setOffsets('late', [{ topic: 'holes', partition: 0, offset: 6, done: [] }]);
    await copy(['holes']);
    const values = (await read(to, 'holes')).map(([offset, , value]) => [offset, value]);
    assert.deepEqual(values, [
      [0, 'kept'],
      [1, 'x'],
      [2, 'z'],
      [3, 'end'],
    ]);
    // Offset 6 at the source is the z of the batch with holes.
    assert.deepEqual(
      to.streams.log.groups.offsets('late').map(({ offset }) => offset),
      [2],
    );
    await put('holes', [record('more')]);
    assert.equal((await copy(['holes'])).records, 1);
    assert.equal((await read(to, 'holes')).length, 5);
  });

  it('goes on by what is in the target when it was broken off before it said so', async () => {
    await from.streams.define({ name: 'torn' });
    for (let batch = 0; batch < 6; batch++) await put('torn', [record(`${batch}a`), record(`${batch}b`)]);
    await to.streams.define({ name: 'torn' });
    for (let batch = 0; batch < 2; batch++) {
      const bytes = encodeBatch([record(`${batch}a`), record(`${batch}b`)], { timeMs: 7 });
      await to.streams.log.append({ topic: 'torn', partition: 0, batch: bytes });
    }
    const { records, recordsBefore } = await copy(['torn']);
    assert.deepEqual([records, recordsBefore], [8, 4]);
    assert.deepEqual(await read(to, 'torn'), await read(from, 'torn'));
  });

  it('refuses topics that it did not write, that are cut otherwise, and that are not there', async () => {
    await from.streams.define({ name: 'other', partitions: 2 });
    await to.streams.define({ name: 'other', partitions: 3 });
    await assert.rejects(copy(['other']), { code: 'CONFLICT' });
    await from.streams.define({ name: 'foreign' });
    await put('foreign', [record('a'), record('b')]);
    await to.streams.define({ name: 'foreign' });
    await to.streams.publishLines('foreign', Buffer.from('1\n2\n3\n4\n5'));
    await assert.rejects(copy(['foreign']), { code: 'CONFLICT' });
    await assert.rejects(copy(['nobody']), { code: 'STREAM_NOT_FOUND' });
  });
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decodeBatch, encodeBatch, encodeMarker, splitBatches } from '../record-batch/index.ts';
import {
  append,
  appendOf,
  batchOf,
  type MakeStore,
  makeTopic,
  readAll,
  refuses,
  settle,
  T0,
  T1,
  utf8,
  valuesOf,
} from './harness.support.ts';

export function appendContract(make: MakeStore): void {
  it('gives dense offsets in the order of append', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const results = await Promise.all([
      append(store, T0, 'a', 'b'),
      append(store, T1, 'x'),
      append(store, T0, 'c'),
    ]);
    assert.deepEqual(
      results.map(({ baseOffset, lastOffset, partition }) => [partition, baseOffset, lastOffset]),
      [
        [0, 0, 1],
        [1, 0, 0],
        [0, 2, 2],
      ],
    );
    assert.deepEqual(await readAll(store, T0), [
      { offset: 0, timeMs: 1_000, key: undefined, value: 'a' },
      { offset: 1, timeMs: 1_000, key: undefined, value: 'b' },
      { offset: 2, timeMs: 1_000, key: undefined, value: 'c' },
    ]);
    assert.deepEqual(store.bounds(T0), { logStartOffset: 0, lastStableOffset: 3, highWatermark: 3 });
  });

  it('keeps order when many callers append at once', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const numbers = Array.from({ length: 300 }, (_, index) => String(index));
    const results = await Promise.all(
      numbers.map((number, index) =>
        store.append({
          ...appendOf(T0, number),
          acks: index % 3 === 0 ? 'memory' : 'disk',
          trusted: index % 2 === 0,
        }),
      ),
    );
    assert.deepEqual(
      results.map((one) => one.baseOffset),
      numbers.map(Number),
    );
    assert.deepEqual(await valuesOf(store, T0), numbers);
  });

  it('keeps keys, headers, times and tombstones as they are', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const records = [
      { key: utf8('k'), value: null, timeMs: 5_000 },
      {
        key: null,
        value: new Uint8Array([0, 255, 128]),
        timeMs: 4_000,
        headers: [
          { key: 'trace', value: utf8('ä') },
          { key: 'trace', value: null },
        ],
      },
      { key: new Uint8Array(0), value: new Uint8Array(0), timeMs: 6_000 },
    ];
    await store.append({ ...T0, batch: encodeBatch(records, { timeMs: 0 }) });
    const { batches } = await store.fetch({ ...T0, offset: 0, maxBytes: 10_000 });
    const read = decodeBatch(batches).map(({ key, value, timeMs, headers }) => ({
      key: key && Uint8Array.from(key),
      value: value && Uint8Array.from(value),
      timeMs,
      headers: headers.map((one) => ({ key: one.key, value: one.value && Uint8Array.from(one.value) })),
    }));
    assert.deepEqual(
      read,
      records.map((record) => ({ headers: [], ...record })),
    );
  });

  it('stamps the time of append where the topic says so', async (t) => {
    const { store, clock, differs } = await make(t);
    await makeTopic(store, { config: { timestampType: 'append' } });
    const { appendTimeMs } = await append(store, T0, 'a', 'b');
    // A cluster goes by its own clock, which nobody can move.
    if (differs === 'kafka') assert.ok(Math.abs(Date.now() - appendTimeMs) < 60_000);
    else assert.equal(appendTimeMs, clock.now());
    assert.deepEqual(
      (await readAll(store, T0)).map((one) => one.timeMs),
      [appendTimeMs, appendTimeMs],
    );
    await makeTopic(store, { name: 'created' });
    assert.equal((await append(store, { topic: 'created', partition: 0 }, 'a')).appendTimeMs, -1);
  });

  it('refuses batches that are not whole, and leaves no trace of them', async (t) => {
    const { store } = await make(t);
    await makeTopic(store, { config: { maxBatchBytes: 1_000 } });
    const damaged = batchOf(['a', 'b']);
    damaged[damaged.length - 1]! ^= 1;
    const old = batchOf(['a']);
    old[16] = 1;
    const two = Buffer.concat([batchOf(['a']), batchOf(['b'])]);
    const marker = encodeMarker('commit', { producerId: 1, epoch: 0 }, 0);
    const broken = [
      damaged,
      old,
      two,
      marker,
      batchOf(['a']).subarray(0, -1),
      new Uint8Array(0),
      new Uint8Array(30),
    ];
    for (const batch of broken) await refuses(store.append({ ...T0, batch }), 'BATCH_INVALID');
    await refuses(append(store, T0, 'x'.repeat(1_001)), 'RECORD_TOO_LARGE');
    await refuses(append(store, { topic: 'absent', partition: 0 }, 'x'), 'STREAM_NOT_FOUND');
    for (const partition of [2, -1, 0.5])
      await refuses(append(store, { topic: 't', partition }, 'x'), 'PARTITION_NOT_FOUND');
    assert.equal((await append(store, T0, 'good')).baseOffset, 0);
  });
}

export function fetchContract(make: MakeStore): void {
  it('answers with whole batches from the one that holds the offset, at least one', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    for (const values of [['a', 'b', 'c'], ['d'], ['e', 'f']]) await append(store, T0, ...values);
    const bases = async (offset: number, maxBytes: number): Promise<number[]> => {
      const { batches } = await store.fetch({ ...T0, offset, maxBytes });
      assert.ok(batches.length <= maxBytes || [...splitBatches(batches)].length === 1);
      return [...splitBatches(batches)].map(({ header }) => header.baseOffset);
    };
    assert.deepEqual(await bases(0, 10_000), [0, 3, 4]);
    assert.deepEqual(await bases(2, 1), [0]);
    assert.deepEqual(await bases(3, 1), [3]);
    assert.deepEqual(await bases(5, 10_000), [4]);
    assert.deepEqual(await bases(6, 10_000), []);
    for (const offset of [-1, 7]) {
      await refuses(store.fetch({ ...T0, offset, maxBytes: 1 }), 'OFFSET_OUT_OF_RANGE');
    }
    await refuses(store.fetch({ topic: 'absent', partition: 0, offset: 0, maxBytes: 1 }), 'STREAM_NOT_FOUND');
    await refuses(store.fetch({ topic: 't', partition: 9, offset: 0, maxBytes: 1 }), 'PARTITION_NOT_FOUND');
  });

  it('gives the same records whatever the size of the steps, and whatever a reader does with them', async (t) => {
    const { store } = await make(t);
    await makeTopic(store, { config: { segmentBytes: 4096 } });
    const numbers = Array.from({ length: 200 }, (_, index) => `${index}-${'x'.repeat(index)}`);
    for (let from = 0; from < numbers.length; from += 4)
      await append(store, T0, ...numbers.slice(from, from + 4));
    for (const maxBytes of [1, 700, 5_000, 1_000_000]) {
      assert.deepEqual(await valuesOf(store, T0, { maxBytes }), numbers);
    }
    const { batches } = await store.fetch({ ...T0, offset: 0, maxBytes: 1_000_000 });
    batches.fill(0);
    assert.deepEqual(await valuesOf(store, T0), numbers);
    assert.deepEqual(await valuesOf(store, T0, { from: 150 }), numbers.slice(150));
  });

  it('tells watchers when there is more to read, until they stop watching', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    let calls = 0;
    let seen = 0;
    const stop = store.watch([T0], () => {
      calls++;
      seen = store.bounds(T0).highWatermark;
    });
    await append(store, T1, 'elsewhere');
    await settle();
    assert.equal(calls, 0);
    await Promise.all(Array.from({ length: 50 }, () => append(store, T0, 'x')));
    await settle();
    assert.ok(calls > 0 && calls <= 50);
    assert.equal(seen, 50);
    stop();
    const before = calls;
    await append(store, T0, 'y');
    await settle();
    assert.equal(calls, before);
  });

  it('verifies what is there', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    await append(store, T0, 'a', 'b');
    await append(store, T1, 'c');
    const report = await store.verify();
    assert.deepEqual(report.damages, []);
    assert.equal(report.topics, 1);
    assert.equal(report.partitions, 2);
    assert.ok(report.batches >= 2 && report.records >= 3 && report.bytes > 0);
  });
}

export function timeContract(make: MakeStore): void {
  const timed = (...times: number[]): Uint8Array =>
    encodeBatch(
      times.map((timeMs) => ({ value: utf8('x'), timeMs })),
      { timeMs: 0 },
    );

  it('seeks the first record at or after a time, to the record', async (t) => {
    const { store } = await make(t);
    await makeTopic(store, { config: { segmentBytes: 1024 } });
    assert.equal(await store.offsetForTime(T0, 0), undefined);
    assert.equal(await store.offsetForMaxTime(T0), undefined);
    for (let from = 0; from < 100; from += 5) {
      await store.append({ ...T0, batch: timed(...[0, 1, 2, 3, 4].map((index) => (from + index) * 10)) });
    }
    const at = async (timeMs: number): Promise<number | undefined> =>
      (await store.offsetForTime(T0, timeMs))?.offset;
    assert.equal(await at(0), 0);
    assert.equal(await at(10), 1);
    assert.equal(await at(11), 2);
    assert.equal(await at(733), 74);
    assert.equal(await at(990), 99);
    assert.equal(await at(991), undefined);
    assert.deepEqual(await store.offsetForTime(T0, 735), { offset: 74, timeMs: 740 });
    assert.deepEqual(await store.offsetForMaxTime(T0), { offset: 99, timeMs: 990 });
    await refuses(store.offsetForTime({ topic: 'absent', partition: 0 }, 0), 'STREAM_NOT_FOUND');
  });

  it('finds times that do not ascend', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    await store.append({ ...T0, batch: timed(50, 90, 20) });
    await store.append({ ...T0, batch: timed(10, 60) });
    assert.deepEqual(await store.offsetForTime(T0, 55), { offset: 1, timeMs: 90 });
    assert.deepEqual(await store.offsetForTime(T0, 0), { offset: 0, timeMs: 50 });
    assert.deepEqual(await store.offsetForMaxTime(T0), { offset: 1, timeMs: 90 });
    assert.equal(await store.offsetForTime(T0, 91), undefined);
  });
}

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { LogStore } from '../port.ts';
import {
  append,
  batchOf,
  keyedBatch,
  type MakeStore,
  makeTopic,
  readAll,
  refuses,
  T0,
  valuesOf,
} from './harness.support.ts';

const HOUR_MS = 3_600_000;
const SMALL_SEGMENTS = { segmentBytes: 1024 };
const filler = 'f'.repeat(300);

/** Pushes what was written before out of the newest segment, which cleaning leaves alone. */
async function fill(store: LogStore, timeMs: number, tag: string): Promise<void> {
  for (let index = 0; index < 8; index++) {
    await store.append({ ...T0, batch: keyedBatch([[`${tag}${index}`, filler]], timeMs) });
  }
}

export function cleanupContract(make: MakeStore): void {
  it('moves the start of the log on command', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    await append(store, T0, 'a', 'b', 'c');
    await append(store, T0, 'd');
    assert.equal(await store.deleteRecords(T0, 2), 2);
    assert.equal(store.bounds(T0).logStartOffset, 2);
    assert.deepEqual(await valuesOf(store, T0), ['c', 'd']);
    await refuses(store.fetch({ ...T0, offset: 1, maxBytes: 1 }), 'OFFSET_OUT_OF_RANGE');
    assert.equal(await store.deleteRecords(T0, 1), 2);
    assert.equal((await append(store, T0, 'e')).logStartOffset, 2);
    await refuses(store.deleteRecords(T0, 6), 'OFFSET_OUT_OF_RANGE');
    assert.equal(await store.deleteRecords(T0, -1), 5);
    assert.deepEqual(await valuesOf(store, T0), []);
    assert.equal((await append(store, T0, 'f')).baseOffset, 5);
    assert.deepEqual((await store.offsetForTime(T0, 0))?.offset, 5);
  });

  it('drops what is older than the retention time, nothing younger', async (t) => {
    const { store, clock, maintain } = await make(t);
    if (!maintain) return t.skip('this store cleans by itself');
    await makeTopic(store, { config: { ...SMALL_SEGMENTS, retentionMs: HOUR_MS } });
    for (let index = 0; index < 8; index++) {
      await store.append({ ...T0, batch: batchOf([`old ${filler}`], { timeMs: clock.now() }) });
    }
    clock.advance(HOUR_MS / 2);
    const young = Array.from({ length: 8 }, (_, index) => `young ${index} ${filler}`);
    for (const value of young)
      await store.append({ ...T0, batch: batchOf([value], { timeMs: clock.now() }) });
    await maintain();
    assert.equal(store.bounds(T0).logStartOffset, 0);
    clock.advance(HOUR_MS / 2 + 1);
    await maintain();
    const left = await valuesOf(store, T0);
    assert.ok(store.bounds(T0).logStartOffset > 0);
    assert.deepEqual(left.slice(-8), young);
    assert.equal(store.bounds(T0).highWatermark, 16);
  });

  it('keeps a partition near its retention size', async (t) => {
    const { store, clock, maintain } = await make(t);
    if (!maintain) return t.skip('this store cleans by itself');
    await makeTopic(store, { config: { ...SMALL_SEGMENTS, retentionBytes: 4096 } });
    for (let index = 0; index < 40; index++) {
      await store.append({ ...T0, batch: batchOf([`${index} ${filler}`], { timeMs: clock.now() }) });
    }
    await maintain();
    const left = await valuesOf(store, T0);
    const bytes = left.reduce((sum, value) => sum + value!.length, 0);
    assert.ok(bytes > 2048 && bytes < 8192, `${bytes} bytes are left`);
    assert.ok(left.at(-1)!.startsWith('39 '));
  });

  it('compacts to the last record of each key, offsets unchanged', async (t) => {
    const { store, clock, maintain } = await make(t);
    if (!maintain) return t.skip('this store cleans by itself');
    await makeTopic(store, { config: { ...SMALL_SEGMENTS, cleanup: 'compact' } });
    const written: [string, string][] = Array.from({ length: 60 }, (_, index) => [
      `k${index % 5}`,
      `v${index} ${filler}`,
    ]);
    for (let from = 0; from < 60; from += 3) {
      await store.append({ ...T0, batch: keyedBatch(written.slice(from, from + 3), clock.now()) });
    }
    await fill(store, clock.now(), 'end');
    const before = await readAll(store, T0);
    clock.advance(1_000);
    await maintain();
    const after = await readAll(store, T0);
    const known = new Map(before.map((one) => [one.offset, one.value]));
    for (const one of after) assert.equal(known.get(one.offset), one.value);
    const offsets = after.map((one) => one.offset);
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
    );
    const kept = after.filter((one) => one.key?.startsWith('k'));
    assert.deepEqual(
      kept.map((one) => one.value),
      written.slice(-5).map(([, value]) => value),
    );
    assert.equal(store.bounds(T0).highWatermark, 68);
    assert.deepEqual(await readAll(store, T0, { from: 3, maxBytes: 1 }), after);
  });

  it('keeps tombstones for their time and drops them with their key after it', async (t) => {
    const { store, clock, maintain } = await make(t);
    if (!maintain) return t.skip('this store cleans by itself');
    await makeTopic(store, { config: { ...SMALL_SEGMENTS, cleanup: 'compact', deleteRetentionMs: HOUR_MS } });
    await store.append({
      ...T0,
      batch: keyedBatch(
        [
          ['gone', 'x'],
          ['stays', 'y'],
        ],
        clock.now(),
      ),
    });
    await store.append({ ...T0, batch: keyedBatch([['gone', null]], clock.now()) });
    await fill(store, clock.now(), 'first');
    clock.advance(1_000);
    await maintain();
    const gone = async () => (await readAll(store, T0)).filter((one) => one.key === 'gone');
    assert.deepEqual(
      (await gone()).map((one) => one.value),
      [undefined],
    );
    clock.advance(HOUR_MS);
    await fill(store, clock.now(), 'second');
    clock.advance(1_000);
    await maintain();
    assert.deepEqual(await gone(), []);
    assert.ok((await readAll(store, T0)).some((one) => one.key === 'stays' && one.value === 'y'));
  });
}

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ArchivedLine, LogArchive, SampleBucket, SampleStore } from './port.ts';

/** A bound small enough to be reached: about 400 rows, or 2000 lines of 100 characters. */
export interface StoreUnderTest<Store> extends AsyncDisposable {
  readonly store: Store;
  /** Stops it and opens what it left; undefined where nothing outlives it. */
  readonly reopen?: () => Promise<Store>;
}

const bucket = (startMs: number, name: string, calls: number): SampleBucket => ({
  stepMs: 10_000,
  startMs,
  rows: [{ kind: 'function', name, counts: { invocations: calls }, latency: [40, calls] }],
});

const startsOf = async (store: SampleStore, fromMs: number, toMs: number): Promise<number[]> =>
  (await Array.fromAsync(store.read({ stepMs: 10_000, fromMs, toMs }))).map((each) => each.startMs);

/** What every SampleStore does. */
export function sampleStoreContract(adapter: string, open: () => Promise<StoreUnderTest<SampleStore>>): void {
  describe(`SampleStore: ${adapter}`, () => {
    it('gives back what was appended, by time, kind and name', async () => {
      await using under = await open();
      const { store } = under;
      assert.equal(await store.newestEndMs(10_000), undefined);
      for (const startMs of [0, 10_000, 20_000]) await store.append(bucket(startMs, 'score', 7));
      await store.append(bucket(20_000, 'other "one"', 1));
      await store.append({ ...bucket(0, 'score', 99), stepMs: 60_000 });
      assert.deepEqual(await startsOf(store, 10_000, 20_000), [10_000]);
      const query = { stepMs: 10_000, fromMs: 0, toMs: 30_000, kind: 'function', name: 'score' } as const;
      const found = await Array.fromAsync(store.read(query));
      assert.deepEqual(
        found,
        [0, 10_000, 20_000].map((startMs) => bucket(startMs, 'score', 7)),
      );
      const odd = await Array.fromAsync(store.read({ ...query, name: 'other "one"' }));
      assert.deepEqual(odd, [bucket(20_000, 'other "one"', 1)]);
      assert.deepEqual(await Array.fromAsync(store.read({ ...query, kind: 'stream' })), []);
      assert.equal(await store.newestEndMs(10_000), 30_000);
    });

    it('finds what was appended before and after the clock went back', async () => {
      await using under = await open();
      const { store } = under;
      const day = 86_400_000;
      for (const startMs of [10 * day, 10 * day + 10_000, 5 * day, 5 * day + 10_000, 10 * day + 5000]) {
        await store.append(bucket(startMs, 'score', 1));
      }
      assert.deepEqual(await startsOf(store, 5 * day, 6 * day), [5 * day, 5 * day + 10_000]);
      assert.equal((await startsOf(store, 10 * day, 11 * day)).length, 3);
    });

    it('keeps a bounded amount, the newest', async () => {
      await using under = await open();
      const { store } = under;
      for (let index = 0; index < 3000; index++) await store.append(bucket(index * 10_000, 'score', 1));
      const starts = await startsOf(store, 0, Number.MAX_SAFE_INTEGER);
      assert.ok(starts.length > 50 && starts.length < 1500, `${starts.length} are held`);
      assert.equal(starts.at(-1), 29_990_000);
    });

    it('finds after a stop what was there before', async (test) => {
      await using under = await open();
      if (!under.reopen) return test.skip('nothing outlives a store in memory');
      await under.store.append(bucket(10_000, 'score', 3));
      const again = await under.reopen();
      assert.deepEqual(await startsOf(again, 0, 20_000), [10_000]);
      assert.equal(await again.newestEndMs(10_000), 20_000);
    });
  });
}

const line = (timeMs: number, message: string): ArchivedLine => ({
  timeMs,
  level: 'info',
  source: 'function',
  name: 'score',
  app: 'cards',
  message,
  attributes: { amount: 1 },
});

async function messagesOf(
  archive: LogArchive,
  fromMs = 0,
  toMs = Number.MAX_SAFE_INTEGER,
): Promise<string[]> {
  return (await Array.fromAsync(archive.read({ fromMs, toMs })))
    .flat()
    .filter((each) => each.timeMs >= fromMs && each.timeMs < toMs)
    .map((each) => each.message);
}

/** What every LogArchive does. */
export function logArchiveContract(adapter: string, open: () => Promise<StoreUnderTest<LogArchive>>): void {
  describe(`LogArchive: ${adapter}`, () => {
    it('gives lines back as they were, newest first, by time', async () => {
      await using under = await open();
      await under.store.append([line(1000, 'a\nb'), line(2000, '"quoted" ☃')]);
      await under.store.append([line(3000, 'c')]);
      assert.deepEqual(await messagesOf(under.store), ['c', '"quoted" ☃', 'a\nb']);
      assert.deepEqual(await messagesOf(under.store, 2000, 3000), ['"quoted" ☃']);
      const all = (await Array.fromAsync(under.store.read({ fromMs: 0, toMs: 9000 }))).flat();
      assert.deepEqual(all[1], line(2000, '"quoted" ☃'));
    });

    it('keeps a bounded amount, the newest', async () => {
      await using under = await open();
      for (let batch = 0; batch < 100; batch++) {
        await under.store.append(
          Array.from({ length: 100 }, (_, at) => line(batch * 100 + at, `line ${batch} ${at}`)),
        );
      }
      const messages = await messagesOf(under.store);
      assert.ok(messages.length > 200 && messages.length < 5000, `${messages.length} are held`);
      assert.equal(messages[0], 'line 99 99');
    });

    it('finds after a stop what was there before', async (test) => {
      await using under = await open();
      if (!under.reopen) return test.skip('nothing outlives an archive in memory');
      await under.store.append([line(1000, 'before')]);
      const again = await under.reopen();
      await again.append([line(2000, 'after')]);
      assert.deepEqual(await messagesOf(again), ['after', 'before']);
    });
  });
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memoryDisk } from '../../adapters/memory/index.ts';
import { manualClock, seededRandom } from '../../kernel/index.ts';
import { append, batchOf, makeTopic, produced, settle, T0, valuesOf } from '../contract/harness.support.ts';
import { decodeBatches, decompressRecords, packBatch } from '../record-batch/index.ts';
import { createEmbeddedLog, type EmbeddedLog, type EmbeddedLogOptions } from './index.ts';

async function openLog(options: Partial<EmbeddedLogOptions> = {}): Promise<EmbeddedLog> {
  const tuning = { cacheBytes: 4096, flushBytes: 2048 };
  const parts = { disk: memoryDisk(), clock: manualClock(), random: seededRandom(1) };
  const log = createEmbeddedLog({ ...parts, tuning, ...options });
  await log.start?.();
  await makeTopic(log);
  return log;
}

const valueAt = (index: number): string => `${index} ${'v'.repeat(400)}`;

describe('batches whose memory is wanted back', () => {
  test('are spoilt for nobody who read them, however early that is', async () => {
    const log = await openLog();
    const read: Uint8Array[] = [];
    let released = 0;
    for (let index = 0; index < 100; index++) {
      const batch = batchOf([valueAt(index)]);
      const release = (): void => {
        released++;
        batch.fill(0xff);
      };
      const { baseOffset } = await log.append({ ...T0, batch, release });
      const fetched = await log.fetch({ ...T0, offset: Math.max(0, baseOffset - 5), maxBytes: 1 });
      read.push(fetched.batches);
      await settle();
    }
    const expected = Array.from({ length: 100 }, (_, index) => valueAt(index));
    const seen = read.flatMap((one) => decodeBatches(one).map(({ value }) => Buffer.from(value!).toString()));
    assert.deepEqual(
      seen,
      expected.map((_, index) => expected[Math.max(0, index - 5)]),
    );
    assert.deepEqual(await valuesOf(log, T0), expected);
    assert.ok(released >= 85 && released < 100, `${released} were given back`);
    await log.stop?.(AbortSignal.timeout(1000));
  });

  test('are given back at once when they are a part of something larger, or were there before', async () => {
    const log = await openLog();
    const batch = produced(await log.producers.init({}), 0, ['once']);
    const released: string[] = [];
    const larger = new Uint8Array(batch.length * 4);
    larger.set(batch, 7);
    const part = larger.subarray(7, 7 + batch.length);
    const first = log.append({ ...T0, batch: part, release: () => void released.push('part') });
    assert.deepEqual(released, ['part']);
    larger.fill(0xff);
    assert.equal((await first).duplicate, false);
    const again = await log.append({ ...T0, batch, release: () => void released.push('again') });
    assert.ok(again.duplicate);
    assert.deepEqual(released, ['part', 'again']);
    assert.deepEqual(await valuesOf(log, T0), ['once']);
    await log.stop?.(AbortSignal.timeout(1000));
  });

  test('are not given back while a search by time looks at them', async () => {
    const held = Promise.withResolvers<void>();
    const log = await openLog({
      async decompress(batch, position) {
        await held.promise;
        return decompressRecords(batch, position);
      },
    });
    const batch = packBatch(batchOf([valueAt(0)], { timeMs: 5000 }), 'gzip');
    const release = (): void => void batch.fill(0xff);
    await log.append({ ...T0, batch, release });
    const found = log.offsetForTime(T0, 4000);
    for (let index = 0; index < 40; index++) await append(log, T0, valueAt(index));
    await settle();
    assert.notEqual(batch[0], 0xff);
    held.resolve();
    assert.deepEqual(await found, { offset: 0, timeMs: 5000 });
    await append(log, T0, 'and on');
    await log.checkpoint();
    assert.equal(batch[0], 0xff, 'and when it is done they are');
    await log.stop?.(AbortSignal.timeout(1000));
  });
});

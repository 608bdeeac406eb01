import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memoryDisk } from '../../adapters/memory/index.ts';
import { MillraceError, manualClock, seededRandom } from '../../kernel/index.ts';
import {
  append,
  batchOf,
  makeTopic,
  produced,
  refuses,
  settle,
  T0,
  valuesOf,
} from '../contract/harness.support.ts';
import type { Disk, DiskFile } from '../disk.port.ts';
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

/** A disk whose first read beyond the first bytes of a segment waits to be let go, and whose second fails at once. */
function brokenReads(disk: Disk): { disk: Disk; letGo(): void } {
  const gate = Promise.withResolvers<void>();
  let reads = 0;
  const broken = (file: DiskFile): DiskFile => ({
    path: file.path,
    async read(target, position) {
      if (target.length < 100_000) return file.read(target, position);
      const number = reads++;
      if (number === 0) await gate.promise;
      if (number === 1) throw new MillraceError('DISK_FAILED', 'This read fails on purpose.');
      return file.read(target, position);
    },
    write: (buffers, position) => file.write(buffers, position),
    writeDurably: (buffers, position) => file.writeDurably(buffers, position),
    sync: () => file.sync(),
    truncate: (bytes) => file.truncate(bytes),
    size: () => file.size(),
    close: () => file.close(),
  });
  const open: Disk['open'] = async (path, options) => {
    const file = await disk.open(path, options);
    return path.endsWith('.log') ? broken(file) : file;
  };
  // Methods of the disk stay bound to it.
  const names = ['read', 'replace', 'list', 'remove', 'removeFolder', 'rename', 'syncFolder'] as const;
  const bound = Object.fromEntries(names.map((name) => [name, disk[name].bind(disk)]));
  return { disk: { ...(bound as unknown as Disk), open }, letGo: () => gate.resolve() };
}

describe('memory that a fetch was lent', () => {
  test('is not written to any more once the fetch has failed', async () => {
    const { disk, letGo } = brokenReads(memoryDisk());
    const log = await openLog({ disk });
    const value = 'v'.repeat(600_000);
    for (let index = 0; index < 4; index++) await append(log, T0, value);
    await log.checkpoint();
    const lent: Uint8Array[] = [];
    const allocate = (bytes: number): Uint8Array => {
      lent.push(new Uint8Array(bytes));
      return lent.at(-1)!;
    };
    let settled = false;
    const fetched = log.fetch({ ...T0, offset: 0, maxBytes: 4_000_000, allocate });
    const failed = refuses(fetched, 'DISK_FAILED').then(() => (settled = true));
    await settle();
    assert.equal(settled, false, 'a read into it is under way');
    letGo();
    await failed;
    assert.equal(lent.length, 1);
    const { batches } = await log.fetch({ ...T0, offset: 0, maxBytes: 4_000_000, allocate });
    assert.equal(batches.buffer, lent[1]!.buffer);
    await log.stop?.(AbortSignal.timeout(1000));
  });
});

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

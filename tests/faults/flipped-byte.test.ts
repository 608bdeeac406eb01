import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { simulatedDisk } from '../../src/adapters/memory/index.ts';
import { isMillraceError, manualClock } from '../../src/kernel/index.ts';
import {
  BATCH_HEADER_BYTES,
  type BatchSpan,
  type EmbeddedLog,
  readBatchHeader,
  splitBatches,
} from '../../src/streams/index.ts';
import { changed, contentOf, diskWith, flipped } from './lib/damaged-disk.ts';
import { batchOf, closeLog, filesOf, full, type Lost, letItSeal, openLog, readPartition } from './lib/log.ts';

const PLACE = { topic: 't', partition: 0 };
const MEBIBYTE = 1024 * 1024;
const BATCH_RECORDS = 4;
/** Every byte in full, else every 997th: a prime, so that all parts of a batch are met. */
const step = full ? 1 : 997;

/** A value for each offset, so that what is read tells whether it is what was written. */
const valueAt = (offset: number): string => `${offset} ${'v'.repeat(offset % 200)}`;
const valuesFrom = (offset: number): string[] =>
  Array.from({ length: BATCH_RECORDS }, (_, index) => valueAt(offset + index));

/** A log of about `bytes`, either moved to a segment or all in the write-ahead file. */
async function filesOfLog(
  bytes: number,
  options: { checkpointed: boolean },
): Promise<Map<string, Uint8Array>> {
  const disk = simulatedDisk();
  const clock = manualClock();
  const tuning = { cacheBytes: 0, checkpointBytes: 64 * MEBIBYTE, walFileBytes: 32 * MEBIBYTE };
  const log = await openLog(disk, tuning, clock);
  await log.topics.create({ name: 't', partitions: 1, config: { segmentBytes: 16 * MEBIBYTE } });
  let written = 0;
  for (let offset = 0; written < bytes; offset += BATCH_RECORDS) {
    const batch = batchOf(...valuesFrom(offset));
    written += batch.length;
    await log.append({ ...PLACE, batch });
  }
  if (options.checkpointed) await log.checkpoint();
  await letItSeal(clock);
  const paths = (await filesOf(disk)).map((file) => file.path);
  const files = await contentOf(disk, paths);
  await closeLog(log);
  return files;
}

/** All that is read is what was written, and at most the batch that was hit is missing. */
async function checkReads(log: EmbeddedLog, end: number): Promise<Lost[]> {
  const { records, lost } = await readPartition(log, PLACE);
  for (const { offset, value } of records) assert.equal(value, valueAt(offset));
  const missing = lost.reduce((sum, one) => sum + one.nextOffset - one.firstOffset, 0);
  assert.equal(records.length + missing, end, 'every offset is read or named as lost');
  assert.ok(missing <= BATCH_RECORDS, `${missing} records are lost for one byte`);
  return lost;
}

describe('a flipped byte', () => {
  let files: Map<string, Uint8Array>;
  let segment: string;
  let end: number;
  before(async () => {
    files = await filesOfLog(MEBIBYTE, { checkpointed: true });
    segment = [...files.keys()].find((path) => path.includes('topics/') && path.endsWith('.log'))!;
    const log = await openLog(await diskWith(files));
    end = log.bounds(PLACE).highWatermark;
    await closeLog(log);
  });

  it('in a segment costs the batch that it hit, which is named', async (t) => {
    const disk = await diskWith(files);
    const log = await openLog(disk, { cacheBytes: 0 });
    const bytes = files.get(segment)!.length;
    const spans = [...splitBatches(files.get(segment)!)];
    // Every byte of a few headers in any case: what the CRC leaves out needs other checks.
    const headers = [0, Math.floor(spans.length / 2), spans.length - 1].flatMap((index) =>
      Array.from({ length: BATCH_HEADER_BYTES }, (_, byte) => spans[index]!.position + byte),
    );
    const strides = Array.from({ length: Math.ceil(bytes / step) }, (_, index) => index * step);
    const positions = [...new Set([...headers, ...strides])].sort((a, b) => a - b);
    let [flips, hit] = [0, 0];
    for (const position of positions) {
      while (spans[hit + 1] && spans[hit + 1]!.position <= position) hit++;
      disk.flip(segment, position, 0x55);
      // A whole read at some places; elsewhere the neighbourhood, or this would take days.
      if (flips % (full ? 5_000 : 50) === 0) {
        assert.equal((await checkReads(log, end)).length, 1, `the flip at ${position} is found on reading`);
        const { damages } = await log.verify();
        assert.equal(damages.length, 1, `the flip at ${position} is found by verify`);
        assert.deepEqual([damages[0]!.file, damages[0]!.topic, damages[0]!.partition], [segment, 't', 0]);
      } else await checkNeighbours(log, spans, hit);
      disk.flip(segment, position, 0x55);
      flips++;
    }
    assert.deepEqual(await checkReads(log, end), []);
    await closeLog(log);
    t.diagnostic(`${flips} flips in ${bytes} bytes`);
  });

  it('in an index costs nothing', async () => {
    const index = segment.replace(/\.log$/, '.index');
    const bytes = files.get(index)!.length;
    assert.ok(bytes > 0, 'the segment has an index');
    for (let position = 0; position < bytes; position += full ? 1 : 31) {
      const log = await openLog(await diskWith(changed(files, index, flipped(position))), { cacheBytes: 0 });
      for (const offset of [0, Math.floor(end / 3), Math.floor((2 * end) / 3), end - 1]) {
        const { records } = await readPartition(log, PLACE, { from: offset });
        assert.equal(records[0]?.offset, offset);
        assert.equal(records.length, end - offset);
      }
      await closeLog(log);
    }
  });

  it('in the checkpoint costs nothing: there are two', async () => {
    for (const path of ['checkpoint.a', 'checkpoint.b']) {
      const bytes = files.get(path)!.length;
      for (let position = 0; position < bytes; position += full ? 1 : 97) {
        const log = await openLog(await diskWith(changed(files, path, flipped(position))));
        assert.deepEqual(await checkReads(log, end), []);
        await closeLog(log);
      }
    }
  });

  it('in the write-ahead file costs the batch that it hit, which is named', async (t) => {
    const unwritten = await filesOfLog(full ? MEBIBYTE / 16 : MEBIBYTE / 8, { checkpointed: false });
    const path = [...unwritten.keys()].find((one) => one.startsWith('wal/'))!;
    const good = await openLog(await diskWith(unwritten));
    const total = good.bounds(PLACE).highWatermark;
    await closeLog(good);
    const content = unwritten.get(path)!;
    const used = content.findLastIndex((byte) => byte !== 0) + 1;
    let lossless = 0;
    for (let position = 0; position < used; position += step) {
      try {
        const log = await openLog(await diskWith(changed(unwritten, path, flipped(position))));
        const { damages } = await log.verify();
        if (log.topics.find('t')) {
          // Of the last group only the write-ahead file knew: nothing tells its offsets when the head of its frame is hit.
          const { highWatermark } = log.bounds(PLACE);
          const lost = await checkReads(log, highWatermark);
          const whole = lost.length === 0 && highWatermark === total;
          assert.ok(total - highWatermark <= BATCH_RECORDS);
          assert.ok(whole || damages.length > 0, `the flip at ${position} lost records in silence`);
          if (whole) lossless++;
        } else assert.ok(damages.length > 0, `the flip at ${position} lost the topic in silence`);
        for (const damage of damages) assert.equal(damage.file, path);
        await closeLog(log);
      } catch (error) {
        if (!isMillraceError(error, 'DATA_DAMAGED')) throw error;
      }
    }
    t.diagnostic(`${used} bytes in use; ${lossless} flips cost nothing`);
  });
});

/** The batch that was hit is named, those beside it are read. */
async function checkNeighbours(log: EmbeddedLog, spans: readonly BatchSpan[], hit: number): Promise<void> {
  for (const index of [hit - 1, hit, hit + 1]) {
    const span = spans[index];
    if (!span) continue;
    const { baseOffset, lastOffset } = span.header;
    const fetched = log.fetch({ ...PLACE, offset: baseOffset, maxBytes: 1 });
    if (index !== hit) assert.equal(readBatchHeader((await fetched).batches).baseOffset, baseOffset);
    else {
      await assert.rejects(fetched, (error) => {
        assert.ok(isMillraceError(error, 'DATA_DAMAGED'));
        assert.equal(Number(error.errors[0]!.message), lastOffset + 1);
        return true;
      });
    }
  }
}

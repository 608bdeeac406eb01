import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type SimulatedDisk, simulatedDisk } from '../../adapters/memory/index.ts';
import {
  isMillraceError,
  type ManualClock,
  manualClock,
  onSignal,
  seededRandom,
} from '../../kernel/index.ts';
import { append, batchOf, refuses, settle, T0, T1, until, utf8 } from '../contract/harness.support.ts';
import type { Disk, DiskFile } from '../disk.port.ts';
import { decodeBatches } from '../record-batch/index.ts';
import { createEmbeddedLog, type EmbeddedLog, type LogTuning } from './index.ts';

interface Opened {
  readonly log: EmbeddedLog;
  readonly clock: ManualClock;
}

async function openOn(disk: Disk, tuning: Partial<LogTuning> = {}): Promise<Opened> {
  const clock = manualClock();
  const log = createEmbeddedLog({ disk, clock, random: seededRandom(1), tuning });
  await log.start?.();
  return { log, clock };
}

const stop = async (log: EmbeddedLog): Promise<void> => log.stop?.(AbortSignal.timeout(1000));

async function pathOf(disk: Disk, folder: string, suffix: string): Promise<string> {
  for (const entry of await disk.list(folder)) {
    const path = `${folder}/${entry.name}`;
    if (!entry.folder && path.endsWith(suffix) && entry.bytes > 0) return path;
    const inside = entry.folder ? await pathOf(disk, path, suffix) : '';
    if (inside) return inside;
  }
  return '';
}

/** What can be read of a partition by skipping damage as its error says, and how often that was needed. */
async function salvage(log: EmbeddedLog): Promise<{ values: string[]; skips: number }> {
  const values: string[] = [];
  let skips = 0;
  let offset = log.bounds(T0).logStartOffset;
  while (offset < log.bounds(T0).highWatermark) {
    try {
      const { batches } = await log.fetch({ ...T0, offset, maxBytes: 100_000 });
      for (const record of decodeBatches(batches)) {
        if (record.offset < offset) continue;
        values.push(new TextDecoder().decode(record.value!));
        offset = record.offset + 1;
      }
    } catch (error) {
      if (!isMillraceError(error, 'DATA_DAMAGED')) throw error;
      assert.match(error.message, /position \d+/);
      const next = Number(error.errors[0]!.message);
      assert.ok(next > offset, 'skipping brings forward');
      offset = next;
      skips++;
    }
  }
  return { values, skips };
}

const BATCHES = ['zero', 'one', 'two', 'three', 'four', 'five'];

/** A log with six batches, each its own group, killed before anything reached a segment. */
async function killedLog(): Promise<SimulatedDisk> {
  const disk = simulatedDisk();
  const { log, clock } = await openOn(disk);
  await log.topics.create({ name: 't', partitions: 2 });
  for (const value of BATCHES) await append(log, T0, value);
  await settle();
  clock.advance(100); // the seal follows the last group when nothing comes
  await settle();
  return disk.kill();
}

/** The same, moved to a segment. */
async function stoppedLog(): Promise<SimulatedDisk> {
  const disk = simulatedDisk();
  const { log } = await openOn(disk);
  await log.topics.create({ name: 't', partitions: 2 });
  for (const value of BATCHES) await append(log, T0, value);
  await stop(log);
  return disk.kill();
}

async function sizeOf(disk: SimulatedDisk, path: string): Promise<number> {
  return (await disk.kill().read(path))!.length;
}

/** Checks a log in which one byte was flipped: at most one batch is gone, and whatever is gone is named. */
async function checkFlipped(disk: SimulatedDisk, at: number): Promise<void> {
  const { log } = await openOn(disk);
  const report = await log.verify();
  const { values, skips } = await salvage(log);
  const missing = BATCHES.filter((value) => !values.includes(value));
  assert.ok(missing.length <= 1, `byte ${at} cost ${missing.length} batches`);
  assert.deepEqual(
    values,
    BATCHES.filter((value) => !missing.includes(value)),
    `byte ${at}`,
  );
  // With the head of the very last frame goes the knowledge of its offsets: the damage is named by its place alone.
  const unplaced = report.damages.some(
    (damage) => damage.topic === undefined && damage.file.endsWith('.wal'),
  );
  if (missing[0] === BATCHES.at(-1) && unplaced) return;
  assert.equal(skips, missing.length, `byte ${at}: what is missing is not skipped silently`);
  const named = report.damages.flatMap((damage) =>
    damage.topic === 't' && damage.firstOffset !== undefined ? [BATCHES[damage.firstOffset]] : [],
  );
  assert.deepEqual(named, missing, `byte ${at}: verify names what is lost`);
}

describe('damage', () => {
  test('a tail torn at any byte of the last group costs nothing that was acknowledged before it', async () => {
    const base = await killedLog();
    const path = await pathOf(base, 'wal', '.wal');
    const content = (await base.read(path))!;
    const used = Buffer.from(content).lastIndexOf('MWF1'); // the seal begins where the last group ends
    const lastFrame = Buffer.from(content).lastIndexOf('MWF1', used - 1);
    const heard: string[] = [];
    const off = onSignal('log.damaged', (damage) => heard.push(damage.detail));
    for (let cut = lastFrame; cut <= used; cut++) {
      const disk = base.kill();
      const file = await disk.open(path);
      await file.truncate(cut);
      const { log } = await openOn(disk);
      const { values } = await salvage(log);
      assert.deepEqual(values, cut === used ? BATCHES : BATCHES.slice(0, -1), `cut at ${cut}`);
      assert.equal((await append(log, T0, 'next')).baseOffset, values.length);
    }
    off();
    assert.deepEqual(heard, []);
  });

  test('a flipped byte anywhere in the write-ahead file costs at most its batch, and is named', async () => {
    const base = await killedLog();
    const path = await pathOf(base, 'wal', '.wal');
    const content = Buffer.from((await base.read(path))!);
    const seal = content.lastIndexOf('MWF1');
    const topicFrame = content.indexOf('MWF1', content.indexOf('MWF1') + 1); // losing the topic itself is another matter
    for (let at = topicFrame; at < seal; at++) {
      const disk = base.kill();
      disk.flip(path, at, 0x41);
      await checkFlipped(disk, at);
    }
  });

  test('a flipped byte anywhere in a segment costs at most its batch, and is named', async () => {
    const base = await stoppedLog();
    const path = await pathOf(base, 'topics', '.log');
    const bytes = await sizeOf(base, path);
    for (let at = 0; at < bytes; at++) {
      const disk = base.kill();
      disk.flip(path, at, 0x41);
      await checkFlipped(disk, at);
    }
  });

  test('a flipped byte anywhere in an index or in one copy of the checkpoint costs nothing, and is named', async () => {
    const base = await stoppedLog();
    const index = await pathOf(base, 'topics', '.index');
    const heard: string[] = [];
    const off = onSignal('log.damaged', (damage) => heard.push(damage.file));
    for (const path of [index, 'checkpoint.a', 'checkpoint.b']) {
      const bytes = await sizeOf(base, path);
      for (let at = 0; at < bytes; at += path === index ? 1 : 5) {
        const disk = base.kill();
        disk.flip(path, at, 0x41);
        heard.length = 0;
        const { log } = await openOn(disk);
        assert.deepEqual((await salvage(log)).values, BATCHES, `${path} byte ${at}`);
        assert.ok(heard.includes(path), `${path} byte ${at}`);
      }
    }
    off();
  });
});

describe('a disk that fails', () => {
  for (const operation of ['sync', 'write'] as const) {
    test(`after a failed ${operation} nothing is acknowledged, reads go on, a restart recovers`, async () => {
      const disk = simulatedDisk();
      const { log } = await openOn(disk);
      await log.topics.create({ name: 't', partitions: 2 });
      await append(log, T0, 'before');
      let failed = '';
      const off = onSignal('log.failed', (data) => (failed = data.operation));
      disk.failAt(operation, 1, 'wal/');
      const late = [append(log, T0, 'a'), append(log, T1, 'b')];
      for (const one of late) await refuses(one, 'DISK_FAILED');
      off();
      assert.match(failed, /write-ahead/);
      await refuses(append(log, T0, 'c'), 'DISK_FAILED');
      await refuses(log.topics.create({ name: 'u', partitions: 1 }), 'DISK_FAILED');
      assert.deepEqual((await salvage(log)).values, ['before']);
      const { log: again } = await openOn(disk.crash(seededRandom(3)));
      assert.equal((await salvage(again)).values[0], 'before');
      await append(again, T0, 'after');
    });
  }

  test('a full disk refuses with a remedy, loses nothing, and takes writes again when there is space', async () => {
    const disk = simulatedDisk();
    const tuning = { walFileBytes: 8192, checkpointBytes: 16_384, flushBytes: 4096 };
    const { log, clock } = await openOn(disk, tuning);
    await log.topics.create({ name: 't', partitions: 2 });
    const acked: string[] = [];
    const fill = async (tag: string, count: number): Promise<boolean> => {
      for (let index = 0; index < count; index++) {
        const value = `${tag}${index} ${'x'.repeat(500)}`;
        try {
          await append(log, T0, value);
          acked.push(value);
        } catch (error) {
          assert.ok(isMillraceError(error, 'DISK_FULL'), String(error));
          assert.match(error.message, /space/i);
          return false;
        }
      }
      return true;
    };
    assert.ok(await fill('a', 10));
    disk.limitSpace(6000);
    assert.ok(!(await fill('b', 200)), 'it fills up');
    assert.deepEqual((await salvage(log)).values, acked, 'reads go on');
    await refuses(append(log, T0, 'while full'), 'DISK_FULL');
    disk.limitSpace();
    clock.advance(1000);
    await until(() => true);
    let back = false;
    while (!back) back = await fill('c', 1);
    assert.ok(await fill('d', 50));
    assert.deepEqual((await salvage(log)).values, acked);
    const { log: again } = await openOn(disk.kill(), tuning);
    assert.deepEqual((await salvage(again)).values, acked);
  });
});

/** A disk whose syncs wait until they are let go. */
function slowDisk(disk: Disk): { disk: Disk; hold(): void; release(): void } {
  let gate: Promise<void> = Promise.resolve();
  let open = (): void => undefined;
  const slowed = (file: DiskFile): DiskFile => ({
    path: file.path,
    read: (target, position) => file.read(target, position),
    write: (buffers, position) => file.write(buffers, position),
    writeDurably: async (buffers, position) => {
      await gate;
      await file.writeDurably(buffers, position);
    },
    sync: async () => {
      await gate;
      await file.sync();
    },
    truncate: (bytes) => file.truncate(bytes),
    size: () => file.size(),
    close: () => file.close(),
  });
  return {
    disk: {
      open: async (path, options) => slowed(await disk.open(path, options)),
      read: (path) => disk.read(path),
      replace: (path, content) => disk.replace(path, content),
      list: (folder) => disk.list(folder),
      remove: (path) => disk.remove(path),
      removeFolder: (path) => disk.removeFolder(path),
      rename: (from, to) => disk.rename(from, to),
      syncFolder: (folder) => disk.syncFolder(folder),
    },
    hold() {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    release: () => open(),
  };
}

describe('a slow disk', () => {
  test("acks 'memory' does not wait for it, acks 'disk' does, and readers see only what is durable", async () => {
    const slow = slowDisk(simulatedDisk());
    const { log } = await openOn(slow.disk);
    await log.topics.create({ name: 't', partitions: 2 });
    slow.hold();
    const { baseOffset } = await log.append({ ...T0, batch: batchOf(['quick']), acks: 'memory' });
    assert.equal(baseOffset, 0);
    let durable = false;
    const waiting = append(log, T0, 'slow').then(() => (durable = true));
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    assert.equal(durable, false);
    assert.equal(log.bounds(T0).highWatermark, 0);
    slow.release();
    await waiting;
    assert.deepEqual((await salvage(log)).values, ['quick', 'slow']);
    await stop(log);
  });

  test('appends wait when memory is full, and are refused with UNAVAILABLE after their time', async () => {
    const slow = slowDisk(simulatedDisk());
    const { log, clock } = await openOn(slow.disk, { unwrittenBytes: 4096, appendWaitMs: 5000 });
    await log.topics.create({ name: 't', partitions: 2 });
    slow.hold();
    const value = utf8('y'.repeat(1000));
    const one = () => log.append({ ...T0, batch: batchOf([new TextDecoder().decode(value)]) });
    const outcomes = Array.from({ length: 10 }, () =>
      one().then(
        () => 'ok',
        (error) => (isMillraceError(error) ? error.code : String(error)),
      ),
    );
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    clock.advance(5001);
    slow.release();
    const results = await Promise.all(outcomes);
    const taken = results.filter((result) => result === 'ok').length;
    assert.ok(taken >= 2 && taken <= 4, `${taken} fit`);
    assert.equal(results.filter((result) => result === 'UNAVAILABLE').length, 10 - taken);
    assert.equal(log.bounds(T0).highWatermark, taken);
    await one();
    await stop(log);
  });
});

describe('clocks that jump', () => {
  test('a jump forward deletes nothing that is young, a jump back stops no order', async () => {
    const disk = simulatedDisk();
    const { log, clock } = await openOn(disk);
    await log.topics.create({
      name: 't',
      partitions: 2,
      config: { retentionMs: 60_000, segmentBytes: 1024 },
    });
    const write = (value: string) =>
      log.append({ ...T0, batch: batchOf([`${value} ${'z'.repeat(400)}`], { timeMs: clock.now() }) });
    const startMs = clock.now();
    for (let index = 0; index < 6; index++) await write(`a${index}`);
    clock.jump(startMs + 365 * 86_400_000);
    await log.maintain();
    assert.equal(log.bounds(T0).logStartOffset, 0);
    clock.jump(startMs - 365 * 86_400_000);
    for (let index = 0; index < 6; index++) assert.equal((await write(`b${index}`)).baseOffset, 6 + index);
    await log.maintain();
    const { values } = await salvage(log);
    assert.deepEqual(
      values.map((value) => value.split(' ')[0]),
      ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'b0', 'b1', 'b2', 'b3', 'b4', 'b5'],
    );
    assert.equal((await log.offsetForTime(T0, startMs))?.offset, 0);
    await stop(log);
  });
});

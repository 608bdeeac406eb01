import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fsDisk } from '../../../src/adapters/fs/index.ts';
import {
  type Clock,
  isMillraceError,
  type ManualClock,
  systemClock,
  systemRandom,
} from '../../../src/kernel/index.ts';
import {
  createEmbeddedLog,
  type Disk,
  decodeBatch,
  type EmbeddedLog,
  encodeBatch,
  type LogTuning,
  readMarker,
  splitBatches,
  type TopicPartition,
} from '../../../src/streams/index.ts';

/** In full by `npm run test:faults`; a few of each otherwise. */
export const full = process.env.MILLRACE_FAULTS === 'full';

/** Small files, so that a short run goes through rotations, checkpoints and several segments. */
export const SMALL_FILES: Partial<LogTuning> = {
  walFileBytes: 256 * 1024,
  checkpointBytes: 1024 * 1024,
  groupBytes: 128 * 1024,
  flushBytes: 64 * 1024,
  cacheBytes: 64 * 1024,
};

export async function openLog(
  disk: Disk,
  tuning: Partial<LogTuning> = SMALL_FILES,
  clock: Clock = systemClock(),
): Promise<EmbeddedLog> {
  const log = createEmbeddedLog({ disk, clock, random: systemRandom(), tuning });
  await log.start?.();
  return log;
}

export const openFolder = (folder: string, tuning?: Partial<LogTuning>): Promise<EmbeddedLog> =>
  openLog(fsDisk(folder), tuning);

/** Lets the log be quiet for as long as it takes until the seal follows its last group. */
export async function letItSeal(clock: ManualClock): Promise<void> {
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  };
  await turns();
  clock.advance(100);
  await turns();
}

export async function closeLog(log: EmbeddedLog): Promise<void> {
  await log.stop?.(AbortSignal.timeout(5_000));
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-faults-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export const batchOf = (...values: string[]): Uint8Array =>
  encodeBatch(
    values.map((value) => ({ value: new TextEncoder().encode(value) })),
    { timeMs: Date.now() },
  );

export interface Read {
  readonly offset: number;
  readonly value: string;
}

export interface Lost {
  readonly firstOffset: number;
  readonly nextOffset: number;
}

/** Reads to the end as a consumer does; damage is skipped where the log says how far, and noted. */
export async function readPartition(
  log: EmbeddedLog,
  place: TopicPartition,
  options: { from?: number; isolation?: 'committed' | 'uncommitted' } = {},
): Promise<{ records: Read[]; lost: Lost[] }> {
  const { isolation = 'uncommitted' } = options;
  const { logStartOffset } = log.bounds(place);
  let offset = Math.max(options.from ?? 0, logStartOffset);
  const records: Read[] = [];
  const lost: Lost[] = [];
  const skipping = new Set<number>();
  for (;;) {
    try {
      const { batches, aborted } = await log.fetch({ ...place, offset, maxBytes: 1024 * 1024, isolation });
      if (batches.length === 0) return { records, lost };
      for (const { position, header } of splitBatches(batches)) {
        for (const one of aborted) if (one.firstOffset === header.baseOffset) skipping.add(one.producerId);
        if (header.control) {
          if (readMarker(batches, position) === 'abort') skipping.delete(header.producerId);
        } else if (!skipping.has(header.producerId)) {
          for (const record of decodeBatch(batches, position)) {
            if (record.offset < offset) continue;
            records.push({
              offset: record.offset,
              value: new TextDecoder().decode(record.value ?? undefined),
            });
          }
        }
        offset = Math.max(offset, header.lastOffset + 1);
      }
    } catch (error) {
      if (!isMillraceError(error, 'DATA_DAMAGED')) throw error;
      const nextOffset = Number(error.errors.find((one) => one.path === '/nextOffset')?.message);
      assert.ok(nextOffset > offset, `damage must say where to go on: ${error.message}`);
      lost.push({ firstOffset: offset, nextOffset });
      offset = nextOffset;
    }
  }
}

/** Every file below `folder` of a disk. */
export async function filesOf(disk: Disk, folder = ''): Promise<{ path: string; bytes: number }[]> {
  const found: { path: string; bytes: number }[] = [];
  for (const entry of await disk.list(folder)) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.folder) found.push(...(await filesOf(disk, path)));
    else found.push({ path, bytes: entry.bytes });
  }
  return found;
}

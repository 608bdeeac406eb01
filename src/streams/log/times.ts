import { type Decompress, RecordCursor, readBatchHeader } from '../record-batch/index.ts';
import { readBatches } from './batch-reader.ts';
import type { Partition } from './partition.ts';
import type { SegmentFiles } from './segment-files.ts';

export interface TimedOffset {
  readonly offset: number;
  readonly timeMs: number;
}

/** Looks for records by time. Times need not ascend, so segments are ruled out by their latest time only. */
export interface TimeSearch {
  firstAtOrAfter(partition: Partition, timeMs: number): Promise<TimedOffset | undefined>;
  latest(partition: Partition): Promise<TimedOffset | undefined>;
}

type Accept = (timeMs: number) => boolean;

async function firstRecord(
  batch: Uint8Array,
  at: number,
  from: number,
  accept: Accept,
  decompress: Decompress,
): Promise<TimedOffset | undefined> {
  const header = readBatchHeader(batch, at);
  if (header.control) return undefined;
  const records = header.compression === 'none' ? undefined : await decompress(batch, at);
  const cursor = new RecordCursor(batch, at, records);
  while (cursor.next()) {
    if (cursor.offset >= from && accept(cursor.timeMs))
      return { offset: cursor.offset, timeMs: cursor.timeMs };
  }
  return undefined;
}

export function createTimeSearch(files: SegmentFiles, decompress: Decompress): TimeSearch {
  const search = async (
    partition: Partition,
    leastMs: number,
    accept: Accept,
  ): Promise<TimedOffset | undefined> => {
    for (const segment of [...partition.segments]) {
      if (segment.maxTimestampMs < leastMs || segment.endOffset <= partition.logStart) continue;
      const open = await files.acquire(partition, segment);
      try {
        const from = open.index.floorOfTime(leastMs);
        for await (const one of readBatches(open.file, segment, from)) {
          if (one.kind === 'damage' || one.header.maxTimestampMs < leastMs) continue;
          const found = await firstRecord(one.bytes, one.at, partition.logStart, accept, decompress);
          if (found) return found;
        }
      } finally {
        files.release(open);
      }
    }
    return searchTail(partition, leastMs, accept);
  };

  const searchTail = async (
    partition: Partition,
    leastMs: number,
    accept: Accept,
  ): Promise<TimedOffset | undefined> => {
    const entries = partition.tail.slice(partition.tailIndexOf(partition.flushedEnd));
    for (const entry of entries) entry.readers++;
    try {
      for (const entry of entries) {
        if (entry.lastOffset >= partition.durableEnd) break;
        if (entry.maxTimestampMs < leastMs) continue;
        const found = await firstRecord(entry.batch, 0, partition.logStart, accept, decompress);
        if (found) return found;
      }
      return undefined;
    } finally {
      for (const entry of entries) entry.readers--;
    }
  };

  return {
    firstAtOrAfter: (partition, timeMs) => search(partition, timeMs, (one) => one >= timeMs),
    async latest(partition) {
      let latestMs = -1;
      for (const segment of partition.segments) latestMs = Math.max(latestMs, segment.maxTimestampMs);
      for (const entry of partition.tail) {
        if (entry.lastOffset < partition.durableEnd) latestMs = Math.max(latestMs, entry.maxTimestampMs);
      }
      if (latestMs < 0) return undefined;
      const found = await search(partition, latestMs, (one) => one >= latestMs);
      if (found) return found;
      // The latest record is gone (compacted, deleted, or a control batch's): look at what is there.
      let best: TimedOffset | undefined;
      await search(partition, 0, (one) => {
        if (!best || one > best.timeMs) best = { offset: -1, timeMs: one };
        return false;
      });
      const bestMs = best?.timeMs;
      return bestMs === undefined ? undefined : search(partition, bestMs, (one) => one >= bestMs);
    },
  };
}

import type { Clock } from '../../kernel/index.ts';
import type { Core } from './core.ts';
import type { Partition } from './partition.ts';
import type { Segment } from './segment.ts';

/**
 * A wall clock that never runs ahead of elapsed time: a jump forward must not delete what is young. A jump back, or time
 * spent asleep, only keeps records longer, until the next start.
 */
function cautiousClock(clock: Clock): () => number {
  const startWallMs = clock.now();
  const startMs = clock.monotonic();
  return () => Math.min(clock.now(), startWallMs + clock.monotonic() - startMs);
}

/** Age of a segment counts from its latest record; where that lies in the future, from its first append. */
function timeOf(segment: Segment, nowMs: number): number {
  return segment.maxTimestampMs > nowMs
    ? Math.min(segment.firstAppendMs, segment.maxTimestampMs)
    : segment.maxTimestampMs;
}

/** Deletes whole segments by age and size. The start of the log moves first, durably; then the files go. */
export function createRetention(core: Core): (partition: Partition) => Promise<void> {
  const now = cautiousClock(core.clock);

  const expiredEnd = (partition: Partition): number => {
    const { retentionMs, retentionBytes } = partition.topic.info.config;
    let start = partition.logStart;
    let bytes = partition.segments.reduce((sum, segment) => sum + segment.bytes, 0);
    for (const segment of partition.segments) {
      const last = segment === partition.segments.at(-1);
      const tooOld = retentionMs !== null && timeOf(segment, now()) < now() - retentionMs;
      const tooMuch = retentionBytes !== null && !last && bytes - segment.bytes >= retentionBytes;
      if (segment.bytes === 0 || !(tooOld || tooMuch)) break;
      // Nothing is under way to the last segment only when all is flushed.
      if (last && partition.flushedEnd !== partition.nextOffset) break;
      if (last) segment.closed = true;
      bytes -= segment.bytes;
      start = Math.max(start, segment.endOffset);
    }
    return start;
  };

  return async (partition) => {
    if (partition.deleted || partition.segments.length === 0) return;
    if (!partition.topic.info.config.cleanup.includes('delete')) return;
    const offset = expiredEnd(partition);
    if (offset <= partition.logStart) return;
    const change = {
      kind: 'start',
      number: partition.topic.number,
      partition: partition.index,
      offset,
    } as const;
    await core.appender.transact(0, () => ({ batches: [], changes: [change] }));
    await core.collectGarbage();
  };
}

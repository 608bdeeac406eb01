import { setImmediate as nextTurn } from 'node:timers/promises';
import { signal } from '../../kernel/index.ts';
import type { AbortedTransaction } from '../coordination/index.ts';
import type { DiskFile } from '../disk.port.ts';
import { type BatchHeader, keepRecords, RecordCursor } from '../record-batch/index.ts';
import { type BatchAt, readBatches } from './batch-reader.ts';
import type { Core } from './core.ts';
import type { Partition } from './partition.ts';
import { newSegment, type Segment, segmentLine } from './segment.ts';
import { segmentPath } from './segment-files.ts';

/**
 * Compaction: of the records of one key only the last stays. Offsets stay as they are.
 *
 * M1 Only segments that are closed, in the last checkpoint, older than the lag and below the last stable offset are touched.
 * M2 New files are written and synced before one change in the write-ahead file puts them in the place of the old, which
 *    are removed after that: a crash leaves the old or the new, and at most a file that nobody refers to.
 * M3 The map of last offsets is bounded; what does not fit waits for the next round.
 * M4 A tombstone stays for deleteRetentionMs and through at least one round after the one that removed what it buries.
 * M5 A partition with damage is left alone: nothing is thrown away that a repair could need.
 * M6 A batch may hold a hundred thousand records: between a few of them everything else that waits for its turn is let through.
 */
const RECORDS_AT_ONCE = 500;
const MAP_KEYS = 500_000;
const MAP_KEY_BYTES = 32 * 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;

export interface Compactor {
  /** One round over one partition, if it is worth it. */
  compact(partition: Partition): Promise<void>;
}

interface LastOffsets {
  readonly offsets: Map<string, number>;
  /** Everything below is in the map. */
  end: number;
}

interface Plan {
  readonly partition: Partition;
  readonly segments: readonly Segment[];
  readonly last: LastOffsets;
  readonly aborted: readonly AbortedTransaction[];
  readonly nowMs: number;
}

class KeyCompactor implements Compactor {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  readonly #eligible = (partition: Partition): Segment[] => {
    const oldEnoughMs = this.#core.clock.now() - partition.topic.info.config.minCompactionLagMs;
    const stable = partition.lastStableOffset;
    const end = partition.segments.findIndex(
      (one) => !one.closed || !one.settled || one.endOffset > stable || one.maxTimestampMs > oldEnoughMs,
    );
    return partition.segments.slice(0, end < 0 ? undefined : end);
  };

  /** Yields batches; undefined when damage stops the round (M5). */
  readonly #eachBatch = async (
    partition: Partition,
    segment: Segment,
    visit: (batch: BatchAt & { kind: 'batch' }, records: Uint8Array | undefined) => Promise<void>,
  ): Promise<boolean> => {
    const open = await this.#core.files.acquire(partition, segment);
    try {
      for await (const one of readBatches(open.file, segment, 0)) {
        if (one.kind === 'damage') {
          const { position, detail } = one;
          const stream = partition.topic.info.name;
          const file = segmentPath(partition, segment);
          signal('log.damaged', { file, position, stream, partition: partition.index, detail });
          return false;
        }
        const packed = one.header.compression !== 'none';
        await visit(one, packed ? await this.#core.decompress(one.bytes, one.at) : undefined);
      }
      return true;
    } finally {
      this.#core.files.release(open);
    }
  };

  readonly #mapKeys = async (
    partition: Partition,
    segments: readonly Segment[],
    aborted: readonly AbortedTransaction[],
  ): Promise<LastOffsets | undefined> => {
    const last: LastOffsets = { offsets: new Map(), end: partition.cleanEnd };
    let keyBytes = 0;
    for (const segment of segments) {
      if (segment.endOffset <= partition.cleanEnd) continue;
      const whole = await this.#eachBatch(partition, segment, async ({ header, bytes, at }, records) => {
        if (header.control || isAborted(header, aborted)) return;
        const cursor = new RecordCursor(bytes, at, records);
        for (let seen = 1; cursor.next(); seen++) {
          if (seen % RECORDS_AT_ONCE === 0) await nextTurn(); // M6
          if (cursor.keyLength < 0) continue;
          const key = keyOf(cursor);
          if (!last.offsets.has(key)) keyBytes += key.length;
          last.offsets.set(key, cursor.offset);
        }
      });
      if (!whole) return undefined;
      last.end = segment.endOffset;
      if (last.offsets.size > MAP_KEYS || keyBytes > MAP_KEY_BYTES) break; // M3
    }
    return last;
  };

  /** Rewrites `group` into one new segment; undefined when damage stops it. */
  readonly #rewrite = async (plan: Plan, group: readonly Segment[]): Promise<Segment | undefined> => {
    const { partition } = plan;
    const target = newSegment(group[0]!.baseOffset, group[0]!.firstAppendMs);
    const segment: Segment = { ...target, name: `${target.name}-${partition.generation + 1}`, closed: true };
    const file = await this.#core.disk.open(segmentPath(partition, segment), { create: true });
    const writer = batchWriter(file, segment);
    try {
      await file.truncate(0);
      for (const source of group) {
        const whole = await this.#eachBatch(partition, source, async (batch, records) => {
          const kept = await keptBytes(plan, batch, records);
          if (kept) await writer.write(kept, batch.header);
        });
        if (!whole) return undefined;
        segment.maxTimestampMs = Math.max(segment.maxTimestampMs, source.maxTimestampMs);
      }
      await writer.finish();
      segment.endOffset = group.at(-1)!.endOffset;
      segment.syncedBytes = segment.bytes;
      segment.syncedEndOffset = segment.endOffset;
      return segment;
    } finally {
      await file.close();
    }
  };

  readonly #swap = async (plan: Plan, group: readonly Segment[], segment: Segment): Promise<void> => {
    const { partition } = plan;
    await this.#core.disk.syncFolder(partition.folder);
    const empty = segment.bytes === 0;
    const change = {
      kind: 'swap',
      number: partition.topic.number,
      partition: partition.index,
      removed: group.map((one) => one.name),
      added: empty ? null : segmentLine(segment),
      generation: partition.generation + 1,
      cleanEnd: group.at(-1)!.endOffset,
    } as const;
    let stale = false;
    await this.#core.appender.transact(0, () => {
      const from = partition.segments.indexOf(group[0]!);
      // Retention or a deletion was quicker: the new file is nobody's then.
      stale = partition.deleted || from < 0 || group.some((one, at) => partition.segments[from + at] !== one);
      return { batches: [], changes: stale ? [] : [change] };
    });
    if (stale || empty) await this.#core.disk.remove(segmentPath(partition, segment));
    await this.#core.collectGarbage();
  };

  readonly compact: Compactor['compact'] = async (partition) => {
    const { config } = partition.topic.info;
    if (partition.deleted || !config.cleanup.includes('compact')) return;
    const segments = this.#eligible(partition);
    const bytesOf = (some: readonly Segment[]): number => some.reduce((sum, one) => sum + one.bytes, 0);
    const dirty = segments.filter((one) => one.endOffset > partition.cleanEnd);
    if (dirty.length === 0 || bytesOf(dirty) * 5 < bytesOf(segments)) return;
    const aborted = partition.producers?.abortedBetween(partition.logStart, segments.at(-1)!.endOffset) ?? [];
    const last = await this.#mapKeys(partition, segments, aborted);
    if (!last) return;
    const covered = segments.filter((one) => one.endOffset <= last.end);
    const plan: Plan = { partition, segments: covered, last, aborted, nowMs: this.#core.clock.now() };
    for (const group of grouped(covered, config.segmentBytes)) {
      const segment = await this.#rewrite(plan, group);
      if (!segment) return;
      await this.#swap(plan, group, segment);
    }
  };
}

export function createCompactor(core: Core): Compactor {
  return new KeyCompactor(core);
}

/** Neighbours that fit one segment together. */
function grouped(segments: readonly Segment[], limitBytes: number): Segment[][] {
  const groups: Segment[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const segment of segments) {
    if (bytes + segment.bytes > limitBytes) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)!.push(segment);
    bytes += segment.bytes;
  }
  return groups;
}

function keyOf(cursor: RecordCursor): string {
  const { bytes, keyPosition, keyLength } = cursor;
  return Buffer.from(bytes.buffer, bytes.byteOffset + keyPosition, keyLength).toString('latin1');
}

function isAborted(header: BatchHeader, aborted: readonly AbortedTransaction[]): boolean {
  if (!header.transactional || header.control) return false;
  return aborted.some(
    (one) =>
      one.producerId === header.producerId &&
      one.firstOffset <= header.baseOffset &&
      header.baseOffset < one.lastOffset,
  );
}

/** The batch with only what stays; undefined when nothing does. */
async function keptBytes(
  plan: Plan,
  { header, bytes, at }: BatchAt & { kind: 'batch' },
  records: Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  const whole = bytes.subarray(at, at + header.sizeBytes);
  if (header.control) return whole;
  if (isAborted(header, plan.aborted)) return undefined;
  const cursor = new RecordCursor(bytes, at, records);
  const parts: Uint8Array[] = [];
  let [count, maxTimestampMs, from] = [0, Number.NEGATIVE_INFINITY, -1];
  for (let seen = 1, start = cursor.position; cursor.next(); seen++, start = cursor.position) {
    if (seen % RECORDS_AT_ONCE === 0) await nextTurn(); // M6
    if (stays(plan, cursor)) {
      count++;
      maxTimestampMs = Math.max(maxTimestampMs, cursor.timeMs);
      if (from < 0) from = start;
    } else if (from >= 0) {
      parts.push(cursor.bytes.subarray(from, start));
      from = -1;
    }
  }
  if (count === header.recordCount) return whole;
  if (count === 0) return undefined;
  if (from >= 0) parts.push(cursor.bytes.subarray(from, cursor.position));
  return keepRecords(whole, parts, { count, maxTimestampMs });
}

function stays(plan: Plan, cursor: RecordCursor): boolean {
  if (cursor.keyLength < 0) return true;
  const last = plan.last.offsets.get(keyOf(cursor));
  if (last !== undefined && last > cursor.offset) return false;
  if (cursor.valueLength >= 0) return true;
  const { deleteRetentionMs } = plan.partition.topic.info.config;
  const wasThere = cursor.offset < plan.partition.cleanEnd; // M4
  return !(wasThere && cursor.timeMs < plan.nowMs - deleteRetentionMs);
}

/** Gathers batches into large writes and notes them in the segment. */
function batchWriter(file: DiskFile, segment: Segment) {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    await file.write(waiting, segment.bytes);
    segment.bytes += bytes;
    waiting = [];
    bytes = 0;
  };
  return {
    async write(batch: Uint8Array, header: BatchHeader): Promise<void> {
      waiting.push(new Uint8Array(batch)); // the chunk that it is cut from is read over
      bytes += batch.length;
      segment.endOffset = header.lastOffset + 1;
      if (bytes >= WRITE_BYTES) await flush();
    },
    async finish(): Promise<void> {
      if (bytes > 0) await flush();
      await file.sync();
    },
  };
}

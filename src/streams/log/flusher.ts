import {
  type Clock,
  isMillraceError,
  type MillraceError,
  signal,
  signalled,
  type Timer,
} from '../../kernel/index.ts';
import type { Disk } from '../disk.port.ts';
import type { Partition, TailEntry } from './partition.ts';
import { newSegment, type Segment } from './segment.ts';
import type { SegmentFiles } from './segment-files.ts';
import type { WriteAheadLog } from './write-ahead-log.ts';

/**
 * Moves batches from memory to segments in the background, and makes checkpoints.
 *
 * B1 One loop does everything that writes segments: flushing, syncing, checkpoints, and what `exclusively` is given.
 * B2 Write-ahead files are released only after a checkpoint is durable that covers them, and it covers only what is synced.
 * B3 A full disk stops the loop, not the engine: it tries again when told to and every half second. A failed sync is final.
 */
export interface Flusher {
  /** Takes a batch that is durable in the write-ahead file. */
  enqueue(entry: TailEntry): void;
  /** Forgets what was enqueued for a partition that is gone. */
  forget(partition: Partition): void;
  readonly unflushedBytes: number;
  /** Set while the disk is full. */
  readonly full: MillraceError | undefined;
  /** Starts the loop if there is something to do; after a full disk, tries again. */
  kick(): void;
  /** Flushes all and writes a checkpoint. Throws DISK_FULL, DISK_FAILED. */
  checkpoint(): Promise<void>;
  /** Runs work that touches segment files, between flushes. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result>;
  stop(): Promise<void>;
}

export interface FlusherOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly files: SegmentFiles;
  readonly wal: WriteAheadLog;
  readonly flushBytes: number;
  readonly flushDelayMs: number;
  readonly checkpointBytes: number;
  readonly cacheBytes: number;
  readonly writeCheckpoint: (sequence: number) => Promise<number>;
  /** Called after space in memory or in the write-ahead files was won. */
  readonly onRoom: () => void;
}

const RETRY_MS = 500;
/** One write to a segment is at most about this long. */
const WRITE_BYTES = 4 * 1024 * 1024;

export function createFlusher(options: FlusherOptions): Flusher {
  const { disk, clock, files, wal } = options;
  let unflushedBytes = 0;
  let cachedBytes = 0;
  let full: MillraceError | undefined;
  let dirty: Partition[] = [];
  let timer: Timer | undefined;
  let stopped = false;
  let releasedSequence = 0;
  /** Serialises everything (B1). */
  let chain: Promise<unknown> = Promise.resolve();
  let flushQueued = false;
  /** Entries in memory, oldest first, flushed or not. */
  let cached: TailEntry[] = [];
  let cachedHead = 0;
  const unsynced = new Map<Segment, Partition>();

  const exclusively = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = chain.then(work);
    chain = result.catch(() => undefined); // its caller handles it
    return result;
  };

  const evict = (): void => {
    while (cachedBytes > options.cacheBytes && cachedHead < cached.length) {
      const entry = cached[cachedHead]!;
      if (!entry.flushed && !entry.partition.deleted) break;
      cachedHead++;
      cachedBytes -= entry.batch.length;
      if (entry.partition.tail[entry.partition.tailHead] === entry) entry.partition.dropTailHead();
    }
    if (cachedHead > 1024 && cachedHead * 2 > cached.length) {
      cached = cached.slice(cachedHead);
      cachedHead = 0;
    }
  };

  /** The segment that takes the next `bytes`, rolled by size and age. */
  const segmentFor = async (partition: Partition, bytes: number): Promise<Segment> => {
    const { config } = partition.topic.info;
    const last = partition.segments.at(-1);
    const age = last ? clock.now() - last.firstAppendMs : 0;
    const fits = last && !last.closed && last.bytes + bytes <= config.segmentBytes;
    // A clock that jumped back makes the age negative; that is no reason to roll.
    if (last && ((fits && age < config.segmentMs) || (last.bytes === 0 && !last.closed))) return last;
    if (last && !last.closed) {
      last.closed = true;
      await files.saveIndex(partition, last);
    }
    const segment = newSegment(partition.flushedEnd, clock.now());
    partition.segments.push(segment);
    return segment;
  };

  const nextEntries = (partition: Partition): TailEntry[] => {
    const entries: TailEntry[] = [];
    let bytes = 0;
    let at = partition.tailIndexOf(partition.flushedEnd);
    for (; at < partition.tail.length && bytes < WRITE_BYTES; at++) {
      const entry = partition.tail[at]!;
      if (entry.lastOffset >= partition.durableEnd) break;
      entries.push(entry);
      bytes += entry.batch.length;
    }
    return entries;
  };

  /** As many of `entries` as fit the segment, at least one. */
  const fitting = (partition: Partition, segment: Segment, entries: TailEntry[]): TailEntry[] => {
    let bytes = segment.bytes;
    let count = 0;
    for (const entry of entries) {
      bytes += entry.batch.length;
      if (count > 0 && bytes > partition.topic.info.config.segmentBytes) break;
      count++;
    }
    return entries.slice(0, count);
  };

  const writeEntries = async (
    partition: Partition,
    segment: Segment,
    entries: readonly TailEntry[],
  ): Promise<void> => {
    const open = await files.acquire(partition, segment);
    try {
      await open.file.write(
        entries.map((entry) => entry.batch),
        segment.bytes,
      );
      for (const entry of entries) {
        open.index.add(entry.baseOffset, segment.bytes, segment.maxTimestampMs);
        segment.bytes += entry.batch.length;
        segment.endOffset = entry.lastOffset + 1;
        segment.maxTimestampMs = Math.max(segment.maxTimestampMs, entry.maxTimestampMs);
        if (!entry.flushed) unflushedBytes -= entry.batch.length;
        entry.flushed = true;
      }
      partition.flushedEnd = segment.endOffset;
      partition.line = undefined;
      unsynced.set(segment, partition);
    } finally {
      files.release(open);
    }
  };

  const flushPartition = async (partition: Partition): Promise<void> => {
    for (let entries = nextEntries(partition); entries.length > 0; entries = nextEntries(partition)) {
      if (partition.deleted) return;
      const segment = await segmentFor(partition, entries[0]!.batch.length);
      await writeEntries(partition, segment, fitting(partition, segment, entries));
      evict();
      options.onRoom();
    }
    partition.flushedEnd = Math.min(partition.pastLost(partition.flushedEnd), partition.durableEnd);
  };

  const flushAll = async (): Promise<void> => {
    const partitions = dirty;
    dirty = [];
    for (const [index, partition] of partitions.entries()) {
      partition.dirty = false;
      try {
        await flushPartition(partition);
      } catch (error) {
        for (const left of partitions.slice(index)) {
          left.dirty = true;
          dirty.push(left);
        }
        throw error;
      }
    }
  };

  const syncSegment = async (segment: Segment, partition: Partition): Promise<void> => {
    unsynced.delete(segment);
    if (partition.deleted || !partition.segments.includes(segment)) return;
    const { bytes, endOffset } = segment;
    const isNew = segment.syncedBytes === 0;
    const open = await files.acquire(partition, segment);
    try {
      await open.file.sync().catch((error) => {
        throw wal.fail('sync a segment', error);
      });
      if (isNew) await disk.syncFolder(partition.folder);
    } finally {
      files.release(open);
    }
    segment.syncedBytes = bytes;
    segment.syncedEndOffset = endOffset;
    partition.line = undefined;
    await files.saveIndex(partition, segment);
  };

  const syncAll = async (): Promise<number> => {
    const work = [...unsynced];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < work.length) await syncSegment(...work[next++]!);
    };
    await Promise.all([worker(), worker()]);
    return work.length;
  };

  const runCheckpoint = async (): Promise<void> => {
    const started = clock.monotonic();
    const sequence = wal.durableSequence;
    await flushAll();
    const segments = await syncAll();
    if (wal.failure) throw wal.failure;
    const bytes = await options.writeCheckpoint(sequence);
    wal.release(sequence);
    releasedSequence = sequence;
    signal('log.checkpoint', { segments, bytes, durationMs: clock.monotonic() - started });
    options.onRoom();
  };

  /** Runs one step of the loop and sorts its failure (B3). */
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      if (wal.failure) throw wal.failure;
      await work();
      full = undefined;
    } catch (error) {
      if (isMillraceError(error, 'DISK_FULL')) {
        full = error;
        arm(RETRY_MS);
      } else if (!wal.failure) wal.fail('write segments', error);
      throw error;
    } finally {
      options.onRoom();
    }
  };

  const arm = (delayMs: number): void => {
    if (stopped || timer) return;
    timer = clock.after(delayMs, () => {
      timer = undefined;
      queueFlush();
    });
  };

  const wantsCheckpoint = (): boolean =>
    wal.liveBytes >= options.checkpointBytes && wal.durableSequence > releasedSequence;

  const queueFlush = (): void => {
    if (flushQueued || stopped) return;
    flushQueued = true;
    const step = async (): Promise<void> => {
      flushQueued = false;
      await attempt(wantsCheckpoint() ? runCheckpoint : flushAll);
    };
    exclusively(step).catch((error) => {
      if (signalled('platform.log')) {
        const message = 'Batches could not be moved to their segments.';
        signal('platform.log', { level: 'warn', room: 'streams', message, error });
      }
    });
  };

  return {
    enqueue(entry) {
      unflushedBytes += entry.batch.length;
      cachedBytes += entry.batch.length;
      cached.push(entry);
      if (!entry.partition.dirty) {
        entry.partition.dirty = true;
        dirty.push(entry.partition);
      }
      if (full) return;
      if (unflushedBytes >= options.flushBytes || wal.liveBytes >= options.checkpointBytes) queueFlush();
      else arm(options.flushDelayMs);
    },
    forget(partition) {
      for (const entry of partition.tail) {
        if (entry.flushed || entry.lastOffset >= partition.durableEnd) continue;
        entry.flushed = true;
        unflushedBytes -= entry.batch.length;
      }
      for (const segment of partition.segments) unsynced.delete(segment);
    },
    get unflushedBytes() {
      return unflushedBytes;
    },
    get full() {
      return full;
    },
    kick: queueFlush,
    checkpoint: () => exclusively(() => attempt(runCheckpoint)),
    exclusively,
    async stop() {
      stopped = true;
      timer?.cancel();
      await chain;
    },
  };
}

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
/** A segment with this much that is not synced is synced at once: a checkpoint that finds little left to sync stalls nobody. */
const SYNC_BYTES = 2 * 1024 * 1024;

class BackgroundFlusher implements Flusher {
  readonly #options: FlusherOptions;
  readonly #disk: FlusherOptions['disk'];
  readonly #clock: FlusherOptions['clock'];
  readonly #files: FlusherOptions['files'];
  readonly #wal: FlusherOptions['wal'];
  #unflushedBytes = 0;
  #cachedBytes = 0;
  #full: MillraceError | undefined;
  #dirty: Partition[] = [];
  #timer: Timer | undefined;
  #stopped = false;
  #releasedSequence = 0;
  /** Serialises everything (B1). */
  #chain: Promise<unknown> = Promise.resolve();
  #flushQueued = false;
  /** Entries in memory, oldest first, flushed or not. */
  #cached: (TailEntry | undefined)[] = [];
  #cachedHead = 0;
  readonly #unsynced = new Map<Segment, Partition>();

  constructor(options: FlusherOptions) {
    this.#options = options;
    this.#disk = options.disk;
    this.#clock = options.clock;
    this.#files = options.files;
    this.#wal = options.wal;
  }

  readonly #exclusively = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = this.#chain.then(work);
    this.#chain = result.catch(() => undefined); // its caller handles it
    return result;
  };

  readonly #evict = (): void => {
    while (this.#cachedBytes > this.#options.cacheBytes && this.#cachedHead < this.#cached.length) {
      const entry = this.#cached[this.#cachedHead]!;
      if ((!entry.flushed && !entry.partition.deleted) || entry.readers > 0) break;
      // A place that is passed lets go of its batch at once: the list itself is shortened now and then.
      this.#cached[this.#cachedHead++] = undefined;
      this.#cachedBytes -= entry.batch.length;
      if (entry.partition.tail[entry.partition.tailHead] !== entry) continue;
      entry.partition.dropTailHead();
      entry.release?.();
    }
    if (this.#cachedHead > 1024 && this.#cachedHead * 2 > this.#cached.length) {
      this.#cached = this.#cached.slice(this.#cachedHead);
      this.#cachedHead = 0;
    }
  };

  /** The segment that takes the next `bytes`, rolled by size and age. */
  readonly #segmentFor = async (partition: Partition, bytes: number): Promise<Segment> => {
    const { config } = partition.topic.info;
    const last = partition.segments.at(-1);
    const age = last ? this.#clock.now() - last.firstAppendMs : 0;
    const fits = last && !last.closed && last.bytes + bytes <= config.segmentBytes;
    // A clock that jumped back makes the age negative; that is no reason to roll.
    if (last && ((fits && age < config.segmentMs) || (last.bytes === 0 && !last.closed))) return last;
    if (last && !last.closed) {
      last.closed = true;
      await this.#files.saveIndex(partition, last);
    }
    const segment = newSegment(partition.flushedEnd, this.#clock.now());
    partition.segments.push(segment);
    return segment;
  };

  readonly #nextEntries = (partition: Partition): TailEntry[] => {
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
  readonly #fitting = (partition: Partition, segment: Segment, entries: TailEntry[]): TailEntry[] => {
    let bytes = segment.bytes;
    let count = 0;
    for (const entry of entries) {
      bytes += entry.batch.length;
      if (count > 0 && bytes > partition.topic.info.config.segmentBytes) break;
      count++;
    }
    return entries.slice(0, count);
  };

  readonly #writeEntries = async (
    partition: Partition,
    segment: Segment,
    entries: readonly TailEntry[],
  ): Promise<void> => {
    const open = await this.#files.acquire(partition, segment);
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
        if (!entry.flushed) this.#unflushedBytes -= entry.batch.length;
        entry.flushed = true;
      }
      partition.flushedEnd = segment.endOffset;
      partition.line = undefined;
      this.#unsynced.set(segment, partition);
    } finally {
      this.#files.release(open);
    }
  };

  readonly #flushPartition = async (partition: Partition): Promise<void> => {
    for (
      let entries = this.#nextEntries(partition);
      entries.length > 0;
      entries = this.#nextEntries(partition)
    ) {
      if (partition.deleted) return;
      const segment = await this.#segmentFor(partition, entries[0]!.batch.length);
      await this.#writeEntries(partition, segment, this.#fitting(partition, segment, entries));
      this.#evict();
      this.#options.onRoom();
    }
    partition.flushedEnd = Math.min(partition.pastLost(partition.flushedEnd), partition.durableEnd);
  };

  readonly #flushAll = async (): Promise<void> => {
    const partitions = this.#dirty;
    this.#dirty = [];
    for (const [index, partition] of partitions.entries()) {
      partition.dirty = false;
      try {
        await this.#flushPartition(partition);
      } catch (error) {
        for (const left of partitions.slice(index)) {
          left.dirty = true;
          this.#dirty.push(left);
        }
        throw error;
      }
    }
  };

  readonly #syncSegment = async (segment: Segment, partition: Partition): Promise<void> => {
    this.#unsynced.delete(segment);
    if (partition.deleted || !partition.segments.includes(segment)) return;
    const { bytes, endOffset } = segment;
    const isNew = segment.syncedBytes === 0;
    const open = await this.#files.acquire(partition, segment);
    try {
      await open.file.sync().catch((error) => {
        throw this.#wal.fail('sync a segment', error);
      });
      if (isNew) await this.#disk.syncFolder(partition.folder);
    } finally {
      this.#files.release(open);
    }
    segment.syncedBytes = bytes;
    segment.syncedEndOffset = endOffset;
    partition.line = undefined;
    await this.#files.saveIndex(partition, segment);
  };

  readonly #syncAll = async (): Promise<number> => {
    const work = [...this.#unsynced];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < work.length) await this.#syncSegment(...work[next++]!);
    };
    await Promise.all([worker(), worker()]);
    return work.length;
  };

  /** One after the other: the groups of the write-ahead log want the disk in between. */
  readonly #flushAndSyncLarge = async (): Promise<void> => {
    await this.#flushAll();
    for (const [segment, partition] of [...this.#unsynced]) {
      if (segment.bytes - segment.syncedBytes >= SYNC_BYTES) await this.#syncSegment(segment, partition);
    }
  };

  readonly #runCheckpoint = async (): Promise<void> => {
    const started = this.#clock.monotonic();
    const sequence = this.#wal.durableSequence;
    await this.#flushAll();
    const segments = await this.#syncAll();
    if (this.#wal.failure) throw this.#wal.failure;
    const bytes = await this.#options.writeCheckpoint(sequence);
    this.#wal.release(sequence);
    this.#releasedSequence = sequence;
    signal('log.checkpoint', { segments, bytes, durationMs: this.#clock.monotonic() - started });
    this.#options.onRoom();
  };

  /** Runs one step of the loop and sorts its failure (B3). */
  readonly #attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      if (this.#wal.failure) throw this.#wal.failure;
      await work();
      this.#full = undefined;
    } catch (error) {
      if (isMillraceError(error, 'DISK_FULL')) {
        this.#full = error;
        this.#arm(RETRY_MS);
      } else if (!this.#wal.failure) this.#wal.fail('write segments', error);
      throw error;
    } finally {
      this.#options.onRoom();
    }
  };

  readonly #arm = (delayMs: number): void => {
    if (this.#stopped || this.#timer) return;
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#queueFlush();
    });
  };

  readonly #wantsCheckpoint = (): boolean =>
    this.#wal.liveBytes >= this.#options.checkpointBytes &&
    this.#wal.durableSequence > this.#releasedSequence;

  readonly #queueFlush = (): void => {
    if (this.#flushQueued || this.#stopped) return;
    this.#flushQueued = true;
    const step = async (): Promise<void> => {
      this.#flushQueued = false;
      await this.#attempt(this.#wantsCheckpoint() ? this.#runCheckpoint : this.#flushAndSyncLarge);
    };
    this.#exclusively(step).catch((error) => {
      if (signalled('platform.log')) {
        const message = 'Batches could not be moved to their segments.';
        signal('platform.log', { level: 'warn', room: 'streams', message, error });
      }
    });
  };

  readonly enqueue: Flusher['enqueue'] = (entry) => {
    this.#unflushedBytes += entry.batch.length;
    this.#cachedBytes += entry.batch.length;
    this.#cached.push(entry);
    if (!entry.partition.dirty) {
      entry.partition.dirty = true;
      this.#dirty.push(entry.partition);
    }
    if (this.#full) return;
    if (
      this.#unflushedBytes >= this.#options.flushBytes ||
      this.#wal.liveBytes >= this.#options.checkpointBytes
    )
      this.#queueFlush();
    else this.#arm(this.#options.flushDelayMs);
  };

  readonly forget: Flusher['forget'] = (partition) => {
    for (const entry of partition.tail) {
      if (entry.flushed || entry.lastOffset >= partition.durableEnd) continue;
      entry.flushed = true;
      this.#unflushedBytes -= entry.batch.length;
    }
    for (const segment of partition.segments) this.#unsynced.delete(segment);
  };

  get unflushedBytes(): Flusher['unflushedBytes'] {
    return this.#unflushedBytes;
  }

  get full(): Flusher['full'] {
    return this.#full;
  }

  readonly kick: Flusher['kick'] = this.#queueFlush;

  readonly checkpoint: Flusher['checkpoint'] = () =>
    this.#exclusively(() => this.#attempt(this.#runCheckpoint));

  readonly exclusively: Flusher['exclusively'] = this.#exclusively;

  readonly stop: Flusher['stop'] = async () => {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#chain;
  };
}

export function createFlusher(options: FlusherOptions): Flusher {
  return new BackgroundFlusher(options);
}

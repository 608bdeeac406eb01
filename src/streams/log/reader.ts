import { type Clock, MillraceError, signal, signalled } from '../../kernel/index.ts';
import type { FetchRequest, FetchResult } from '../port.ts';
import { readInt32, readInt64 } from '../record-batch/bytes.ts';
import { BATCH_HEADER_BYTES, batchSizeAt, crcMatches, splitBatches } from '../record-batch/index.ts';
import { overlapsNext, readBatches } from './batch-reader.ts';
import type { LostRange, Partition } from './partition.ts';
import type { Segment } from './segment.ts';
import { type OpenSegment, type SegmentFiles, segmentPath } from './segment-files.ts';
import { INDEX_EVERY_BYTES } from './sparse-index.ts';

/** One fetch checks the CRC of at most about this much: 2 ms of the main thread. */
const FETCH_BYTES = 4 * 1024 * 1024;
const SLICE_BYTES = 512 * 1024;
/** A slice that takes longer came from the disk, not from the memory of the system. */
const COLD_SLICE_MS = 0.5;
const EMPTY = new Uint8Array(0);

/**
 * Reads batches from memory or from segments.
 *
 * F1 A fetch holds one buffer of at most the bytes asked for (and one batch), never more (L6).
 * F2 Bytes from a segment are handed over only after their CRC was checked; those from memory never left it.
 * F3 Where damage begins a fetch ends before it; a fetch that begins at damage throws DATA_DAMAGED, whose one entry in
 *    `errors`, at `/nextOffset`, holds the offset to go on from.
 */
export interface Reader {
  fetch(partition: Partition, request: FetchRequest): Promise<FetchResult>;
}

/** What a fetch is to give: whole batches from the one that holds `offset`, before `end`, of about `maxBytes`. */
interface Want {
  readonly offset: number;
  readonly end: number;
  readonly maxBytes: number;
  readonly allocate: (bytes: number) => Uint8Array;
}

/** A place in a segment, and the offset that a batch there should have. */
interface Start {
  readonly offset: number;
  readonly position: number;
}

class BatchReader implements Reader {
  readonly #files: SegmentFiles;
  readonly #clock: Clock;
  readonly #discarded = new Uint8Array(SLICE_BYTES);
  #readingAhead = false;
  /** Where the last fetch of a segment ended: sequential readers skip the index and the walk behind it. */
  readonly #hints = new WeakMap<Segment, Start>();

  constructor(files: SegmentFiles, clock: Clock) {
    this.#files = files;
    this.#clock = clock;
  }

  /**
   * Has the system fetch what a sequential reader of a cold segment asks for next, while the bytes before are checked and
   * used. Nothing is kept here (F1), one at a time.
   */
  readonly #readAhead = async (partition: Partition, segment: Segment, from: number, maxBytes: number) => {
    if (this.#readingAhead || from >= segment.bytes) return;
    this.#readingAhead = true;
    const end = Math.min(segment.bytes, from + maxBytes + INDEX_EVERY_BYTES);
    try {
      const open = await this.#files.acquire(partition, segment);
      const reads: Promise<number>[] = [];
      for (let at = from; at < end; at += SLICE_BYTES) {
        reads.push(open.file.read(this.#discarded.subarray(0, end - at), at));
      }
      // All of them have to be over before the file may be closed.
      await Promise.allSettled(reads);
      this.#files.release(open);
    } finally {
      this.#readingAhead = false;
    }
  };

  readonly #fromSegment = async (partition: Partition, segment: Segment, want: Want): Promise<Uint8Array> => {
    const { offset, maxBytes } = want;
    const open = await this.#files.acquire(partition, segment);
    try {
      const isSequential = this.#hints.get(segment)?.offset === offset;
      for (let start = await this.#startOf(partition, segment, open, offset); ; ) {
        const began = this.#clock.monotonic();
        const found = await readRun(segment, open, start, want, () => {
          const sliceMs = (this.#clock.monotonic() - began) / Math.max(1, maxBytes / SLICE_BYTES);
          if (!isSequential || sliceMs < COLD_SLICE_MS) return;
          // The fetch that comes next reads the same bytes, and tells when they cannot be read.
          void this.#readAhead(partition, segment, start.position + maxBytes, maxBytes).catch(
            () => undefined,
          );
        });
        if (found.batches.length > 0) {
          this.#hints.set(segment, { offset: found.nextOffset, position: found.nextPosition });
          return found.batches;
        }
        if (found.nextPosition >= segment.bytes || found.reachedEnd) return EMPTY;
        const beyond = await pastDamage(partition, segment, open, start, offset);
        if (beyond instanceof MillraceError) throw beyond;
        start = beyond; // only batches before the offset asked for are damaged
      }
    } finally {
      this.#files.release(open);
    }
  };

  /** A position at or before the batch that holds `offset`; checks the index as it goes (X1). */
  readonly #startOf = async (
    partition: Partition,
    segment: Segment,
    open: OpenSegment,
    offset: number,
  ): Promise<Start> => {
    const hint = this.#hints.get(segment);
    if (hint?.offset === offset) return hint;
    for (let attempt = 0; attempt < 2; attempt++) {
      const floor = open.index.floor(offset);
      if (floor.offset === undefined) return { offset: segment.baseOffset, position: floor.position };
      if (attempt > 0 || (await startsAt(open, floor.position, floor.offset))) {
        return { offset: floor.offset, position: floor.position };
      }
      signal('log.damaged', {
        file: segmentPath(partition, segment).replace(/\.log$/, '.index'),
        position: 0,
        stream: partition.topic.info.name,
        partition: partition.index,
        detail: 'The index does not fit its segment. It was built again from the log.',
      });
      await this.#files.rebuildIndex(partition, segment);
    }
    return { offset: segment.baseOffset, position: 0 };
  };

  readonly #read = async (partition: Partition, want: Want): Promise<Uint8Array> => {
    const { offset, end } = want;
    if (offset >= partition.tailStart) return fromTail(partition, want);
    for (const segment of partition.segments.filter((one) => one.endOffset > offset)) {
      if (segment.baseOffset >= end) break;
      // Compaction may have emptied the rest of a segment: then the next has what follows.
      const found = await this.#fromSegment(partition, segment, want).catch((error) =>
        readAgainIfGone(partition, segment, error),
      );
      if (!found) return this.#read(partition, want);
      if (found.length > 0) return found;
    }
    return fromTail(partition, want);
  };

  readonly fetch: Reader['fetch'] = async (partition, request) => {
    const { offset } = request;
    const before = partition.bounds();
    let end = request.isolation === 'committed' ? before.lastStableOffset : before.highWatermark;
    checkRange(partition, offset);
    const lost = partition.lostAt(offset);
    if (lost) throw lostError(partition, lost, offset);
    // A fetch ends before a hole, so that the next one begins at it and says so (F3).
    for (const hole of partition.lost) if (hole.firstOffset > offset) end = Math.min(end, hole.firstOffset);
    const { allocate = freshBytes } = request;
    const maxBytes = Math.min(Math.max(request.maxBytes, 1), FETCH_BYTES);
    const batches = offset >= end ? EMPTY : await this.#read(partition, { offset, end, maxBytes, allocate });
    const aborted = request.isolation === 'committed' ? abortedAmong(partition, batches) : [];
    if (batches.length > 0 && signalled('stream.read')) tellRead(partition, batches);
    return { ...before, logStartOffset: partition.logStart, batches, aborted };
  };
}

export function createReader(files: SegmentFiles, clock: Clock): Reader {
  return new BatchReader(files, clock);
}

/** A segment that retention or compaction took away under the reader: look again in what is there now. */
function readAgainIfGone(partition: Partition, segment: Segment, error: unknown): undefined {
  if (!partition.deleted && partition.segments.includes(segment)) throw error;
  if (partition.deleted) {
    throw new MillraceError('STREAM_NOT_FOUND', `Stream '${partition.topic.info.name}' was deleted.`);
  }
  return undefined;
}

function checkRange(partition: Partition, offset: number): void {
  if (Number.isInteger(offset) && offset >= partition.logStart && offset <= partition.durableEnd) return;
  const name = `'${partition.topic.info.name}' partition ${partition.index}`;
  throw new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `Offset ${offset} is not in ${name}, which holds ${partition.logStart} up to ${partition.durableEnd}. Start from one of these.`,
  );
}

const freshBytes = (bytes: number): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);

function fromTail(partition: Partition, { offset, end, maxBytes, allocate }: Want): Uint8Array {
  const batches: Uint8Array[] = [];
  let isLent = false;
  let bytes = 0;
  let expected = -1;
  for (let at = partition.tailIndexOf(offset); at < partition.tail.length; at++) {
    const entry = partition.tail[at]!;
    if (entry.lastOffset >= end || (expected >= 0 && entry.baseOffset > expected)) break;
    if (batches.length > 0 && bytes + entry.batch.length > maxBytes) break;
    batches.push(entry.batch);
    isLent ||= entry.release !== undefined;
    bytes += entry.batch.length;
    expected = entry.lastOffset + 1;
  }
  if (batches.length === 0) return EMPTY;
  // Memory that is used again once the batch is evicted must not be looked at any later.
  if (batches.length === 1 && !isLent) return batches[0]!;
  const joined = allocate(bytes).subarray(0, bytes);
  let at = 0;
  for (const batch of batches) {
    joined.set(batch, at);
    at += batch.length;
  }
  return joined;
}

interface Run {
  readonly batches: Uint8Array;
  readonly nextOffset: number;
  readonly nextPosition: number;
  /** It ended because of `end`, not because of bytes that make no sense. */
  readonly reachedEnd: boolean;
}

/** Whether a batch with that base offset begins at `position`. */
async function startsAt(open: OpenSegment, position: number, offset: number): Promise<boolean> {
  const prefix = new Uint8Array(17);
  const filled = await open.file.read(prefix, position);
  return filled === 17 && readInt64(prefix, 0) === offset && prefix[16] === 2;
}

/** Large reads in slices side by side: the disk sees them all at once instead of one read-ahead window after the other. */
async function readSliced(open: OpenSegment, target: Uint8Array, position: number): Promise<number> {
  if (target.length < 2 * SLICE_BYTES) return open.file.read(target, position);
  const reads: Promise<number>[] = [];
  for (let at = 0; at < target.length; at += SLICE_BYTES) {
    reads.push(open.file.read(target.subarray(at, at + SLICE_BYTES), position + at));
  }
  // All of them have to be over before anything else may be done with `target`, whatever became of one.
  await Promise.allSettled(reads);
  const filled = await Promise.all(reads);
  return filled.reduce((sum, bytes) => sum + bytes, 0);
}

/** Whole good batches from the one that holds `offset`, in one read where the start is near. */
async function readRun(
  segment: Segment,
  open: OpenSegment,
  start: Start,
  want: Want,
  whenRead: () => void,
): Promise<Run> {
  let { position, offset: expected } = start;
  let slack = INDEX_EVERY_BYTES;
  for (;;) {
    const size = Math.min(segment.bytes - position, want.maxBytes + slack);
    const chunk = want.allocate(size).subarray(0, size);
    const filled = await readSliced(open, chunk, position);
    whenRead();
    const run = takeRun(
      filled < size ? chunk.subarray(0, filled) : chunk,
      { position, offset: expected },
      segment,
      want,
    );
    if (run.batches.length > 0 || run.reachedEnd || run.damaged) return run;
    if (run.needBytes === 0 || run.nextPosition >= segment.bytes) return run;
    position = run.nextPosition;
    expected = run.expected;
    slack = run.needBytes;
  }
}

function takeRun(
  chunk: Uint8Array,
  { position, offset }: Start,
  segment: Segment,
  want: Want,
): Run & { damaged: boolean; needBytes: number; expected: number } {
  let expected = offset;
  // Only compaction leaves gaps, and holes of lost batches end a fetch before them.
  const dense = !segment.name.includes('-');
  let first = -1;
  let at = 0;
  let nextOffset = want.offset;
  let reachedEnd = false;
  let damaged = false;
  let needBytes = 0;
  while (at < chunk.length) {
    const size = batchSizeAt(chunk, at);
    const left = segment.bytes - position - at;
    if (size === undefined || at + size > chunk.length) {
      needBytes = size ?? BATCH_HEADER_BYTES;
      damaged = needBytes > left || needBytes < BATCH_HEADER_BYTES;
      break;
    }
    const baseOffset = readInt64(chunk, at);
    const lastOffset = size >= BATCH_HEADER_BYTES ? baseOffset + readInt32(chunk, at + 23) : -1;
    // The CRC leaves out the base offset, which only its place can check, and the leader epoch, which is always 0.
    const misplaced = baseOffset < segment.baseOffset || lastOffset >= segment.endOffset;
    if (chunk[at + 16] !== 2 || misplaced || readInt32(chunk, at + 12) !== 0) {
      damaged = true;
      break;
    }
    const gap = baseOffset > expected;
    if (baseOffset < expected || (gap && overlapsNext(chunk, at, size, lastOffset))) {
      damaged = true;
      break;
    }
    expected = lastOffset + 1;
    if (lastOffset < want.offset) {
      // Skipped unread: its CRC is checked when someone asks for it. A wrong size shows at the next header.
      at += size;
      continue;
    }
    if (lastOffset >= want.end) {
      reachedEnd = true;
      break;
    }
    if (first >= 0 && (at + size - first > want.maxBytes || (dense && gap))) break;
    if (
      (dense && baseOffset > want.offset && first < 0) ||
      lastOffset < baseOffset ||
      !crcMatches(chunk, at)
    ) {
      damaged = true;
      break;
    }
    if (first < 0) first = at;
    at += size;
    nextOffset = lastOffset + 1;
  }
  const batches = first < 0 ? EMPTY : chunk.subarray(first, at);
  return { batches, nextOffset, nextPosition: position + at, reachedEnd, damaged, needBytes, expected };
}

/**
 * Where the batch that holds `offset` begins behind some damage, or the error that names what is lost. Looks from `start` on, which
 * was trusted: a batch that was only skipped may have told a wrong size.
 */
async function pastDamage(
  partition: Partition,
  segment: Segment,
  open: OpenSegment,
  start: Start,
  offset: number,
): Promise<Start | MillraceError> {
  let { position } = start;
  let detail = 'A batch does not match its checksum.';
  let next = segment.endOffset;
  for await (const one of readBatches(
    open.file,
    segment,
    start.position,
    segment.bytes,
    true,
    start.offset,
  )) {
    if (one.kind === 'damage') ({ position, detail } = one);
    else if (one.header.lastOffset >= offset) {
      if (one.header.baseOffset <= offset) {
        return { offset: one.header.baseOffset, position: one.position };
      }
      next = one.header.baseOffset;
      break;
    }
  }
  const file = segmentPath(partition, segment);
  return lostError(partition, { firstOffset: offset, lastOffset: next - 1, file, position, detail }, offset);
}

function lostError(partition: Partition, lost: LostRange, offset: number): MillraceError {
  const { file, position, detail } = lost;
  const stream = partition.topic.info.name;
  const next = lost.lastOffset + 1;
  signal('log.damaged', { file, position, stream, partition: partition.index, detail });
  const where = `Offsets ${offset} to ${lost.lastOffset} of '${stream}' partition ${partition.index} are damaged (${file}, position ${position}: ${detail})`;
  return new MillraceError('DATA_DAMAGED', `${where} Go on from offset ${next}, or restore a backup.`, {
    errors: [{ path: '/nextOffset', message: String(next) }],
  });
}

function abortedAmong(partition: Partition, batches: Uint8Array): FetchResult['aborted'] {
  if (!partition.producers || batches.length === 0) return [];
  const from = readInt64(batches, 0);
  let last = from;
  for (let at = 0; at < batches.length; at += batchSizeAt(batches, at)!)
    last = readInt64(batches, at) + readInt32(batches, at + 23);
  return partition.producers
    .abortedBetween(from, last + 1)
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset }));
}

function tellRead(partition: Partition, batches: Uint8Array): void {
  let records = 0;
  for (const { header } of splitBatches(batches)) records += header.recordCount;
  const stream = partition.topic.info.name;
  signal('stream.read', { stream, partition: partition.index, records, bytes: batches.length });
}

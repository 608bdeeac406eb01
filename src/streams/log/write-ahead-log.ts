import { type Clock, isMillraceError, MillraceError, type Random, signal } from '../../kernel/index.ts';
import type { Disk, DiskFile } from '../disk.port.ts';
import { readInt32, readInt64, writeInt32, writeInt64 } from '../record-batch/bytes.ts';
import { crc32c } from '../record-batch/index.ts';
import { ENTRY_BYTES, FRAME_HEAD_BYTES, type FrameEntry, frameBytes, writeFrameHead } from './frame.ts';

/**
 * The write-ahead log: a ring of files, each `wal/<number>.wal`, one group of entries a frame, one sync a group.
 *
 * W1 A group is settled only after its frame is written and synced; the next is written only after that. So a bad frame
 *    that a good one follows is damage, and a bad frame at the very end was never acknowledged.
 * W2 Entries submitted together are in one frame: they are there as a whole or not at all.
 * W3 After a failed sync or a write that failed for another reason than space, nothing settles well again.
 * W5 When nothing is waiting, an empty frame (a seal) follows the last group, not synced and written over by the next
 *    group: it tells that the last group was synced, so that damage to it is not taken for a torn tail.
 * W4 A full disk rejects the group and all that wait behind it, in order; the next group goes to the same place.
 *
 * A file begins with: 0 magic 'MWAL'  4 salt  8 generation int64  16 first sequence int64  24 CRC-32C of bytes 0-23.
 */
export const FILE_HEAD_BYTES = 32;
const FILE_MAGIC = 0x4d57414c;
/** Bodies below this are gathered in one buffer: fewer vectors for the system call. */
const GATHER_BELOW_BYTES = 32 * 1024;
/** Growing a file by zeros ahead of the frames keeps its metadata out of most syncs. */
const GROW_BYTES = 1024 * 1024;
/** A log that has written this much since its start is busy enough for files that are filled with zeros beforehand. */
const BUSY_BYTES = 1024 * 1024;

export interface WriteAheadLog {
  /** Queues entries for the next group. `settle` is called once: with the frame's sequence when durable, or an error. */
  submit(entries: readonly FrameEntry[], settle: Settle): void;
  /** Bytes submitted and not settled. */
  readonly pendingBytes: number;
  /** Sequence of the last durable frame. */
  readonly durableSequence: number;
  readonly failure: MillraceError | undefined;
  /** Bytes in files that are not recycled yet. */
  readonly liveBytes: number;
  /** Files whose frames all have sequences up to `sequence` may be written over from now on. */
  release(sequence: number): void;
  /** Makes the engine fail: nothing settles well from now on. */
  fail(operation: string, error: unknown): MillraceError;
  /** Resolves when nothing is queued or being written. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

export type Settle = (error: MillraceError | undefined, sequence: number) => void;

export interface FileHead {
  readonly salt: number;
  readonly generation: number;
  readonly firstSequence: number;
}

interface Submission {
  readonly entries: readonly FrameEntry[];
  readonly bytes: number;
  readonly settle: Settle;
}

interface WalFile {
  readonly path: string;
  readonly file: DiskFile;
  /** Bytes that the file has on disk, zeros included. */
  allocatedBytes: number;
  usedBytes: number;
  firstSequence: number;
  lastSequence: number;
}

export interface WriteAheadOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly fileBytes: number;
  readonly groupBytes: number;
  /** Sequence, generation and files that recovery found. */
  readonly firstSequence: number;
  readonly generation: number;
  readonly oldFiles: readonly { path: string; bytes: number; lastSequence: number; free: boolean }[];
}

export function readFileHead(bytes: Uint8Array): FileHead | undefined {
  if (bytes.length < FILE_HEAD_BYTES || readInt32(bytes, 0) !== FILE_MAGIC) return undefined;
  if (crc32c(bytes, 0, 24) !== readInt32(bytes, 24) >>> 0) return undefined;
  return {
    salt: readInt32(bytes, 4) >>> 0,
    generation: readInt64(bytes, 8),
    firstSequence: readInt64(bytes, 16),
  };
}

function fileHead(head: FileHead): Uint8Array {
  const bytes = new Uint8Array(FILE_HEAD_BYTES);
  writeInt32(bytes, 0, FILE_MAGIC);
  writeInt32(bytes, 4, head.salt);
  writeInt64(bytes, 8, head.generation);
  writeInt64(bytes, 16, head.firstSequence);
  writeInt32(bytes, 24, crc32c(bytes, 0, 24));
  return bytes;
}

export function createWriteAheadLog(options: WriteAheadOptions): WriteAheadLog {
  const { disk, clock } = options;
  const salt = options.random.integer(2 ** 32);
  const zeros = new Uint8Array(GROW_BYTES);
  let gather = new Uint8Array(1024 * 1024);
  let queue: Submission[] = [];
  let pendingBytes = 0;
  let sequence = options.firstSequence - 1;
  let generation = options.generation;
  let names = options.generation;
  let writtenBytes = 0;
  let preparing: Promise<void> | undefined;
  let current: WalFile | undefined;
  let running: Promise<void> | undefined;
  let failure: MillraceError | undefined;
  /** Full files, oldest first, whose frames are still needed. */
  const full: WalFile[] = [];
  const free: { path: string; bytes: number }[] = [];
  let oldBytes = 0;
  const old = options.oldFiles.filter((file) => !file.free);
  for (const file of options.oldFiles) {
    if (file.free) free.push({ path: file.path, bytes: file.bytes });
    else oldBytes += file.bytes;
  }

  const fail = (operation: string, error: unknown): MillraceError => {
    const detail = error instanceof Error ? error.message : String(error);
    if (!failure) {
      const message = `The disk failed to ${operation}: ${detail} Nothing is written until a restart has recovered the log.`;
      failure = new MillraceError('DISK_FAILED', message, { cause: error });
      signal('log.failed', { operation, detail });
    }
    return failure;
  };

  const isPrepared = (file: { readonly bytes: number }): boolean => file.bytes >= options.fileBytes;

  const newPath = (): string => `wal/${String(++names).padStart(8, '0')}.wal`;

  /**
   * Fills a file with zeros off the path of the groups. A sync of a file that grows drags the file system's journal along,
   * and with it what others write; a sync of one whose blocks are there does not.
   */
  const prepareSpare = async (): Promise<void> => {
    const at = free.findIndex((file) => !isPrepared(file));
    const spare = at < 0 ? { path: newPath(), bytes: 0 } : free.splice(at, 1)[0]!;
    try {
      const file = await disk.open(spare.path, { create: true });
      try {
        while (spare.bytes < options.fileBytes) {
          const piece = zeros.subarray(0, options.fileBytes - spare.bytes);
          await file.write([piece], spare.bytes);
          spare.bytes += piece.length;
        }
        await file.sync();
      } finally {
        await file.close();
      }
      await disk.syncFolder('wal');
      free.push(spare);
    } catch (error) {
      // Without space the log goes on without a spare; groups will say so when they need space themselves.
      await disk.remove(spare.path).catch(() => undefined);
      if (!isMillraceError(error, 'DISK_FULL')) fail('prepare a write-ahead file', error);
    }
  };

  const prepareWhenBusy = (): void => {
    const busy =
      sequence > options.firstSequence && writtenBytes >= Math.min(BUSY_BYTES, options.fileBytes / 2);
    if (!busy || preparing || failure || free.some(isPrepared)) return;
    preparing = prepareSpare().finally(() => {
      preparing = undefined;
    });
  };

  const openNext = async (): Promise<WalFile> => {
    const prepared = free.findIndex(isPrepared);
    const recycled = free.splice(Math.max(0, prepared), 1)[0];
    const path = recycled?.path ?? newPath();
    const file = await disk.open(path, { create: true });
    if (!recycled) await disk.syncFolder('wal');
    generation++;
    return {
      path,
      file,
      allocatedBytes: recycled?.bytes ?? 0,
      usedBytes: 0,
      firstSequence: sequence + 1,
      lastSequence: sequence,
    };
  };

  /** The file for a frame of `bytes`, and its position. Rotation closes the old file: all in it is synced already (W1). */
  const fileFor = async (bytes: number): Promise<WalFile> => {
    const outgrown = current && current.usedBytes + bytes > options.fileBytes;
    const betterThere = current && !isPrepared({ bytes: current.allocatedBytes }) && free.some(isPrepared);
    if (current && (outgrown || betterThere) && current.lastSequence >= current.firstSequence) {
      await current.file.close();
      full.push(current);
      current = undefined;
    }
    current ??= await openNext();
    return current;
  };

  /** Head, table and small bodies in one buffer, large bodies by reference. */
  const buffersOf = (entries: readonly FrameEntry[], total: number, head: Uint8Array | undefined) => {
    const small = entries.reduce(
      (sum, entry) => sum + (entry.bytes.length < GATHER_BELOW_BYTES ? entry.bytes.length : 0),
      0,
    );
    const needed = (head?.length ?? 0) + FRAME_HEAD_BYTES + entries.length * ENTRY_BYTES + small;
    if (gather.length < needed) gather = new Uint8Array(needed * 2);
    const buffers: Uint8Array[] = [];
    let from = 0;
    let at = head?.length ?? 0;
    if (head) gather.set(head);
    at += writeFrameHead(gather.subarray(at), { salt, sequence: sequence + 1 }, entries, total);
    for (const entry of entries) {
      if (entry.bytes.length < GATHER_BELOW_BYTES) {
        gather.set(entry.bytes, at);
        at += entry.bytes.length;
        continue;
      }
      if (at > from) buffers.push(gather.subarray(from, at));
      buffers.push(entry.bytes);
      from = at;
    }
    if (at > from) buffers.push(gather.subarray(from, at));
    return buffers;
  };

  const writeGroup = async (entries: readonly FrameEntry[]): Promise<void> => {
    const total = frameBytes(entries);
    const file = await fileFor(total);
    const head =
      file.usedBytes === 0 ? fileHead({ salt, generation, firstSequence: sequence + 1 }) : undefined;
    const position = file.usedBytes;
    const end = position + (head?.length ?? 0) + total;
    const buffers = buffersOf(entries, total, head);
    // Growth rides on the same write and sync: zeros behind the frame, so that later syncs find the blocks in place.
    // A large group gains nothing by it: its own blocks have to be found anyway.
    const wants = end > file.allocatedBytes && total <= GROW_BYTES / 4;
    let grows = wants && end + GROW_BYTES <= options.fileBytes;
    const started = clock.monotonic();
    try {
      await file.file.write(grows ? [...buffers, zeros] : buffers, position);
    } catch (error) {
      if (!isMillraceError(error, 'DISK_FULL')) throw error;
      await retryWithoutGrowth(file, buffers, position, grows, error);
      grows = false;
    }
    await file.file.sync().catch((error) => {
      throw fail('sync the write-ahead file', error);
    });
    file.allocatedBytes = Math.max(file.allocatedBytes, grows ? end + GROW_BYTES : end);
    file.usedBytes = end;
    file.lastSequence = ++sequence;
    writtenBytes += total;
    // For large groups the sync is long anyway, and zeros would only take their share of the disk.
    if (total <= GROW_BYTES / 4) prepareWhenBusy();
    signal('log.synced', { bytes: total, groups: 1, durationMs: clock.monotonic() - started });
  };

  const retryWithoutGrowth = async (
    file: WalFile,
    buffers: readonly Uint8Array[],
    position: number,
    grew: boolean,
    full: MillraceError,
  ): Promise<void> => {
    try {
      if (!grew) throw full;
      await file.file.write(buffers, position);
    } catch (error) {
      // What was refused must not come back after a crash: its head goes. The space is allocated, and the next group
      // writes over it anyway, so a failure here changes nothing that was promised.
      await file.file.write([zeros.subarray(0, FRAME_HEAD_BYTES)], position).catch(() => undefined);
      throw error;
    }
  };

  const takeGroup = (): Submission[] => {
    let bytes = 0;
    let count = 0;
    while (count < queue.length && (count === 0 || bytes + queue[count]!.bytes <= options.groupBytes)) {
      bytes += queue[count++]!.bytes;
    }
    const group = count === queue.length ? queue : queue.slice(0, count);
    queue = count === queue.length ? [] : queue.slice(count);
    return group;
  };

  const settleAll = (group: readonly Submission[], error: MillraceError | undefined): void => {
    // Newest first when failing: each undoes what it did to the order on top of the ones before it.
    const order = error ? group.toReversed() : group;
    for (const one of order) {
      pendingBytes -= one.bytes;
      one.settle(error, sequence);
    }
  };

  const failAfterWrite = (error: unknown): MillraceError => {
    if (failure) return failure;
    if (isMillraceError(error, 'DISK_FULL')) return error;
    return fail('write the write-ahead file', error);
  };

  const seal = async (): Promise<void> => {
    if (failure || !current || current.usedBytes === 0) return;
    const frame = new Uint8Array(FRAME_HEAD_BYTES);
    writeFrameHead(frame, { salt, sequence: sequence + 1 }, [], FRAME_HEAD_BYTES);
    await current.file.write([frame], current.usedBytes).catch((error) => void failAfterWrite(error));
  };

  const runLoop = async (): Promise<void> => {
    // The rest of this turn still belongs to the group: callers that were just answered append again in it.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const group = takeGroup();
      try {
        if (failure) throw failure;
        await writeGroup(
          group.length === 1 ? group[0]!.entries : group.flatMap((one) => one.entries as FrameEntry[]),
        );
        settleAll(group, undefined);
      } catch (error) {
        const rest = queue;
        queue = [];
        settleAll([...group, ...rest], failAfterWrite(error));
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (queue.length === 0) await seal();
    }
    running = undefined;
  };

  return {
    submit(entries, settle) {
      const bytes = frameBytes(entries) - FRAME_HEAD_BYTES;
      pendingBytes += bytes;
      queue.push({ entries, bytes, settle });
      running ??= runLoop();
    },
    get pendingBytes() {
      return pendingBytes;
    },
    get durableSequence() {
      return sequence;
    },
    get failure() {
      return failure;
    },
    get liveBytes() {
      return oldBytes + full.reduce((sum, file) => sum + file.usedBytes, 0) + (current?.usedBytes ?? 0);
    },
    release(upTo) {
      while (full.length > 0 && full[0]!.lastSequence <= upTo) {
        const file = full.shift()!;
        free.push({ path: file.path, bytes: file.allocatedBytes });
      }
      while (old.length > 0 && old[0]!.lastSequence <= upTo) {
        const file = old.shift()!;
        oldBytes -= file.bytes;
        free.push({ path: file.path, bytes: file.bytes });
      }
    },
    fail,
    async idle() {
      while (running) await running;
    },
    async close() {
      await this.idle();
      await preparing;
      await current?.file.close();
      current = undefined;
    },
  };
}

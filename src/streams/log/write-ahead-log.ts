import {
  type Clock,
  isMillraceError,
  MillraceError,
  type Random,
  signal,
  type Timer,
} from '../../kernel/index.ts';
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
 * W4 A full disk rejects the group and all that wait behind it, in order; the next group goes to the same place. Whether the
 *    write or the sync had no space makes no difference: the bytes that may be lost are those that nobody was promised.
 * W5 When nothing has come for a moment, an empty frame (a seal) follows the last group, not synced and written over by the
 *    next group: it tells that the last group was synced, so that damage to it is not taken for a torn tail.
 *
 * A file begins with: 0 magic 'MWAL'  4 salt  8 generation int64  16 first sequence int64  24 CRC-32C of bytes 0-23.
 */
export const FILE_HEAD_BYTES = 32;
const FILE_MAGIC = 0x4d57414c;
/** Bodies below this are gathered in one buffer: fewer vectors for the system call. */
const GATHER_BELOW_BYTES = 32 * 1024;
/** Growing a file by zeros ahead of the frames keeps its metadata out of most syncs. */
const GROW_BYTES = 1024 * 1024;
/** Zeros that are synced at once when a file is filled beforehand. */
const PREPARE_BYTES = 512 * 1024;
/** A log that has written this much since its start is busy enough for files that are filled with zeros beforehand. */
const BUSY_BYTES = 1024 * 1024;
/** Silence before a seal. Written at once, it would stand before the next append of whoever sends one at a time. */
const SEAL_AFTER_MS = 10;

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
  readonly oldFiles: readonly OldFile[];
}

/** A file that recovery found; `free` when nothing in it is needed. */
export interface OldFile {
  readonly path: string;
  readonly bytes: number;
  readonly lastSequence: number;
  readonly free: boolean;
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

class GroupCommitLog implements WriteAheadLog {
  readonly #options: WriteAheadOptions;
  readonly #disk: WriteAheadOptions['disk'];
  readonly #clock: WriteAheadOptions['clock'];
  readonly #salt: number;
  readonly #zeros = new Uint8Array(GROW_BYTES);
  #gather = new Uint8Array(1024 * 1024);
  #queue: Submission[] = [];
  #pendingBytes = 0;
  #sequence: number;
  #generation: number;
  #names: number;
  #writtenBytes = 0;
  #preparing: Promise<void> | undefined;
  #current: WalFile | undefined;
  #running: Promise<void> | undefined;
  #sealing: Timer | undefined;
  #failure: MillraceError | undefined;
  /** Full files, oldest first, whose frames are still needed. */
  readonly #full: WalFile[] = [];
  #fullBytes = 0;
  readonly #free: { path: string; bytes: number }[];
  readonly #old: OldFile[];
  #oldBytes: number;

  constructor(options: WriteAheadOptions) {
    this.#options = options;
    this.#disk = options.disk;
    this.#clock = options.clock;
    this.#salt = options.random.integer(2 ** 32);
    this.#sequence = options.firstSequence - 1;
    this.#generation = options.generation;
    this.#names = options.generation;
    this.#free = options.oldFiles.filter((file) => file.free).map(({ path, bytes }) => ({ path, bytes }));
    this.#old = options.oldFiles.filter((file) => !file.free);
    this.#oldBytes = options.oldFiles.reduce((sum, file) => sum + (file.free ? 0 : file.bytes), 0);
  }

  readonly #fail = (operation: string, error: unknown): MillraceError => {
    const detail = error instanceof Error ? error.message : String(error);
    if (!this.#failure) {
      const message = `The disk failed to ${operation}: ${detail} Nothing is written until a restart has recovered the log.`;
      this.#failure = new MillraceError('DISK_FAILED', message, { cause: error });
      signal('log.failed', { operation, detail });
    }
    return this.#failure;
  };

  readonly #isPrepared = (file: { readonly bytes: number }): boolean => file.bytes >= this.#options.fileBytes;

  readonly #newPath = (): string => `wal/${String(++this.#names).padStart(8, '0')}.wal`;

  /**
   * Fills a file with zeros off the path of the groups. A sync of a file that grows drags the file system's journal along,
   * and with it what others write; a sync of one whose blocks are there does not.
   */
  readonly #prepareSpare = async (): Promise<void> => {
    const at = this.#free.findIndex((file) => !this.#isPrepared(file));
    const spare = at < 0 ? { path: this.#newPath(), bytes: 0 } : this.#free.splice(at, 1)[0]!;
    try {
      const file = await this.#disk.open(spare.path, { create: true });
      try {
        while (spare.bytes < this.#options.fileBytes) {
          const piece = this.#zeros.subarray(
            0,
            Math.min(PREPARE_BYTES, this.#options.fileBytes - spare.bytes),
          );
          await file.write([piece], spare.bytes);
          // Each piece by itself: one sync of the whole file would keep the disk from the groups for as long as it takes.
          await file.sync();
          spare.bytes += piece.length;
        }
      } finally {
        await file.close();
      }
      await this.#disk.syncFolder('wal');
      this.#free.push(spare);
    } catch (error) {
      // Without space the log goes on without a spare; groups will say so when they need space themselves.
      await this.#disk.remove(spare.path).catch(() => undefined);
      if (!isMillraceError(error, 'DISK_FULL')) this.#fail('prepare a write-ahead file', error);
    }
  };

  readonly #prepareWhenBusy = (): void => {
    const busy =
      this.#sequence > this.#options.firstSequence &&
      this.#writtenBytes >= Math.min(BUSY_BYTES, this.#options.fileBytes / 2);
    if (!busy || this.#preparing || this.#failure || this.#free.some(this.#isPrepared)) return;
    this.#preparing = this.#prepareSpare().finally(() => {
      this.#preparing = undefined;
    });
  };

  readonly #openNext = async (): Promise<WalFile> => {
    const prepared = this.#free.findIndex(this.#isPrepared);
    const recycled = this.#free.splice(Math.max(0, prepared), 1)[0];
    const path = recycled?.path ?? this.#newPath();
    const file = await this.#disk.open(path, { create: true });
    if (!recycled) await this.#disk.syncFolder('wal');
    this.#generation++;
    return {
      path,
      file,
      allocatedBytes: recycled?.bytes ?? 0,
      usedBytes: 0,
      firstSequence: this.#sequence + 1,
      lastSequence: this.#sequence,
    };
  };

  /** The file for a frame of `bytes`, and its position. Rotation closes the old file: all in it is synced already (W1). */
  readonly #fileFor = async (bytes: number): Promise<WalFile> => {
    const outgrown = this.#current && this.#current.usedBytes + bytes > this.#options.fileBytes;
    const betterThere =
      this.#current &&
      !this.#isPrepared({ bytes: this.#current.allocatedBytes }) &&
      this.#free.some(this.#isPrepared);
    if (
      this.#current &&
      (outgrown || betterThere) &&
      this.#current.lastSequence >= this.#current.firstSequence
    ) {
      await this.#current.file.close();
      this.#full.push(this.#current);
      this.#fullBytes += this.#current.usedBytes;
      this.#current = undefined;
    }
    this.#current ??= await this.#openNext();
    return this.#current;
  };

  /** Head, table and small bodies in one buffer, large bodies by reference. */
  readonly #buffersOf = (entries: readonly FrameEntry[], total: number, head: Uint8Array | undefined) => {
    const small = entries.reduce(
      (sum, entry) => sum + (entry.bytes.length < GATHER_BELOW_BYTES ? entry.bytes.length : 0),
      0,
    );
    const needed = (head?.length ?? 0) + FRAME_HEAD_BYTES + entries.length * ENTRY_BYTES + small;
    if (this.#gather.length < needed) this.#gather = new Uint8Array(needed * 2);
    const buffers: Uint8Array[] = [];
    let from = 0;
    let at = head?.length ?? 0;
    if (head) this.#gather.set(head);
    at += writeFrameHead(
      this.#gather.subarray(at),
      { salt: this.#salt, sequence: this.#sequence + 1 },
      entries,
      total,
    );
    for (const entry of entries) {
      if (entry.bytes.length < GATHER_BELOW_BYTES) {
        this.#gather.set(entry.bytes, at);
        at += entry.bytes.length;
        continue;
      }
      if (at > from) buffers.push(this.#gather.subarray(from, at));
      buffers.push(entry.bytes);
      from = at;
    }
    if (at > from) buffers.push(this.#gather.subarray(from, at));
    return buffers;
  };

  readonly #writeGroup = async (entries: readonly FrameEntry[]): Promise<void> => {
    const total = frameBytes(entries);
    const file = await this.#fileFor(total);
    const head =
      file.usedBytes === 0
        ? fileHead({ salt: this.#salt, generation: this.#generation, firstSequence: this.#sequence + 1 })
        : undefined;
    const position = file.usedBytes;
    const end = position + (head?.length ?? 0) + total;
    const buffers = this.#buffersOf(entries, total, head);
    // Growth rides on the same write and sync: zeros behind the frame, so that later syncs find the blocks in place.
    // A large group gains nothing by it: its own blocks have to be found anyway.
    const wants = end > file.allocatedBytes && total <= GROW_BYTES / 4;
    let grows = wants && end + GROW_BYTES <= this.#options.fileBytes;
    const started = this.#clock.monotonic();
    try {
      await file.file.writeDurably(grows ? [...buffers, this.#zeros] : buffers, position);
    } catch (error) {
      if (!isMillraceError(error, 'DISK_FULL')) throw error;
      await this.#retryWithoutGrowth(file, buffers, position, grows, error);
      grows = false;
    }
    file.allocatedBytes = Math.max(file.allocatedBytes, grows ? end + GROW_BYTES : end);
    file.usedBytes = end;
    file.lastSequence = ++this.#sequence;
    this.#writtenBytes += total;
    // For large groups the sync is long anyway, and zeros would only take their share of the disk.
    if (total <= GROW_BYTES / 4) this.#prepareWhenBusy();
    signal('log.synced', { bytes: total, groups: 1, durationMs: this.#clock.monotonic() - started });
  };

  readonly #retryWithoutGrowth = async (
    file: WalFile,
    buffers: readonly Uint8Array[],
    position: number,
    grew: boolean,
    noSpace: MillraceError,
  ): Promise<void> => {
    try {
      if (!grew) throw noSpace;
      await file.file.writeDurably(buffers, position);
    } catch (error) {
      // What was refused must not come back after a crash: its head goes. The space is allocated, and the next group
      // writes over it anyway, so a failure here changes nothing that was promised.
      await file.file.write([this.#zeros.subarray(0, FRAME_HEAD_BYTES)], position).catch(() => undefined);
      throw error;
    }
  };

  readonly #takeGroup = (): Submission[] => {
    let bytes = 0;
    let count = 0;
    while (
      count < this.#queue.length &&
      (count === 0 || bytes + this.#queue[count]!.bytes <= this.#options.groupBytes)
    ) {
      bytes += this.#queue[count++]!.bytes;
    }
    const group = count === this.#queue.length ? this.#queue : this.#queue.slice(0, count);
    this.#queue = count === this.#queue.length ? [] : this.#queue.slice(count);
    return group;
  };

  readonly #settleAll = (group: readonly Submission[], error: MillraceError | undefined): void => {
    // Newest first when failing: each undoes what it did to the order on top of the ones before it.
    const order = error ? group.toReversed() : group;
    for (const one of order) {
      this.#pendingBytes -= one.bytes;
      one.settle(error, this.#sequence);
    }
  };

  readonly #failAfterWrite = (error: unknown): MillraceError => {
    if (this.#failure) return this.#failure;
    if (isMillraceError(error, 'DISK_FULL')) return error;
    return this.#fail('write the write-ahead file', error);
  };

  readonly #seal = async (): Promise<void> => {
    if (this.#failure || !this.#current || this.#current.usedBytes === 0) return;
    const frame = new Uint8Array(FRAME_HEAD_BYTES);
    writeFrameHead(frame, { salt: this.#salt, sequence: this.#sequence + 1 }, [], FRAME_HEAD_BYTES);
    await this.#current.file
      .write([frame], this.#current.usedBytes)
      .catch((error) => void this.#failAfterWrite(error));
  };

  readonly #sealWhenQuiet = (): void => {
    const sequence = this.#sequence;
    this.#sealing ??= this.#clock.after(SEAL_AFTER_MS, () => {
      this.#sealing = undefined;
      if (this.#running) return; // comes here again when it ends
      if (sequence !== this.#sequence) return this.#sealWhenQuiet();
      this.#running = this.#seal().then(() => {
        this.#running = this.#queue.length > 0 ? this.#runLoop() : undefined;
      });
    });
  };

  readonly #runLoop = async (): Promise<void> => {
    // The rest of this turn still belongs to the group: callers that were just answered append again in it.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      try {
        if (this.#failure) throw this.#failure;
        await this.#writeGroup(
          group.length === 1 ? group[0]!.entries : group.flatMap((one) => one.entries as FrameEntry[]),
        );
        this.#settleAll(group, undefined);
      } catch (error) {
        const rest = this.#queue;
        this.#queue = [];
        this.#settleAll([...group, ...rest], this.#failAfterWrite(error));
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#running = undefined;
    this.#sealWhenQuiet();
  };

  readonly submit: WriteAheadLog['submit'] = (entries, settle) => {
    const bytes = frameBytes(entries) - FRAME_HEAD_BYTES;
    this.#pendingBytes += bytes;
    this.#queue.push({ entries, bytes, settle });
    this.#running ??= this.#runLoop();
  };

  get pendingBytes(): WriteAheadLog['pendingBytes'] {
    return this.#pendingBytes;
  }

  get durableSequence(): WriteAheadLog['durableSequence'] {
    return this.#sequence;
  }

  get failure(): WriteAheadLog['failure'] {
    return this.#failure;
  }

  get liveBytes(): WriteAheadLog['liveBytes'] {
    return this.#oldBytes + this.#fullBytes + (this.#current?.usedBytes ?? 0);
  }

  readonly release: WriteAheadLog['release'] = (upTo) => {
    while (this.#full.length > 0 && this.#full[0]!.lastSequence <= upTo) {
      const file = this.#full.shift()!;
      this.#fullBytes -= file.usedBytes;
      this.#free.push({ path: file.path, bytes: file.allocatedBytes });
    }
    while (this.#old.length > 0 && this.#old[0]!.lastSequence <= upTo) {
      const file = this.#old.shift()!;
      this.#oldBytes -= file.bytes;
      this.#free.push({ path: file.path, bytes: file.bytes });
    }
  };

  readonly fail: WriteAheadLog['fail'] = this.#fail;

  readonly idle: WriteAheadLog['idle'] = async () => {
    while (this.#running) await this.#running;
  };

  readonly close: WriteAheadLog['close'] = async () => {
    await this.idle();
    this.#sealing?.cancel();
    await this.#seal();
    await this.#preparing;
    await this.#current?.file.close();
    this.#current = undefined;
  };
}

export function createWriteAheadLog(options: WriteAheadOptions): WriteAheadLog {
  return new GroupCommitLog(options);
}

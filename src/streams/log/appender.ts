import { type Clock, MillraceError, signal, signalled, type Timer } from '../../kernel/index.ts';
import { type Marker, ProducerStates, type Transactions, type Undo } from '../coordination/index.ts';
import type { AppendInput, AppendResult } from '../port.ts';
import {
  type BatchHeader,
  crcMatches,
  readBatchHeader,
  setAppendTime,
  setBaseOffset,
} from '../record-batch/index.ts';
import { type Change, changeEntry } from './changes.ts';
import type { Flusher } from './flusher.ts';
import type { FrameEntry } from './frame.ts';
import type { Partition, TailEntry } from './partition.ts';
import type { Topics } from './topics.ts';
import type { WriteAheadLog } from './write-ahead-log.ts';

/** A batch that was checked and only waits for its offset. */
export interface Prepared {
  readonly partition: Partition;
  readonly batch: Uint8Array;
  readonly header: BatchHeader;
  /** For control batches that end a transaction. */
  readonly marker?: Marker;
  /** Called when nobody needs `batch` any more. */
  readonly release?: (() => void) | undefined;
}

export interface Work {
  readonly batches: readonly Prepared[];
  readonly changes: readonly Change[];
}

/**
 * Gives batches their order. Between the check of a batch and its offset nothing is awaited, so order of append is order of
 * offsets (L2), and everything a group did to the order is undone, newest first, when the group does not become durable.
 */
export interface Appender {
  append(input: AppendInput): Promise<AppendResult>;
  /** Checks what needs no order. Throws as `append`. */
  prepare(input: AppendInput): Prepared;
  /**
   * Orders all of `work` in one frame and resolves when it is durable. `decide` is called when there is room, in the same turn
   * in which its work is ordered; what it throws comes back, and nothing happened.
   */
  transact(bytes: number, decide: () => Work): Promise<readonly AppendResult[]>;
  /** Lets waiting appends go on where there is room. */
  onRoom(): void;
  /** Refuses all that comes and all that waits. */
  refuse(): void;
}

export interface AppenderOptions {
  readonly clock: Clock;
  readonly topics: Topics;
  readonly wal: WriteAheadLog;
  readonly flusher: Flusher;
  readonly transactions: () => Transactions;
  readonly applyChange: (change: Change) => void;
  /** Bytes that may be in memory and not in segments. */
  readonly unwrittenBytes: number;
  /** Bytes that write-ahead files may have before appends wait for a checkpoint. */
  readonly walBytes: number;
  readonly waitMs: number;
}

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
  readonly refuse: (error: MillraceError) => void;
  timer: Timer;
}

interface Ordered {
  readonly entry: TailEntry | undefined;
  readonly result: AppendResult;
  readonly undo: Undo;
}

class OrderedAppender implements Appender {
  readonly #options: AppenderOptions;
  readonly #clock: AppenderOptions['clock'];
  readonly #topics: AppenderOptions['topics'];
  readonly #wal: AppenderOptions['wal'];
  readonly #flusher: AppenderOptions['flusher'];
  readonly #waiting: Waiting[] = [];
  #refused: MillraceError | undefined;

  constructor(options: AppenderOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#topics = options.topics;
    this.#wal = options.wal;
    this.#flusher = options.flusher;
  }

  readonly #hasRoom = (bytes: number): boolean => {
    const unwritten = this.#wal.pendingBytes + this.#flusher.unflushedBytes;
    if (unwritten === 0) return true;
    return (
      unwritten + bytes <= this.#options.unwrittenBytes &&
      this.#wal.liveBytes + this.#wal.pendingBytes <= this.#options.walBytes
    );
  };

  readonly #failIfClosed = (): void => {
    if (this.#refused) throw this.#refused;
    if (this.#wal.failure) throw this.#wal.failure;
    if (this.#flusher.full) {
      this.#flusher.kick();
      throw this.#flusher.full;
    }
  };

  readonly #busy = (): MillraceError =>
    new MillraceError(
      'UNAVAILABLE',
      `The log takes no more at the moment: the disk is slower than the writers. Waited ${this.#options.waitMs} ms; try again later.`,
      { retryAfterMs: 1000 },
    );

  readonly #waitForRoom = (bytes: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const entry: Waiting = {
        bytes,
        go: resolve,
        refuse: reject,
        timer: this.#clock.after(this.#options.waitMs, () => {
          this.#waiting.splice(this.#waiting.indexOf(entry), 1);
          reject(this.#busy());
        }),
      };
      this.#waiting.push(entry);
      this.#flusher.kick();
    });

  /** Throws STREAM_NOT_FOUND, PARTITION_NOT_FOUND, BATCH_INVALID, RECORD_TOO_LARGE. */
  readonly #prepare = (input: AppendInput): Prepared => {
    const partition = this.#topics.partition(input);
    const limit = partition.topic.info.config.maxBatchBytes;
    if (input.batch.length > limit) {
      throw new MillraceError(
        'RECORD_TOO_LARGE',
        `The batch has ${input.batch.length} bytes; '${input.topic}' takes at most ${limit}. Send smaller batches.`,
      );
    }
    const header = readBatchHeader(input.batch);
    const wrong = whatIsWrong(input, header);
    if (wrong) throw new MillraceError('BATCH_INVALID', `The record batch cannot be appended: ${wrong}.`);
    return { partition, header, ...ownBytes(input) };
  };

  readonly #checkProducer = ({ partition, header, marker }: Prepared) => {
    if (header.producerId < 0 || marker) return undefined;
    if (header.transactional) {
      const producer = { producerId: header.producerId, epoch: header.producerEpoch };
      this.#options
        .transactions()
        .admit(producer, { topic: partition.topic.info.name, partition: partition.index });
    }
    partition.producers ??= new ProducerStates();
    return partition.producers.admit(header);
  };

  readonly #remember = (
    { partition, header, marker }: Prepared,
    offset: number,
    appendTimeMs: number,
  ): Undo => {
    if (marker) {
      partition.producers ??= new ProducerStates();
      return partition.producers.mark(marker, offset, this.#clock.now());
    }
    if (header.producerId < 0) return nothing;
    return partition.producers!.append(header, offset, this.#clock.now(), appendTimeMs);
  };

  readonly #order = (prepared: Prepared): Ordered => {
    const { partition, batch, header } = prepared;
    const duplicate = this.#checkProducer(prepared);
    const place = {
      topic: partition.topic.info.name,
      partition: partition.index,
      logStartOffset: partition.logStart,
    };
    if (duplicate) {
      prepared.release?.();
      const { baseOffset, lastOffset, appendTimeMs } = duplicate;
      const result = { ...place, baseOffset, lastOffset, appendTimeMs, duplicate: true };
      return { entry: undefined, result, undo: nothing };
    }
    const baseOffset = partition.nextOffset;
    const lastOffset = baseOffset + header.lastOffsetDelta;
    const stamped = partition.topic.info.config.timestampType === 'append' && !header.control;
    const appendTimeMs = stamped ? this.#clock.now() : -1;
    setBaseOffset(batch, 0, baseOffset);
    if (stamped) setAppendTime(batch, 0, appendTimeMs);
    const undoProducer = this.#remember(prepared, baseOffset, appendTimeMs);
    const entry: TailEntry = {
      batch,
      baseOffset,
      lastOffset,
      maxTimestampMs: stamped ? appendTimeMs : header.maxTimestampMs,
      partition,
      sequence: Number.POSITIVE_INFINITY,
      flushed: false,
      readers: 0,
      release: prepared.release,
    };
    partition.tail.push(entry);
    partition.nextOffset = lastOffset + 1;
    partition.line = undefined;
    const undo = (): void => {
      undoProducer();
      partition.tail.pop();
      partition.nextOffset = baseOffset;
    };
    return { entry, result: { ...place, baseOffset, lastOffset, appendTimeMs, duplicate: false }, undo };
  };

  readonly #orderAll = (batches: readonly Prepared[]): Ordered[] => {
    const ordered: Ordered[] = [];
    try {
      for (const prepared of batches) ordered.push(this.#order(prepared));
      return ordered;
    } catch (error) {
      for (const one of ordered.toReversed()) one.undo();
      throw error;
    }
  };

  readonly #complete = (ordered: readonly Ordered[], changes: readonly Change[], sequence: number): void => {
    for (const { entry } of ordered) {
      if (!entry) continue;
      entry.sequence = sequence;
      entry.partition.durableEnd = entry.lastOffset + 1;
      if (!entry.partition.deleted) this.#flusher.enqueue(entry);
    }
    for (const change of changes) this.#options.applyChange(change);
    for (const { entry } of ordered) entry?.partition.notify();
    if (signalled('stream.appended')) for (const { entry } of ordered) if (entry) tell(entry);
  };

  readonly #orderNow = (
    work: Work,
    acks: 'disk' | 'memory',
    resolve: (results: AppendResult[]) => void,
    reject: (error: MillraceError) => void,
  ): void => {
    const ordered = this.#orderAll(work.batches);
    const entries: FrameEntry[] = [];
    for (const { entry } of ordered) if (entry) entries.push(batchEntry(entry));
    for (const change of work.changes) entries.push(changeEntry(change));
    const results = ordered.map((one) => one.result);
    if (entries.length === 0 && results.every((one, index) => isDurable(work.batches[index]!, one))) {
      resolve(results);
      return;
    }
    // A duplicate of a batch that is still under way waits for it behind an empty submission.
    this.#wal.submit(entries, (error, sequence) => {
      if (error) {
        for (const one of ordered.toReversed()) one.undo();
        reject(error);
        return;
      }
      this.#complete(ordered, work.changes, sequence);
      resolve(results);
    });
    if (acks === 'memory') resolve(results);
  };

  readonly #transact = async (
    bytes: number,
    decide: () => Work,
    acks: 'disk' | 'memory' = 'disk',
  ): Promise<readonly AppendResult[]> => {
    this.#failIfClosed();
    if (this.#waiting.length > 0 || !this.#hasRoom(bytes)) await this.#waitForRoom(bytes);
    this.#failIfClosed();
    const work = decide();
    return new Promise((resolve, reject) => this.#orderNow(work, acks, resolve, reject));
  };

  readonly prepare: Appender['prepare'] = this.#prepare;

  readonly transact: Appender['transact'] = this.#transact;

  readonly append: Appender['append'] = async (input) => {
    const prepared = this.#prepare(input);
    const work = { batches: [prepared], changes: [] };
    const decide = (): Work => {
      if (!prepared.partition.deleted) return work;
      this.#topics.partition(input); // throws STREAM_NOT_FOUND, unless it was made again: then its new self takes the batch
      const { batch, release } = prepared;
      return { batches: [this.#prepare({ ...input, batch, ...(release ? { release } : {}) })], changes: [] };
    };
    return (await this.#transact(input.batch.length, decide, input.acks))[0]!;
  };

  readonly onRoom: Appender['onRoom'] = () => {
    const error = this.#refused ?? this.#wal.failure ?? this.#flusher.full;
    // Room is counted for one turn: what is let go here is ordered in microtasks before anything else runs.
    let bytes = 0;
    while (this.#waiting.length > 0 && (error || this.#hasRoom(bytes + this.#waiting[0]!.bytes))) {
      const next = this.#waiting.shift()!;
      next.timer.cancel();
      bytes += next.bytes;
      if (error) next.refuse(error);
      else next.go();
    }
  };

  readonly refuse: Appender['refuse'] = () => {
    this.#refused = new MillraceError(
      'UNAVAILABLE',
      'The log is stopping and takes nothing new. Try again after the restart.',
      { retryAfterMs: 1000 },
    );
    this.onRoom();
  };
}

export function createAppender(options: AppenderOptions): Appender {
  return new OrderedAppender(options);
}

const nothing: Undo = () => undefined;

function isDurable({ partition }: Prepared, result: AppendResult): boolean {
  return result.lastOffset < partition.durableEnd;
}

function whatIsWrong(input: AppendInput, header: BatchHeader): string | undefined {
  if (header.sizeBytes !== input.batch.length) return 'bytes follow it; append one batch at a time';
  if (header.control) return 'control batches are written by the log alone';
  if (header.recordCount !== header.lastOffsetDelta + 1 && input.trusted !== true)
    return 'its offsets have gaps';
  if (header.producerId >= 0 && (header.producerEpoch < 0 || header.baseSequence < 0)) {
    return 'it has a producer id without epoch or sequence';
  }
  if (header.producerId < 0 && header.transactional) return 'it is transactional without a producer id';
  if (input.trusted !== true && !crcMatches(input.batch)) return 'its CRC does not match its bytes';
  return undefined;
}

/** A small view would keep the large buffer alive that it was cut from. */
function ownBytes({ batch, release }: AppendInput): Pick<Prepared, 'batch' | 'release'> {
  if (batch.buffer.byteLength <= batch.length * 2) return { batch, release };
  const own = new Uint8Array(batch);
  release?.();
  return { batch: own };
}

function batchEntry(entry: TailEntry): FrameEntry {
  return {
    kind: 'batch',
    topicNumber: entry.partition.topic.number,
    partition: entry.partition.index,
    baseOffset: entry.baseOffset,
    bytes: entry.batch,
  };
}

function tell({ partition, batch, baseOffset, lastOffset }: TailEntry): void {
  const records = lastOffset - baseOffset + 1;
  signal('stream.appended', {
    stream: partition.topic.info.name,
    partition: partition.index,
    records,
    bytes: batch.length,
  });
}

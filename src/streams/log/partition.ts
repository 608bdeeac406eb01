import type { ProducerStates } from '../coordination/index.ts';
import type { PartitionBounds, TopicInfo } from '../port.ts';
import type { Segment } from './segment.ts';

/** A topic and its partitions. Its number stands for it in the write-ahead file and is never given twice. */
export interface Topic {
  readonly number: number;
  info: TopicInfo;
  readonly partitions: Partition[];
  deleted: boolean;
}

/** A batch that is still in memory. */
export interface TailEntry {
  readonly batch: Uint8Array;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly maxTimestampMs: number;
  readonly partition: Partition;
  /** Sequence of the frame that made it durable; Infinity before. */
  sequence: number;
  flushed: boolean;
  /** Whoever looks at `batch` beyond one turn counts here: it is not evicted meanwhile. */
  readers: number;
  /** Called when it was evicted; the memory of `batch` is another's from then on. */
  readonly release: (() => void) | undefined;
}

/** Offsets that damage took away. */
export interface LostRange {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly file: string;
  readonly position: number;
  readonly detail: string;
}

/**
 * What the engine knows of one partition. About 1 kB while idle: no file is open and no index loaded for it.
 *
 * P1 logStart ≤ flushedEnd ≤ durableEnd ≤ nextOffset, and the segments cover [logStart, flushedEnd) without a gap.
 * P2 `tail` holds every batch in [flushedEnd, nextOffset), and perhaps some before, in order.
 */
export class Partition {
  readonly topic: Topic;
  readonly index: number;
  logStart = 0;
  /** The high watermark: what readers may see. */
  durableEnd = 0;
  /** Where the next batch goes; ahead of `durableEnd` while groups are under way. */
  nextOffset = 0;
  /** Everything before is in segments. */
  flushedEnd = 0;
  segments: Segment[] = [];
  tail: TailEntry[] = [];
  /** Entries of `tail` before this index are gone from memory. */
  tailHead = 0;
  /** Idempotent and transactional producers; undefined until the first of them. */
  producers: ProducerStates | undefined;
  lost: LostRange[] = [];
  /** Generation of compacted files; grows. */
  generation = 0;
  /** Everything below was compacted once. */
  cleanEnd = 0;
  watchers: Set<() => void> | undefined;
  /** Its line of the checkpoint, until something in it changes. */
  line: string | undefined;
  /** Set while the partition waits for the flusher. */
  dirty = false;
  deleted = false;

  constructor(topic: Topic, index: number) {
    this.topic = topic;
    this.index = index;
  }

  get folder(): string {
    return `topics/${this.topic.info.id}/${this.index}`;
  }

  /** L3. */
  get lastStableOffset(): number {
    return this.producers?.lastStableOffset(this.durableEnd) ?? this.durableEnd;
  }

  bounds(): PartitionBounds {
    return {
      logStartOffset: this.logStart,
      lastStableOffset: this.lastStableOffset,
      highWatermark: this.durableEnd,
    };
  }

  get tailStart(): number {
    return this.tail[this.tailHead]?.baseOffset ?? this.nextOffset;
  }

  /** Index in `tail` of the batch that holds `offset` or the first after it. */
  tailIndexOf(offset: number): number {
    let low = this.tailHead;
    let high = this.tail.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tail[middle]!.lastOffset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Forgets the oldest entry in memory. */
  dropTailHead(): void {
    this.tailHead++;
    if (this.tailHead === this.tail.length) {
      this.tail = [];
      this.tailHead = 0;
    } else if (this.tailHead * 2 > this.tail.length) {
      this.tail = this.tail.slice(this.tailHead);
      this.tailHead = 0;
    }
  }

  segmentOf(offset: number): Segment | undefined {
    let low = 0;
    let high = this.segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.segments[middle]!.endOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return this.segments[low];
  }

  lostAt(offset: number): LostRange | undefined {
    return this.lost.find((range) => range.firstOffset <= offset && offset <= range.lastOffset);
  }

  /** `offset`, or the first one behind the lost ones that begin there. */
  pastLost(offset: number): number {
    let range = this.lostAt(offset);
    for (; range; range = this.lostAt(offset)) offset = range.lastOffset + 1;
    return offset;
  }

  notify(): void {
    if (this.watchers) for (const watcher of this.watchers) watcher();
  }
}

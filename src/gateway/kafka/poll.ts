import { type Clock, MillraceError } from '../../kernel/index.ts';
import type { FetchResult, LogStore, PartitionBounds, TopicPartition } from '../../streams/index.ts';
import { KAFKA_ERRORS, kafkaErrorCode } from './errors.ts';
import type { WantedPartition } from './fetch-sessions.ts';
import type { Broker, RequestContext } from './handler.ts';
import { leaderEpochError, type Topics } from './topics.ts';

export interface PollLimits {
  readonly isolation: 'committed' | 'uncommitted';
  /** Of all partitions together; the first that has records gives at least one batch. */
  readonly maxBytes: number;
  readonly minBytes: number;
  readonly maxWaitMs: number;
}

/** What there was to read of one partition. */
export interface PartitionRead extends PartitionBounds {
  readonly errorCode: number;
  readonly batches: Uint8Array;
  /** null unless only committed records were asked for. */
  readonly aborted: FetchResult['aborted'] | null;
}

type Poll = (
  wanted: readonly WantedPartition[],
  limits: PollLimits,
  context: RequestContext,
) => Promise<readonly PartitionRead[]>;

const EMPTY = new Uint8Array(0);
const NO_BOUNDS: PartitionBounds = { highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 };

/**
 * Reads what is there, or waits for it: until `minBytes` are there or something is wrong, at most `maxWaitMs`, and no
 * longer than the connection lasts. Only partitions whose end has moved are read again.
 */
export function createPoll({ streams: { log }, topics, clock }: Broker): Poll {
  return async (wanted, limits, context) => {
    const round = new Round(wanted, limits, { log, topics, context });
    await round.read();
    if (limits.maxWaitMs <= 0 || wanted.length === 0 || round.isEnough || context.signal.aborted) {
      return round.reads;
    }
    const deadline = clock.monotonic() + limits.maxWaitMs;
    const waiter = new Waiter(log, clock, context.signal);
    waiter.watch(round.places);
    try {
      // What came between reading and watching is seen by looking once more.
      await round.readMoved();
      for (let leftMs = limits.maxWaitMs; leftMs > 0 && !round.isEnough && !context.signal.aborted; ) {
        await waiter.wait(leftMs);
        await round.readMoved();
        leftMs = deadline - clock.monotonic();
      }
      return round.reads;
    } finally {
      waiter[Symbol.dispose]();
    }
  };
}

interface RoundParts {
  readonly log: LogStore;
  readonly topics: Topics;
  readonly context: RequestContext;
}

/** The reads of one request so far. */
class Round {
  readonly reads: PartitionRead[] = [];
  readonly #wanted: readonly WantedPartition[];
  readonly #limits: PollLimits;
  readonly #parts: RoundParts;
  /** Where each partition is; undefined where it cannot be read. */
  readonly #places: (TopicPartition | undefined)[];
  readonly #errors: number[];
  #bytes = 0;
  #failed = false;

  constructor(wanted: readonly WantedPartition[], limits: PollLimits, parts: RoundParts) {
    this.#wanted = wanted;
    this.#limits = limits;
    this.#parts = parts;
    this.#errors = [];
    this.#places = wanted.map((each, index) => {
      const { topic, errorCode } = parts.topics.find(
        { name: each.topic, topicId: each.topicId },
        'read',
        parts.context,
      );
      const known = topic && each.partition >= 0 && each.partition < topic.partitions;
      this.#errors[index] =
        errorCode ||
        (known ? leaderEpochError(each.currentLeaderEpoch) : KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
      return this.#errors[index] === 0 ? { topic: topic!.name, partition: each.partition } : undefined;
    });
  }

  get isEnough(): boolean {
    return this.#failed || this.#bytes >= this.#limits.minBytes;
  }

  get places(): readonly TopicPartition[] {
    return this.#places.filter((place) => place !== undefined);
  }

  async read(): Promise<void> {
    for (let index = 0; index < this.#wanted.length; index++) await this.#readAt(index);
  }

  /** Reads the partitions again in which there is more than there was. */
  async readMoved(): Promise<void> {
    for (let index = 0; index < this.#wanted.length; index++) {
      const before = this.reads[index]!;
      const place = this.#places[index];
      if (!place || before.errorCode !== 0) continue;
      if (this.#endOf(place) !== this.#endIn(before)) await this.#readAt(index);
    }
  }

  #endIn(bounds: PartitionBounds): number {
    return this.#limits.isolation === 'committed' ? bounds.lastStableOffset : bounds.highWatermark;
  }

  #endOf(place: TopicPartition): number {
    try {
      return this.#endIn(this.#parts.log.bounds(place));
    } catch {
      // Deleted meanwhile: reading it says so.
      return Number.NaN;
    }
  }

  async #readAt(index: number): Promise<void> {
    const place = this.#places[index];
    const result = place ? await this.#fetch(place, this.#wanted[index]!) : failed(this.#errors[index]!);
    this.reads[index] = result;
    this.#bytes += result.batches.length;
    if (result.errorCode !== 0) this.#failed = true;
  }

  async #fetch(place: TopicPartition, { fetchOffset, maxBytes }: WantedPartition): Promise<PartitionRead> {
    const { log } = this.#parts;
    const { isolation } = this.#limits;
    const none = isolation === 'committed' ? [] : null;
    try {
      const bounds = log.bounds(place);
      const left = this.#limits.maxBytes - this.#bytes;
      const end = this.#endIn(bounds);
      const isReadable = fetchOffset >= bounds.logStartOffset && fetchOffset <= bounds.highWatermark;
      // Most partitions of most requests have nothing new: they cost no more than this. So do those without room left.
      if (isReadable && (fetchOffset >= end || (left <= 0 && this.#bytes > 0))) {
        return { errorCode: 0, ...bounds, batches: EMPTY, aborted: none };
      }
      const most = Math.max(0, Math.min(maxBytes, left));
      const allocate = (bytes: number): Uint8Array => this.#parts.context.lend(bytes);
      const found = await log.fetch({ ...place, offset: fetchOffset, maxBytes: most, isolation, allocate });
      // A batch larger than the room left is for the next request, except where it would be the only one.
      const fits = this.#bytes === 0 || found.batches.length <= left;
      return {
        errorCode: 0,
        highWatermark: found.highWatermark,
        lastStableOffset: found.lastStableOffset,
        logStartOffset: found.logStartOffset,
        batches: fits ? found.batches : EMPTY,
        aborted: none && fits ? found.aborted : none,
      };
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      // A consumer stops at a batch that is damaged; any other error of storage it would try again for ever.
      const damaged = error.code === 'DATA_DAMAGED';
      return failed(damaged ? KAFKA_ERRORS.CORRUPT_MESSAGE : kafkaErrorCode(error));
    }
  }
}

function failed(errorCode: number): PartitionRead {
  return { errorCode, ...NO_BOUNDS, batches: EMPTY, aborted: null };
}

/** Waits for partitions to grow, for time to pass or for the signal, whichever is first. */
class Waiter implements Disposable {
  readonly #log: LogStore;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #unwatch: (() => void) | undefined;
  #advanced = false;
  #wake: (() => void) | undefined;
  readonly #onAdvance = (): void => {
    this.#advanced = true;
    this.#wake?.();
  };

  constructor(log: LogStore, clock: Clock, signal: AbortSignal) {
    this.#log = log;
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAdvance);
  }

  watch(places: readonly TopicPartition[]): void {
    try {
      this.#unwatch = this.#log.watch(places, this.#onAdvance);
    } catch (error) {
      // One of them was deleted just now; the next read says which.
      if (!(error instanceof MillraceError)) throw error;
      this.#advanced = true;
    }
  }

  async wait(forMs: number): Promise<void> {
    if (!this.#advanced) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = this.#clock.after(forMs, resolve);
      await promise;
      timer.cancel();
      this.#wake = undefined;
    }
    this.#advanced = false;
  }

  [Symbol.dispose](): void {
    this.#unwatch?.();
    this.#signal.removeEventListener('abort', this.#onAdvance);
  }
}

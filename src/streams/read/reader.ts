import { type Clock, MillraceError } from '../../kernel/index.ts';
import type { Registry } from '../definitions/registry.ts';
import type { LogStore, TopicPartition } from '../port.ts';
import type { Decompress } from '../record-batch/index.ts';
import type { FollowOptions, ReadOptions, ReadRecord, ReadResult } from '../service.ts';
import { decodeFetched } from './decode.ts';
import { resolvePosition } from './position.ts';

const DEFAULT_LIMIT = 1000;
const DEFAULT_MAX_BYTES = 1024 * 1024;

export interface Reader {
  read(partition: TopicPartition, offset: number, options?: ReadOptions): Promise<ReadResult>;
  resolvePosition(partition: TopicPartition, from: string): Promise<number>;
  follow(name: string, options: FollowOptions): AsyncIterable<ReadRecord>;
}

interface ReaderParts {
  readonly log: LogStore;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly decompress: Decompress;
}

export function createReader({ log, registry, clock, decompress }: ReaderParts): Reader {
  const checkPartition = ({ topic, partition }: TopicPartition): void => {
    const { partitions } = registry.open(topic).topic;
    if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return;
    const message = `The stream '${topic}' has the partitions 0 to ${partitions - 1}, not ${partition}.`;
    throw new MillraceError('PARTITION_NOT_FOUND', message);
  };

  const read = async (
    place: TopicPartition,
    offset: number,
    options: ReadOptions = {},
  ): Promise<ReadResult> => {
    checkPartition(place);
    const { limit = DEFAULT_LIMIT, maxBytes = DEFAULT_MAX_BYTES, isolation = 'committed' } = options;
    const { topic, partition } = place;
    // Batches that hold nothing for the reader (markers, aborted transactions) are passed over, not handed out as an end.
    for (let from = offset; ; ) {
      const fetched = await log.fetch({ topic, partition, offset: from, maxBytes, isolation });
      const { records, nextOffset } = await decodeFetched(
        fetched,
        { topic, partition, offset: from, limit },
        decompress,
      );
      const { highWatermark, lastStableOffset, logStartOffset } = fetched;
      if (records.length > 0 || nextOffset === from) {
        return { records, nextOffset, highWatermark, lastStableOffset, logStartOffset };
      }
      from = nextOffset;
    }
  };

  return {
    read,
    resolvePosition: async (partition, from) => {
      checkPartition(partition);
      return resolvePosition(log, clock, partition, from);
    },
    follow: (name, options) => new Follower({ log, registry, read, clock }, name, options),
  };
}

interface FollowerParts extends Omit<ReaderParts, 'decompress'> {
  readonly read: Reader['read'];
}

/** Reads one partition after the other, only when asked: what is held is at most what one read returned. */
class Follower implements AsyncIterable<ReadRecord> {
  readonly #parts: FollowerParts;
  readonly #name: string;
  readonly #options: FollowOptions;

  constructor(parts: FollowerParts, name: string, options: FollowOptions) {
    this.#parts = parts;
    this.#name = name;
    this.#options = options;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ReadRecord, void, undefined> {
    const { signal: ended } = this.#options;
    const { log, registry } = this.#parts;
    const { partitions } = registry.open(this.#name).topic;
    const wanted =
      this.#options.partitions ?? Array.from({ length: partitions }, (_, partition) => partition);
    const positions = new Map<number, number>();
    for (const partition of wanted) positions.set(partition, await this.#begin(partition));
    const bell = createBell(ended);
    const places = wanted.map((partition) => ({ topic: this.#name, partition }));
    const unwatch = log.watch(places, bell.ring);
    try {
      while (!ended.aborted) {
        bell.reset();
        let found = false;
        for (const place of places) {
          for await (const record of this.#batch(place, positions)) {
            found = true;
            yield record;
            if (ended.aborted) return;
          }
        }
        if (!found) await bell.wait();
      }
    } finally {
      unwatch();
      bell.remove();
    }
  }

  async #begin(partition: number): Promise<number> {
    const { registry, log, clock } = this.#parts;
    const { positions, from = 'end' } = this.#options;
    const place = { topic: registry.open(this.#name).topic.name, partition };
    return positions?.get(partition) ?? resolvePosition(log, clock, place, from);
  }

  /** What one read finds, with the position moved before each record is handed out. */
  async *#batch(
    place: TopicPartition,
    positions: Map<number, number>,
  ): AsyncGenerator<ReadRecord, void, undefined> {
    const { log, read } = this.#parts;
    const position = positions.get(place.partition)!;
    const { lastStableOffset, highWatermark, logStartOffset } = log.bounds(place);
    const end = this.#options.isolation === 'uncommitted' ? highWatermark : lastStableOffset;
    if (position >= end && position >= logStartOffset) return;
    const { records, nextOffset } = await read(place, position, this.#options);
    for (const record of records) yield record;
    positions.set(place.partition, nextOffset);
  }
}

interface Bell {
  ring(): void;
  reset(): void;
  /** Resolves when the bell rang since `reset`, or the signal fired. */
  wait(): Promise<void>;
  remove(): void;
}

function createBell(ended: AbortSignal): Bell {
  let { promise, resolve } = Promise.withResolvers<void>();
  const ring = (): void => resolve();
  ended.addEventListener('abort', ring);
  return {
    ring,
    reset() {
      if (!ended.aborted) ({ promise, resolve } = Promise.withResolvers<void>());
    },
    wait: () => promise,
    remove: () => ended.removeEventListener('abort', ring),
  };
}

import { ListOffsets } from '../../streams/kafka-protocol/index.ts';
import type { PartitionBounds, TopicPartition } from '../../streams/port.ts';
import type { Cluster } from './cluster.ts';
import { requireOk } from './failure.ts';
import { ISOLATION } from './reading.ts';

export const LIST_OFFSETS = 7;
/** What stands for a time in ListOffsets (Kafka protocol guide; KIP-734 for the last). */
export const AT = { earliest: -2, latest: -1, maxTime: -3 } as const;

/** Partitions that were asked for this recently are kept fresh. */
const WANTED_FOR_MS = 60_000;

interface Known {
  bounds: PartitionBounds;
  wantedMs: number;
}

export const placeKey = ({ topic, partition }: TopicPartition): string => `${partition}/${topic}`;

/**
 * What is known of the ends of partitions, so that they can be told at once: exact for what this process wrote, as old as
 * the last look for what others wrote. Names are those of the cluster.
 */
export class Bounds {
  readonly #cluster: Cluster;
  readonly #known = new Map<string, Known>();
  readonly #places = new Map<string, TopicPartition>();
  readonly #onAdvance: (place: TopicPartition) => void;

  constructor(cluster: Cluster, onAdvance: (place: TopicPartition) => void) {
    this.#cluster = cluster;
    this.#onAdvance = onAdvance;
  }

  get(place: TopicPartition): PartitionBounds | undefined {
    const known = this.#known.get(placeKey(place));
    if (!known) return undefined;
    known.wantedMs = performance.now();
    return known.bounds;
  }

  has(place: TopicPartition): boolean {
    return this.#known.has(placeKey(place));
  }

  /** Bounds that a broker told. An answer that was overtaken by what is known takes nothing back. */
  note(place: TopicPartition, told: PartitionBounds): void {
    const key = placeKey(place);
    const known = this.#known.get(key);
    const before = known?.bounds;
    const bounds: PartitionBounds = {
      logStartOffset: Math.max(before?.logStartOffset ?? 0, told.logStartOffset),
      lastStableOffset: Math.max(before?.lastStableOffset ?? 0, told.lastStableOffset),
      highWatermark: Math.max(before?.highWatermark ?? 0, told.highWatermark),
    };
    if (known) known.bounds = bounds;
    else {
      this.#known.set(key, { bounds, wantedMs: Number.NEGATIVE_INFINITY });
      this.#places.set(key, place);
    }
    if (before && advanced(before, bounds)) this.#onAdvance(place);
  }

  /** After an append of this process. Where nobody else wrote in between, what is stable is known too. */
  appended(place: TopicPartition, baseOffset: number, lastOffset: number, transactional: boolean): void {
    const before = this.#known.get(placeKey(place))?.bounds;
    if (!before) return;
    const alone = baseOffset <= before.highWatermark && before.lastStableOffset === before.highWatermark;
    const highWatermark = lastOffset + 1;
    const lastStableOffset = alone && !transactional ? highWatermark : before.lastStableOffset;
    this.note(place, { logStartOffset: before.logStartOffset, lastStableOffset, highWatermark });
    if (!alone && !transactional) void this.refresh([place]).catch(() => undefined);
  }

  forgetTopic(topic: string): void {
    for (const [key, place] of this.#places) {
      if (place.topic !== topic) continue;
      this.#places.delete(key);
      this.#known.delete(key);
    }
  }

  /** Those that somebody has asked for lately. */
  wanted(): TopicPartition[] {
    const sinceMs = performance.now() - WANTED_FOR_MS;
    return [...this.#known].flatMap(([key, { wantedMs }]) =>
      wantedMs > sinceMs ? [this.#places.get(key)!] : [],
    );
  }

  /** Asks the leaders. Partitions without one keep what is known. */
  async refresh(places: readonly TopicPartition[]): Promise<void> {
    const [earliest, stable, latest] = await Promise.all([
      this.list(places, AT.earliest, 'uncommitted'),
      this.list(places, AT.latest, 'committed'),
      this.list(places, AT.latest, 'uncommitted'),
    ]);
    places.forEach((place, index) => {
      const [first, last, high] = [earliest[index], stable[index], latest[index]];
      if (!first || !last || !high) return;
      // Asked one after the other: what is stable may have moved past the end that was told before.
      const highWatermark = Math.max(high.offset, last.offset);
      this.note(place, { logStartOffset: first.offset, lastStableOffset: last.offset, highWatermark });
    });
  }

  /** Asks the leaders only what is stable: the rest is known, or follows from it. */
  async refreshStable(places: readonly TopicPartition[]): Promise<void> {
    const found = await this.list(places, AT.latest, 'committed');
    places.forEach((place, index) => {
      const stable = found[index]?.offset;
      if (stable !== undefined)
        this.note(place, { logStartOffset: 0, lastStableOffset: stable, highWatermark: stable });
    });
  }

  /** One offset a partition by its time; undefined for those without a leader. Offset -1: there is none. */
  async list(
    places: readonly TopicPartition[],
    timestamp: number,
    isolation: 'committed' | 'uncommitted',
  ): Promise<({ offset: number; timeMs: number } | undefined)[]> {
    const found = new Map<string, { offset: number; timeMs: number }>();
    const led = places.filter(
      ({ topic, partition }) => (this.#cluster.topics.get(topic)?.leaders[partition] ?? -1) >= 0,
    );
    const byLeader = Map.groupBy(led, (place) => this.#cluster.leaderOf(place));
    await Promise.all(
      [...byLeader].map(async ([leader, of]) => {
        const answer = await this.#cluster.call(leader, 'control', ListOffsets, LIST_OFFSETS, {
          replicaId: -1,
          isolationLevel: ISOLATION[isolation],
          topics: [...Map.groupBy(of, ({ topic }) => topic)].map(([name, partitions]) => ({
            name,
            partitions: partitions.map(({ partition }) => ({
              partitionIndex: partition,
              currentLeaderEpoch: -1,
              timestamp,
            })),
          })),
          timeoutMs: 0,
        });
        for (const { name, partitions } of answer.topics) {
          for (const one of partitions) {
            if (places.length === 1) requireOk(one.errorCode, `tell an offset of '${name}'`);
            if (one.errorCode !== 0) continue;
            const place = { topic: name, partition: one.partitionIndex };
            found.set(placeKey(place), { offset: one.offset, timeMs: one.timestamp });
          }
        }
      }),
    );
    return places.map((place) => found.get(placeKey(place)));
  }
}

function advanced(before: PartitionBounds, after: PartitionBounds): boolean {
  return after.highWatermark > before.highWatermark || after.lastStableOffset > before.lastStableOffset;
}

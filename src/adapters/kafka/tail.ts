import { setTimeout as delay } from 'node:timers/promises';
import { Fetch } from '../../streams/kafka-protocol/index.ts';
import type { FetchResult, TopicPartition } from '../../streams/port.ts';
import { type Bounds, placeKey } from './bounds.ts';
import type { Cluster } from './cluster.ts';
import { FETCH, fetchRequest, resultOf } from './reading.ts';

/** How long a broker holds a request for which there is nothing; a partition that is new to the watch waits as long. */
const WAIT_MS = 250;
/** What arrived is kept for the reader that is told of it. */
const PREFETCH_BYTES = 256 * 1024;
const MOST_BYTES = 8 * 1024 * 1024;
const AFTER_FAILURE_MS = 200;

interface Watched {
  readonly place: TopicPartition;
  watchers: number;
  /** Where the next look begins. */
  offset: number;
  fetched: { readonly offset: number; readonly result: FetchResult } | undefined;
}

/**
 * Follows the ends of partitions that somebody watches: one request at a time to each leader, which answers when a record
 * comes. Names are those of the cluster.
 */
export class Tail {
  readonly #cluster: Cluster;
  readonly #bounds: Bounds;
  readonly #watched = new Map<string, Watched>();
  readonly #loops = new Map<number, Promise<void>>();

  constructor(cluster: Cluster, bounds: Bounds) {
    this.#cluster = cluster;
    this.#bounds = bounds;
  }

  watch(place: TopicPartition): () => void {
    const key = placeKey(place);
    const offset = this.#bounds.get(place)?.lastStableOffset ?? 0;
    const watched = this.#watched.get(key) ?? { place, watchers: 0, offset, fetched: undefined };
    watched.watchers++;
    this.#watched.set(key, watched);
    this.follow();
    let stopped = false;
    return () => {
      if (stopped) return;
      stopped = true;
      watched.watchers--;
      if (watched.watchers === 0) this.#watched.delete(key);
    };
  }

  isWatched(place: TopicPartition): boolean {
    return this.#watched.has(placeKey(place));
  }

  /** What was fetched from there ahead of time, once. */
  take(place: TopicPartition, offset: number, maxBytes: number): FetchResult | undefined {
    const watched = this.#watched.get(placeKey(place));
    const found = watched?.fetched;
    if (!found || found.offset !== offset || found.result.batches.length > maxBytes) return undefined;
    watched.fetched = undefined;
    return found.result;
  }

  /** Sees to it that every leader of a watched partition is asked. */
  follow(): void {
    for (const { place } of this.#watched.values()) {
      const leader = this.#leaderOf(place);
      if (leader < 0 || this.#loops.has(leader)) continue;
      const loop = this.#run(leader).finally(() => this.#loops.delete(leader));
      this.#loops.set(leader, loop);
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#loops.values());
  }

  #leaderOf({ topic, partition }: TopicPartition): number {
    return this.#cluster.topics.get(topic)?.leaders[partition] ?? -1;
  }

  /** Until nothing that this broker leads is watched. Never rejects. */
  async #run(leader: number): Promise<void> {
    while (!this.#cluster.closed) {
      const led = [...this.#watched.values()].filter(({ place }) => this.#leaderOf(place) === leader);
      if (led.length === 0) return;
      try {
        if (await this.#look(leader, led)) continue;
      } catch {
        // Told of by whoever reads; here only the next try counts.
      }
      await delay(AFTER_FAILURE_MS, undefined, { ref: false });
      await this.#cluster.refresh().catch(() => undefined);
    }
  }

  /** Whether all partitions could be read. */
  async #look(leader: number, led: readonly Watched[]): Promise<boolean> {
    for (const one of led) {
      one.offset = Math.max(one.offset, this.#bounds.get(one.place)?.lastStableOffset ?? 0);
    }
    const asked = new Map(led.map((one) => [placeKey(one.place), { watched: one, offset: one.offset }]));
    const places = led.map(({ place, offset }) => ({
      ...place,
      fetchOffset: offset,
      maxBytes: PREFETCH_BYTES,
    }));
    const request = fetchRequest('committed', WAIT_MS, MOST_BYTES, places);
    const answer = await this.#cluster.call(leader, 'tail', Fetch, FETCH, request);
    let whole = answer.errorCode === 0;
    for (const { topic, partitions } of answer.responses) {
      for (const found of partitions) {
        const place = { topic, partition: found.partitionIndex };
        const { watched, offset } = asked.get(placeKey(place))!;
        if (found.errorCode !== 0) {
          watched.offset = 0;
          whole = false;
          continue;
        }
        const result = resultOf(place, found);
        watched.fetched = result.batches.length > 0 ? { offset, result } : undefined;
        watched.offset = Math.max(watched.offset, result.lastStableOffset);
        this.#bounds.note(place, result);
      }
    }
    return whole;
  }
}

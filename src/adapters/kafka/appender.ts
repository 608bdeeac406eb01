import type { AppendInput, AppendResult, ProducerIdentity, TopicPartition } from '../../streams/port.ts';
import {
  type BatchHeader,
  isMergeable,
  mergeBatches,
  setProducer,
} from '../../streams/record-batch/index.ts';
import { type Bounds, placeKey } from './bounds.ts';
import type { Cluster } from './cluster.ts';
import { CODES, ConnectionLost, failedWith, isPassing } from './failure.ts';
import { MergeRooms } from './merge-rooms.ts';
import { type BatchFor, newProducerId, type ProducedAt, produce } from './producing.ts';

/** Batches of different callers are sent as one up to this size. */
const MERGED_BYTES = 1024 * 1024;
/** Batches of several partitions are sent together up to this size. */
const REQUEST_BYTES = 256 * 1024;
const MOST_SEQUENCE = 2_147_483_647;
const NOBODY = { producerId: -1, epoch: -1, sequence: -1 } as const;

interface Pending {
  readonly input: AppendInput;
  readonly header: BatchHeader;
  readonly transactionalId: string | null;
  readonly mostBytes: number;
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  readonly place: TopicPartition;
  readonly waiting: Pending[];
  producer: ProducerIdentity | undefined;
  sequence: number;
}

/** What a lane sends next. */
interface Taken {
  readonly lane: Lane;
  readonly group: readonly Pending[];
}

/**
 * Appends outside commits. A partition has one request under way; what comes meanwhile waits and goes with the next, merged
 * into one batch where it can be, because a request may hold one batch for a partition. Batches without a producer get this
 * process's own, so that one that is sent again after a lost answer is appended once.
 */
export class Appender {
  readonly #cluster: Cluster;
  readonly #bounds: Bounds;
  readonly #lanes = new Map<string, Lane>();
  readonly #ready = new Set<Lane>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #rooms = new MergeRooms();
  #producer: Promise<ProducerIdentity> | undefined;
  #scheduled = false;

  constructor(cluster: Cluster, bounds: Bounds) {
    this.#cluster = cluster;
    this.#bounds = bounds;
  }

  /** `place`: as the cluster names it. `header` has been checked; the topic takes batches of `mostBytes`. */
  append(
    place: TopicPartition,
    input: AppendInput,
    header: BatchHeader,
    options: { readonly transactionalId: string | null; readonly mostBytes: number },
  ): Promise<AppendResult> {
    const { promise, resolve, reject } = Promise.withResolvers<AppendResult>();
    const key = placeKey(place);
    let lane = this.#lanes.get(key);
    if (!lane) {
      this.#lanes.set(key, (lane = { place, waiting: [], producer: undefined, sequence: 0 }));
      this.#ready.add(lane);
    }
    lane.waiting.push({ input, header, ...options, resolve, reject });
    this.#schedule();
    return promise;
  }

  forgetTopic(topic: string): void {
    for (const [key, lane] of this.#lanes) {
      if (lane.place.topic === topic && lane.waiting.length === 0) this.#lanes.delete(key);
    }
  }

  /** What was taken is sent. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0 || this.#scheduled) {
      await Promise.all(this.#underWay);
      await new Promise(setImmediate);
    }
  }

  /** All appends of one turn of the event loop share requests. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    const taken: Taken[] = [];
    for (const lane of this.#ready) {
      const group = nextGroup(lane.waiting);
      if (group.length === 0) continue;
      this.#ready.delete(lane);
      taken.push({ lane, group });
    }
    for (const of of requestsOf(taken)) {
      const work = this.#sendGroups(of).finally(() => this.#underWay.delete(work));
      this.#underWay.add(work);
    }
  }

  #release(lane: Lane): void {
    this.#ready.add(lane);
    if (lane.waiting.length > 0) this.#schedule();
  }

  /** Never rejects: everybody who waits is told, and every lane goes on, as soon as its own result is known. */
  async #sendGroups(groups: readonly Taken[]): Promise<void> {
    let batches: BatchFor[];
    try {
      batches = await Promise.all(
        groups.map(async ({ lane, group }) => ({ ...lane.place, batch: await this.#batchOf(lane, group) })),
      );
    } catch (error) {
      for (const { lane, group } of groups) {
        for (const { reject } of group) reject(error);
        this.#release(lane);
      }
      return;
    }
    const ends = groups.map(({ lane }) => this.#bounds.get(lane.place)?.highWatermark ?? 0);
    const { transactionalId } = groups[0]!.group[0]!;
    await produce(this.#cluster, batches, transactionalId, (index, result) => {
      const { lane, group } = groups[index]!;
      this.#settle(lane, group, result, ends[index]!);
      if (result.status === 'fulfilled') this.#rooms.give(batches[index]!.batch);
      this.#release(lane);
    });
  }

  async #batchOf(lane: Lane, group: readonly Pending[]): Promise<Uint8Array> {
    const [first] = group;
    if (first!.header.producerId >= 0) return first!.input.batch;
    lane.producer ??= await this.#ownProducer();
    const batches = group.map(({ input }) => input.batch);
    const bytes = batches.reduce((sum, { length }) => sum + length, 0);
    const batch = mergeBatches(batches, group.length > 1 ? this.#rooms.take(bytes) : undefined);
    setProducer(batch, { ...lane.producer, sequence: lane.sequence }, false);
    return batch;
  }

  #settle(
    lane: Lane,
    group: readonly Pending[],
    result: PromiseSettledResult<ProducedAt>,
    endBefore: number,
  ): void {
    const own = group[0]!.header.producerId < 0;
    const records = group.reduce((sum, { header }) => sum + header.lastOffsetDelta + 1, 0);
    if (result.status === 'rejected') {
      // Whether it was appended is not known: what comes next must not be taken for it, nor leave a gap behind it.
      if (own) {
        this.#startOver(lane, result.reason);
        // It may be given again, and must not be taken for another producer's then.
        if (group.length === 1) setProducer(group[0]!.input.batch, NOBODY);
      }
      for (const { reject } of group) reject(result.reason);
      return;
    }
    if (own) lane.sequence = (lane.sequence + records) % (MOST_SEQUENCE + 1);
    const { baseOffset, appendTimeMs, logStartOffset } = result.value;
    const { transactional } = group[0]!.header;
    const duplicate = baseOffset < endBefore;
    if (!duplicate) this.#bounds.appended(lane.place, baseOffset, baseOffset + records - 1, transactional);
    let offset = baseOffset;
    for (const { input, header, resolve } of group) {
      const { topic, partition } = input;
      const lastOffset = offset + header.lastOffsetDelta;
      resolve({ topic, partition, baseOffset: offset, lastOffset, appendTimeMs, logStartOffset, duplicate });
      offset = lastOffset + 1;
    }
  }

  #startOver(lane: Lane, reason: unknown): void {
    lane.producer = undefined;
    lane.sequence = 0;
    const uncertain = reason instanceof ConnectionLost || isPassing(reason);
    const lost = failedWith(reason, CODES.OUT_OF_ORDER_SEQUENCE_NUMBER, CODES.UNKNOWN_PRODUCER_ID);
    if (uncertain || lost || failedWith(reason, CODES.INVALID_PRODUCER_EPOCH)) this.#producer = undefined;
  }

  #ownProducer(): Promise<ProducerIdentity> {
    this.#producer ??= newProducerId(this.#cluster).catch((error) => {
      this.#producer = undefined;
      throw error;
    });
    return this.#producer;
  }
}

/** The next that can go in one batch: one of a producer alone, or plain ones up to a size. */
function nextGroup(waiting: Pending[]): readonly Pending[] {
  const [first] = waiting;
  if (!first) return [];
  let count = 1;
  let bytes = first.input.batch.length;
  if (isMergeable(first.header)) {
    for (; count < waiting.length; count++) {
      const next = waiting[count]!;
      bytes += next.input.batch.length;
      if (bytes > Math.min(MERGED_BYTES, next.mostBytes) || !isMergeable(next.header)) break;
    }
  }
  return waiting.splice(0, count);
}

/** Small batches share a request; large ones go on their own, so that the next is made while the broker takes one in. */
function requestsOf(taken: readonly Taken[]): Taken[][] {
  const requests: Taken[][] = [];
  for (const of of Map.groupBy(taken, ({ group }) => group[0]!.transactionalId).values()) {
    let bytes = Number.POSITIVE_INFINITY;
    for (const one of of) {
      const more = one.group.reduce((sum, { input }) => sum + input.batch.length, 0);
      if (bytes + more > REQUEST_BYTES) {
        requests.push([]);
        bytes = 0;
      }
      requests.at(-1)!.push(one);
      bytes += more;
    }
  }
  return requests;
}

import type {
  AppendResult,
  Commit,
  OffsetCommit,
  ProducerIdentity,
  TopicPartition,
} from '../../streams/port.ts';
import {
  type BatchHeader,
  encodeBatch,
  isMergeable,
  mergeBatches,
  readBatchHeader,
  setProducer,
} from '../../streams/record-batch/index.ts';
import { placeKey } from './bounds.ts';
import type { Cluster } from './cluster.ts';
import { type CommittedOffset, MOST_METADATA, writeMetadata, writeRuns } from './positions.ts';
import { type ProducedAt, produce } from './producing.ts';
import type { GroupIdentity, TransactionCalls } from './transactions.ts';

const MERGED_BYTES = 1024 * 1024;
const MOST_SEQUENCE = 2_147_483_648;

/** A commit that has passed its checks. Places are those of the cluster. */
export interface CheckedCommit {
  readonly commit: Commit;
  readonly appends: readonly CheckedAppend[];
}

export interface CheckedAppend {
  readonly place: TopicPartition;
  readonly batch: Uint8Array;
  readonly header: BatchHeader;
  readonly mostBytes: number;
}

/** A batch of a changelog. */
export interface ChangelogBatch {
  readonly place: TopicPartition;
  readonly batch: Uint8Array;
}

/** What one transaction does. */
export interface Plan {
  readonly who: GroupIdentity;
  readonly appends: readonly CheckedAppend[];
  readonly changelogs: readonly ChangelogBatch[];
  /** At least one, so that the coordinator checks the generation. Names are those of the cluster. */
  readonly offsets: readonly OffsetCommit[];
}

interface Parcel {
  readonly place: TopicPartition;
  readonly batch: Uint8Array;
  readonly records: number;
  /** Which appends of the plan it holds; none for the log's own. */
  readonly appends: readonly number[];
}

/**
 * The transactional producer of one assignment: everything of a plan is one transaction, with the group's offsets in it, so
 * that the coordinators of the group and of the transaction both have to agree.
 */
export class CommitTransaction {
  readonly #cluster: Cluster;
  readonly #calls: TransactionCalls;
  readonly #transactionalId: string;
  readonly #spill: { readonly topic: string; readonly now: () => number };
  #producer: ProducerIdentity | undefined;
  readonly #sequences = new Map<string, number>();

  constructor(
    cluster: Cluster,
    calls: TransactionCalls,
    transactionalId: string,
    spill: { readonly topic: string; readonly now: () => number },
  ) {
    this.#cluster = cluster;
    this.#calls = calls;
    this.#transactionalId = transactionalId;
    this.#spill = spill;
  }

  /** A new epoch: what was open under this id is aborted, whoever holds it gets fenced. */
  async begin(): Promise<void> {
    this.#producer = await this.#calls.init(this.#transactionalId, TRANSACTION_TIMEOUT_MS);
    this.#sequences.clear();
  }

  /** The results of the plan's appends. Throws KafkaFailure; then nothing of it took effect, unless `ending` is set. */
  async run(plan: Plan, progress: { ending: boolean }): Promise<AppendResult[]> {
    if (!this.#producer) await this.begin();
    const producer = this.#producer!;
    const rounds = roundsOf(plan, this.#spillBatch(plan));
    const places = new Map(rounds.flat().map(({ place }) => [placeKey(place), place]));
    try {
      const results = new Array<AppendResult>(plan.appends.length);
      const spilled = rounds.some((round) => round.some(({ place }) => place.topic === this.#spill.topic));
      await Promise.all([
        places.size > 0 && this.#calls.addPartitions(this.#transactionalId, producer, [...places.values()]),
        this.#calls.addOffsets(this.#transactionalId, producer, plan.who.group),
      ]);
      const produced = this.#produce(rounds, plan, results);
      const committed = spilled
        ? produced.then((spilledAt) => this.#commitOffsets(plan, spilledAt))
        : this.#commitOffsets(plan, undefined);
      // Both come to their end: nothing of a transaction is under way any more when it is ended.
      const ends = await Promise.allSettled([produced, committed]);
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
      progress.ending = true;
      await this.#calls.end(this.#transactionalId, producer, 'commit');
      return results;
    } catch (error) {
      // The next transaction begins with a new epoch, which aborts this one unless it was committed.
      this.#producer = undefined;
      if (!progress.ending) await this.#abort(producer);
      throw error;
    }
  }

  /** Resolves when the last one's markers are written, or it takes longer than that. */
  async settled(withinMs: number): Promise<void> {
    if (this.#producer) await this.#calls.settled(this.#transactionalId, this.#producer, withinMs);
  }

  async #abort(producer: ProducerIdentity): Promise<void> {
    await this.#calls.end(this.#transactionalId, producer, 'abort').catch(() => undefined);
  }

  /** Resolves to where the positions topic's batch landed. */
  async #produce(
    rounds: readonly (readonly Parcel[])[],
    plan: Plan,
    results: AppendResult[],
  ): Promise<number | undefined> {
    let spilledAt: number | undefined;
    for (const round of rounds) {
      const batches = round.map((parcel) => ({ ...parcel.place, batch: this.#stamp(parcel) }));
      const settled = await produce(this.#cluster, batches, this.#transactionalId);
      round.forEach((parcel, index) => {
        const one = settled[index]!;
        if (one.status === 'rejected') throw one.reason;
        if (parcel.place.topic === this.#spill.topic) spilledAt = one.value.baseOffset;
        fillIn(results, plan, parcel, one.value);
      });
    }
    return spilledAt;
  }

  #stamp({ place, batch, records }: Parcel): Uint8Array {
    const key = placeKey(place);
    const sequence = this.#sequences.get(key) ?? 0;
    this.#sequences.set(key, (sequence + records) % MOST_SEQUENCE);
    setProducer(batch, { ...this.#producer!, sequence }, true);
    return batch;
  }

  /** Done offsets that do not fit, in one batch; its records are in the order of `plan.offsets`. */
  #spillBatch(plan: Plan): Parcel | undefined {
    const large = plan.offsets.filter((one) => writeMetadata(one).length > MOST_METADATA);
    if (large.length === 0) return undefined;
    const records = large.map((one) => ({
      key: Buffer.from(JSON.stringify([plan.who.group, one.topic, one.partition])),
      value: Buffer.from(writeRuns(one.offset, one.done)),
    }));
    const batch = encodeBatch(records, { timeMs: this.#spill.now() });
    return { place: { topic: this.#spill.topic, partition: 0 }, batch, records: large.length, appends: [] };
  }

  async #commitOffsets(plan: Plan, spilledAt: number | undefined): Promise<void> {
    let spilled = 0;
    const committed = plan.offsets.map((one): CommittedOffset => {
      const { topic, partition, offset, leaderEpoch = -1 } = one;
      const inline = writeMetadata(one);
      if (inline.length <= MOST_METADATA) return { topic, partition, offset, leaderEpoch, metadata: inline };
      const metadata = writeMetadata(one, { partition: 0, offset: spilledAt! + spilled++ });
      return { topic, partition, offset, leaderEpoch, metadata };
    });
    await this.#calls.commitOffsets(this.#transactionalId, this.#producer!, plan.who, committed);
  }
}

/** Longer than any commit takes; a node that is gone is fenced by who takes over, long before. */
const TRANSACTION_TIMEOUT_MS = 60_000;

function fillIn(results: AppendResult[], plan: Plan, { appends }: Parcel, at: ProducedAt): void {
  let offset = at.baseOffset;
  for (const index of appends) {
    const { place, header } = plan.appends[index]!;
    const lastOffset = offset + header.lastOffsetDelta;
    const { appendTimeMs, logStartOffset } = at;
    results[index] = {
      ...place,
      baseOffset: offset,
      lastOffset,
      appendTimeMs,
      logStartOffset,
      duplicate: false,
    };
    offset = lastOffset + 1;
  }
}

/** A request holds one batch for a partition: what cannot be merged goes in rounds, the order of each partition kept. */
function roundsOf(plan: Plan, spill: Parcel | undefined): Parcel[][] {
  const parcels = new Map<string, Parcel[]>();
  const add = (parcel: Parcel): void => {
    const key = placeKey(parcel.place);
    const found = parcels.get(key);
    if (found) found.push(parcel);
    else parcels.set(key, [parcel]);
  };
  const byPlace = new Map<string, number[]>();
  plan.appends.forEach(({ place }, index) => {
    const key = placeKey(place);
    byPlace.set(key, [...(byPlace.get(key) ?? []), index]);
  });
  for (const indexes of byPlace.values()) for (const parcel of parcelsOf(plan.appends, indexes)) add(parcel);
  for (const { place, batch } of plan.changelogs) {
    add({ place, batch, records: readBatchHeader(batch).recordCount, appends: [] });
  }
  if (spill) add(spill);
  const most = Math.max(0, ...[...parcels.values()].map((one) => one.length));
  return Array.from({ length: most }, (_, round) => [...parcels.values()].flatMap((one) => one[round] ?? []));
}

function parcelsOf(appends: readonly CheckedAppend[], indexes: readonly number[]): Parcel[] {
  const parcels: Parcel[] = [];
  let open: number[] = [];
  let bytes = 0;
  const close = (): void => {
    if (open.length === 0) return;
    const { place } = appends[open[0]!]!;
    const records = open.reduce((sum, index) => sum + appends[index]!.header.lastOffsetDelta + 1, 0);
    const batches = open.map((index) => appends[index]!.batch);
    // Stamped in place, and once more when the transaction is tried again.
    const batch = batches.length === 1 ? batches[0]!.slice() : mergeBatches(batches);
    parcels.push({ place, batch, records, appends: open });
    open = [];
    bytes = 0;
  };
  for (const index of indexes) {
    const { header, batch, mostBytes } = appends[index]!;
    const fits = bytes + batch.length <= Math.min(MERGED_BYTES, mostBytes);
    if (!fits || !isMergeable(header)) close();
    open.push(index);
    bytes += batch.length;
    if (!isMergeable(header)) close();
  }
  close();
  return parcels;
}

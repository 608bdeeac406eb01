import { MillraceError } from '../../kernel/index.ts';
import type { ProducerAdmin, ProducerIdentity, TopicPartition, TransactionInfo } from '../../streams/port.ts';
import type { BatchHeader } from '../../streams/record-batch/index.ts';
import { placeKey } from './bounds.ts';
import type { Cluster } from './cluster.ts';
import { saidInPort } from './failure.ts';
import type { Names } from './names.ts';
import { newProducerId } from './producing.ts';
import type { TransactionCalls } from './transactions.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
const SETTLED_WITHIN_MS = 5_000;

interface ProducersParts {
  readonly cluster: Cluster;
  readonly names: Names;
  readonly calls: TransactionCalls;
  readonly now: () => number;
  requirePartitions(places: readonly TopicPartition[]): Promise<void>;
  /** Waits until what ended can be seen; `groups` undefined: any may have had positions in it. */
  ended(
    last: readonly (TopicPartition & { readonly offset: number })[],
    groups: readonly string[] | undefined,
  ): Promise<void>;
}

/** A producer that this process appends for. */
interface Producing {
  epoch: number;
  readonly partitions: Map<string, Active>;
}

interface Active extends TopicPartition {
  lastSequence: number;
  lastTimeMs: number;
  lastOffset: number;
  transactionStartOffset: number | undefined;
}

interface Transactional {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly timeoutMs: number;
  epoch: number;
  state: TransactionInfo['state'];
  startedMs: number | undefined;
  readonly partitions: Map<string, TopicPartition>;
  /** Positions in the open transaction, by group. */
  readonly offsets: Map<string, TopicPartition[]>;
}

/**
 * Producers beside the platform's own. The cluster knows them all; what is told of them at once is what this process began
 * and appended.
 */
export class Producers {
  readonly #parts: ProducersParts;
  readonly #producing = new Map<number, Producing>();
  readonly #transactions = new Map<string, Transactional>();

  constructor(parts: ProducersParts) {
    this.#parts = parts;
  }

  /** As the cluster names it. Throws PRODUCER_UNKNOWN. */
  async clusterIdOf({ producerId }: ProducerIdentity): Promise<string> {
    const known = this.#byProducer(producerId);
    if (known) return this.#inCluster(known.transactionalId);
    const found = await this.#parts.calls.idOf(producerId);
    if (found !== undefined) return found;
    const message = 'The producer has not begun with a transactional id. Ask for a producer id again.';
    throw new MillraceError('PRODUCER_UNKNOWN', message);
  }

  addedOffsets({ producerId }: ProducerIdentity, group: string, partitions: readonly TopicPartition[]): void {
    const found = this.#byProducer(producerId);
    if (!found) return;
    this.#begin(found);
    const places = partitions.map(({ topic, partition }) => ({ topic, partition }));
    found.offsets.set(group, [...(found.offsets.get(group) ?? []), ...places]);
  }

  pending(group: string): readonly TopicPartition[] {
    return [...this.#transactions.values()].flatMap(({ offsets }) => offsets.get(group) ?? []);
  }

  appended(place: TopicPartition, header: BatchHeader, baseOffset: number): void {
    const { producerId, producerEpoch, baseSequence, lastOffsetDelta, transactional } = header;
    let known = this.#producing.get(producerId);
    if (!known) this.#producing.set(producerId, (known = { epoch: producerEpoch, partitions: new Map() }));
    known.epoch = producerEpoch;
    const before = known.partitions.get(placeKey(place));
    known.partitions.set(placeKey(place), {
      ...{ topic: place.topic, partition: place.partition },
      lastSequence: baseSequence + lastOffsetDelta,
      lastTimeMs: this.#parts.now(),
      lastOffset: baseOffset + lastOffsetDelta,
      transactionStartOffset: transactional ? (before?.transactionStartOffset ?? baseOffset) : undefined,
    });
  }

  readonly admin: ProducerAdmin = {
    init: (request) => saidInPort(() => this.#init(request)),
    addPartitions: (transactionalId, producer, partitions) =>
      saidInPort(async () => {
        await this.#parts.requirePartitions(partitions);
        const { names, calls } = this.#parts;
        const places = partitions.map(({ topic, partition }) => ({
          topic: names.inCluster(topic),
          partition,
        }));
        await calls.addPartitions(this.#inCluster(transactionalId), producer, places);
        const known = this.#transactions.get(transactionalId);
        if (!known) return;
        this.#begin(known);
        for (const one of partitions) known.partitions.set(placeKey(one), one);
      }),
    end: (transactionalId, producer, outcome, { raiseEpoch = false } = {}) =>
      saidInPort(async () => {
        const id = this.#inCluster(transactionalId);
        const next = await this.#parts.calls.end(id, producer, outcome, raiseEpoch);
        await this.#parts.calls.settled(id, producer, SETTLED_WITHIN_MS);
        await this.#ended(transactionalId, producer, outcome);
        const known = this.#transactions.get(transactionalId);
        if (known) known.epoch = next.epoch;
        return next;
      }),
    transactions: () => [...this.#transactions.values()].map(infoOf),
    transaction: (transactionalId) => {
      const found = this.#transactions.get(transactionalId);
      return found && infoOf(found);
    },
    transactionalIdOf: (producerId) => this.#byProducer(producerId)?.transactionalId,
    active: (partition) =>
      [...this.#producing].flatMap(([producerId, { epoch, partitions }]) => {
        const found = partitions.get(placeKey(partition));
        if (!found) return [];
        const { lastSequence, lastTimeMs, transactionStartOffset } = found;
        const open = transactionStartOffset === undefined ? {} : { transactionStartOffset };
        return [{ producerId, epoch, lastSequence, lastTimeMs, ...open }];
      }),
  };

  async #init(request: Parameters<ProducerAdmin['init']>[0]): Promise<ProducerIdentity> {
    const { transactionalId, transactionTimeoutMs: timeoutMs = DEFAULT_TIMEOUT_MS, current } = request;
    if (transactionalId === undefined) return newProducerId(this.#parts.cluster);
    if (!(Number.isInteger(timeoutMs) && timeoutMs > 0)) {
      const message = 'A transaction needs a timeout of at least a millisecond. Give a positive number.';
      throw new MillraceError('BAD_REQUEST', message);
    }
    const producer = await this.#parts.calls.init(this.#inCluster(transactionalId), timeoutMs, current);
    // What an earlier holder left open is aborted.
    await this.#ended(transactionalId, producer, 'abort');
    this.#transactions.set(transactionalId, {
      ...{ transactionalId, ...producer, timeoutMs, state: 'empty', startedMs: undefined },
      ...{ partitions: new Map(), offsets: new Map() },
    });
    return producer;
  }

  async #ended(
    transactionalId: string,
    { producerId }: ProducerIdentity,
    outcome: 'commit' | 'abort',
  ): Promise<void> {
    const producing = this.#producing.get(producerId)?.partitions.values() ?? [];
    const open = [...producing].filter((one) => one.transactionStartOffset !== undefined);
    for (const one of open) one.transactionStartOffset = undefined;
    const known = this.#transactions.get(transactionalId);
    const groups = known && [...known.offsets.keys()];
    if (known) {
      known.state = outcome === 'commit' ? 'completeCommit' : 'completeAbort';
      known.startedMs = undefined;
      known.partitions.clear();
      known.offsets.clear();
    }
    const last = open.map(({ topic, partition, lastOffset: offset }) => ({ topic, partition, offset }));
    await this.#parts.ended(last, groups);
  }

  #begin(known: Transactional): void {
    known.state = 'ongoing';
    known.startedMs ??= this.#parts.now();
  }

  #byProducer(producerId: number): Transactional | undefined {
    return [...this.#transactions.values()].find((one) => one.producerId === producerId);
  }

  #inCluster(transactionalId: string): string {
    return this.#parts.cluster.options.prefix + transactionalId;
  }
}

function infoOf({ partitions, offsets, startedMs, ...known }: Transactional): TransactionInfo {
  return {
    ...known,
    ...(startedMs === undefined ? {} : { startedMs }),
    partitions: [...partitions.values()],
    groups: [...offsets.keys()],
  };
}

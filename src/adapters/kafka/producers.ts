import { MillraceError } from '../../kernel/index.ts';
import type { ProducerAdmin, ProducerIdentity, TopicPartition } from '../../streams/port.ts';
import type { BatchHeader } from '../../streams/record-batch/index.ts';
import { placeKey } from './bounds.ts';
import type { Cluster } from './cluster.ts';
import { saidInPort } from './failure.ts';
import { unknownProducer } from './groups.ts';
import type { Names } from './names.ts';
import { newProducerId } from './producing.ts';
import type { TransactionCalls } from './transactions.ts';

const DEFAULT_TIMEOUT_MS = 60_000;

interface ProducersParts {
  readonly cluster: Cluster;
  readonly names: Names;
  readonly calls: TransactionCalls;
  readonly now: () => number;
  requirePartitions(places: readonly TopicPartition[]): Promise<void>;
  /** Waits until what ended can be seen. */
  ended(
    last: readonly (TopicPartition & { readonly offset: number })[],
    groups: readonly string[],
  ): Promise<void>;
}

/** A producer that this process appends for. */
interface Known {
  epoch: number;
  readonly partitions: Map<string, Active>;
}

interface Active extends TopicPartition {
  lastSequence: number;
  lastTimeMs: number;
  lastOffset: number;
  transactionStartOffset: number | undefined;
}

/** Producers of others than the platform itself; who produces is told of those that append through this process. */
export class Producers {
  readonly #parts: ProducersParts;
  readonly #known = new Map<number, Known>();
  readonly #transactionalIds = new Map<number, string>();
  /** Groups whose offsets are in the open transaction of a producer. */
  readonly #groups = new Map<number, Set<string>>();

  constructor(parts: ProducersParts) {
    this.#parts = parts;
  }

  /** Throws PRODUCER_UNKNOWN. */
  transactionalIdOf({ producerId }: ProducerIdentity): string {
    const id = this.#transactionalIds.get(producerId);
    if (id === undefined) throw unknownProducer();
    return id;
  }

  addGroup({ producerId }: ProducerIdentity, group: string): void {
    const groups = this.#groups.get(producerId);
    if (groups) groups.add(group);
    else this.#groups.set(producerId, new Set([group]));
  }

  appended(place: TopicPartition, header: BatchHeader, baseOffset: number): void {
    const { producerId, producerEpoch, baseSequence, lastOffsetDelta, transactional } = header;
    let known = this.#known.get(producerId);
    if (!known) this.#known.set(producerId, (known = { epoch: producerEpoch, partitions: new Map() }));
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
    init: ({ transactionalId, transactionTimeoutMs = DEFAULT_TIMEOUT_MS, current }) =>
      saidInPort(async () => {
        if (transactionalId === undefined) return newProducerId(this.#parts.cluster);
        if (!(Number.isInteger(transactionTimeoutMs) && transactionTimeoutMs > 0)) throw badTimeout();
        const id = this.#inCluster(transactionalId);
        const producer = await this.#parts.calls.init(id, transactionTimeoutMs, current);
        this.#transactionalIds.set(producer.producerId, id);
        // What an earlier holder left open is aborted.
        await this.#forgetOpen(producer.producerId);
        return producer;
      }),
    addPartitions: (transactionalId, producer, partitions) =>
      saidInPort(async () => {
        await this.#parts.requirePartitions(partitions);
        const places = partitions.map(({ topic, partition }) => ({
          topic: this.#parts.names.inCluster(topic),
          partition,
        }));
        await this.#parts.calls.addPartitions(this.#inCluster(transactionalId), producer, places);
      }),
    end: (transactionalId, producer, outcome) =>
      saidInPort(async () => {
        await this.#parts.calls.end(this.#inCluster(transactionalId), producer, outcome);
        await this.#forgetOpen(producer.producerId);
      }),
    active: (partition) =>
      [...this.#known].flatMap(([producerId, { epoch, partitions }]) => {
        const found = partitions.get(placeKey(partition));
        if (!found) return [];
        const { lastSequence, lastTimeMs, transactionStartOffset } = found;
        const open = transactionStartOffset === undefined ? {} : { transactionStartOffset };
        return [{ producerId, epoch, lastSequence, lastTimeMs, ...open }];
      }),
  };

  async #forgetOpen(producerId: number): Promise<void> {
    const open = [...(this.#known.get(producerId)?.partitions.values() ?? [])].filter(
      (one) => one.transactionStartOffset !== undefined,
    );
    const groups = [...(this.#groups.get(producerId) ?? [])];
    this.#groups.delete(producerId);
    for (const one of open) one.transactionStartOffset = undefined;
    const last = open.map(({ topic, partition, lastOffset: offset }) => ({ topic, partition, offset }));
    await this.#parts.ended(last, groups);
  }

  #inCluster(transactionalId: string): string {
    return this.#parts.cluster.options.prefix + transactionalId;
  }
}

const badTimeout = (): MillraceError =>
  new MillraceError(
    'BAD_REQUEST',
    'A transaction needs a timeout of at least a millisecond. Give a positive number.',
  );

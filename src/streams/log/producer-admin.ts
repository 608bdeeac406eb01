import { signal, type Timer } from '../../kernel/index.ts';
import type { TransactionEnd } from '../coordination/index.ts';
import type { ProducerAdmin } from '../port.ts';
import { encodeMarker, readBatchHeader } from '../record-batch/index.ts';
import type { Prepared, Work } from './appender.ts';
import type { Core } from './core.ts';

export interface Producers extends ProducerAdmin {
  /** Aborts transactions whose time is over, now and whenever the next one's comes. */
  watchTimeouts(): void;
  stop(): void;
}

class ProducerFrames implements Producers {
  readonly #core: Core;
  readonly #transactions: Core['transactions'];
  readonly #appender: Core['appender'];
  readonly #clock: Core['clock'];
  readonly #mutex: Core['mutex'];
  #timer: Timer | undefined;
  #stopped = false;

  constructor(core: Core) {
    this.#core = core;
    this.#transactions = core.transactions;
    this.#appender = core.appender;
    this.#clock = core.clock;
    this.#mutex = core.mutex;
  }

  readonly #markerOf = (end: TransactionEnd, place: { topic: string; partition: number }): Prepared[] => {
    const partition = this.#core.topics.find(place.topic)?.partitions[place.partition];
    if (!partition) return []; // deleted since
    const { producerId, producerEpoch } = end.marker;
    const batch = encodeMarker(end.outcome, { producerId, epoch: producerEpoch }, this.#clock.now());
    return [{ partition, batch, header: readBatchHeader(batch), marker: end.marker }];
  };

  readonly #workOf = (end: TransactionEnd): Work => ({
    batches: end.partitions.flatMap((place) => this.#markerOf(end, place)),
    changes: [
      end.complete,
      ...end.offsets.map(({ group, offsets }) => this.#core.groups.transactionOffsets(group, offsets)),
    ],
  });

  /** One frame: markers, the new state and the offsets are there together or not at all (L4). */
  readonly #finish = async (transactionalId: string, decide: () => Work): Promise<void> => {
    try {
      await this.#appender.transact(0, decide);
    } catch (error) {
      this.#transactions.cancelEnd(transactionalId);
      throw error;
    }
  };

  readonly #watchTimeouts = (): void => {
    this.#timer?.cancel();
    this.#timer = undefined;
    const due = this.#transactions.nextDeadlineMs();
    if (due === undefined || this.#stopped) return;
    this.#timer = this.#clock.after(due - this.#clock.monotonic(), () => void this.#abortOverdue());
  };

  readonly #abortOverdue = async (): Promise<void> => {
    for (const id of this.#transactions.overdue(this.#clock.monotonic())) {
      await this.#mutex(`transaction ${id}`, async () => {
        const end = this.#transactions.prepareTimeout(id, this.#clock.now(), this.#clock.monotonic());
        if (end) await this.#finish(id, () => this.#workOf(end));
      }).catch((error) => {
        const message = `The overdue transaction '${id}' could not be aborted; it is tried again.`;
        signal('platform.log', { level: 'warn', room: 'streams', message, error });
      });
    }
    // What could not be aborted is overdue still: try again in a second, not at once.
    this.#timer?.cancel();
    if (!this.#stopped)
      this.#timer = this.#clock.after(
        this.#retryDelay(this.#transactions.nextDeadlineMs()),
        () => void this.#abortOverdue(),
      );
  };

  readonly #retryDelay = (due: number | undefined): number =>
    due === undefined ? 60_000 : Math.max(1000, due - this.#clock.monotonic());

  readonly watchTimeouts: Producers['watchTimeouts'] = this.#watchTimeouts;

  readonly stop: Producers['stop'] = () => {
    this.#stopped = true;
    this.#timer?.cancel();
  };

  readonly init: Producers['init'] = (request) => {
    const id = request.transactionalId;
    return this.#mutex(id === undefined ? 'producer ids' : `transaction ${id}`, async () => {
      const { identity, abort, changes } = this.#transactions.init(request, this.#clock.now());
      if (changes.length === 0) return identity;
      const decide = (): Work => {
        const work = abort ? this.#workOf(abort) : { batches: [], changes: [] };
        return { batches: work.batches, changes: [...work.changes, ...changes] };
      };
      await (abort && id !== undefined ? this.#finish(id, decide) : this.#appender.transact(0, decide));
      return identity;
    });
  };

  readonly addPartitions: Producers['addPartitions'] = (transactionalId, producer, partitions) =>
    this.#mutex(`transaction ${transactionalId}`, async () => {
      for (const partition of partitions) this.#core.topics.partition(partition);
      const change = this.#transactions.addPartitions(
        transactionalId,
        producer,
        partitions,
        this.#clock.now(),
      );
      if (!change) return;
      await this.#appender.transact(0, () => ({ batches: [], changes: [change] }));
      this.#watchTimeouts();
    });

  readonly end: Producers['end'] = (transactionalId, producer, outcome, options = {}) =>
    this.#mutex(`transaction ${transactionalId}`, async () => {
      const { identity, end, changes } = this.#transactions.decideEnd(
        { transactionalId, producer, outcome, ...options },
        this.#clock.now(),
      );
      if (end) {
        const work = (): Work => {
          const { batches, changes: ending } = this.#workOf(end);
          return { batches, changes: [...ending, ...changes] };
        };
        await this.#finish(transactionalId, work);
      } else if (changes.length > 0) await this.#appender.transact(0, () => ({ batches: [], changes }));
      return identity;
    });

  readonly transactions: Producers['transactions'] = () => this.#transactions.list();
  readonly transaction: Producers['transaction'] = (transactionalId) =>
    this.#transactions.describe(transactionalId);
  readonly transactionalIdOf: Producers['transactionalIdOf'] = (producerId) =>
    this.#transactions.idOf(producerId);

  readonly active: Producers['active'] = (partition) =>
    this.#core.topics.partition(partition).producers?.active() ?? [];
}

/** Identities and transactions; the rules are those of `coordination`, here they become frames. */
export function createProducerAdmin(core: Core): Producers {
  return new ProducerFrames(core);
}

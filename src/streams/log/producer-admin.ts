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

/** Identities and transactions; the rules are those of `coordination`, here they become frames. */
export function createProducerAdmin(core: Core): Producers {
  const { transactions, appender, clock, mutex } = core;
  let timer: Timer | undefined;
  let stopped = false;

  const markerOf = (end: TransactionEnd, place: { topic: string; partition: number }): Prepared[] => {
    const partition = core.topics.find(place.topic)?.partitions[place.partition];
    if (!partition) return []; // deleted since
    const { producerId, producerEpoch } = end.marker;
    const batch = encodeMarker(end.outcome, { producerId, epoch: producerEpoch }, clock.now());
    return [{ partition, batch, header: readBatchHeader(batch), marker: end.marker }];
  };

  const workOf = (end: TransactionEnd): Work => ({
    batches: end.partitions.flatMap((place) => markerOf(end, place)),
    changes: [
      end.complete,
      ...end.offsets.map(({ group, offsets }) => core.groups.transactionOffsets(group, offsets)),
    ],
  });

  /** One frame: markers, the new state and the offsets are there together or not at all (L4). */
  const finish = async (transactionalId: string, decide: () => Work): Promise<void> => {
    try {
      await appender.transact(0, decide);
    } catch (error) {
      transactions.cancelEnd(transactionalId);
      throw error;
    }
  };

  const watchTimeouts = (): void => {
    timer?.cancel();
    timer = undefined;
    const due = transactions.nextDeadlineMs();
    if (due === undefined || stopped) return;
    timer = clock.after(due - clock.monotonic(), () => void abortOverdue());
  };

  const abortOverdue = async (): Promise<void> => {
    for (const id of transactions.overdue(clock.monotonic())) {
      await mutex(`transaction ${id}`, async () => {
        const end = transactions.prepareTimeout(id, clock.now(), clock.monotonic());
        if (end) await finish(id, () => workOf(end));
      }).catch((error) => {
        const message = `The overdue transaction '${id}' could not be aborted; it is tried again.`;
        signal('platform.log', { level: 'warn', room: 'streams', message, error });
      });
    }
    // What could not be aborted is overdue still: try again in a second, not at once.
    timer?.cancel();
    if (!stopped) timer = clock.after(retryDelay(transactions.nextDeadlineMs()), () => void abortOverdue());
  };

  const retryDelay = (due: number | undefined): number =>
    due === undefined ? 60_000 : Math.max(1000, due - clock.monotonic());

  return {
    watchTimeouts,
    stop() {
      stopped = true;
      timer?.cancel();
    },
    init(request) {
      const id = request.transactionalId;
      return mutex(id === undefined ? 'producer ids' : `transaction ${id}`, async () => {
        const { identity, abort, changes } = transactions.init(request, clock.now());
        if (changes.length === 0) return identity;
        const decide = (): Work => {
          const work = abort ? workOf(abort) : { batches: [], changes: [] };
          return { batches: work.batches, changes: [...work.changes, ...changes] };
        };
        await (abort && id !== undefined ? finish(id, decide) : appender.transact(0, decide));
        return identity;
      });
    },
    addPartitions: (transactionalId, producer, partitions) =>
      mutex(`transaction ${transactionalId}`, async () => {
        for (const partition of partitions) core.topics.partition(partition);
        const change = transactions.addPartitions(transactionalId, producer, partitions, clock.now());
        if (!change) return;
        await appender.transact(0, () => ({ batches: [], changes: [change] }));
        watchTimeouts();
      }),
    end: (transactionalId, producer, outcome) =>
      mutex(`transaction ${transactionalId}`, async () => {
        const end = transactions.prepareEnd(transactionalId, producer, outcome, clock.now());
        if (end) await finish(transactionalId, () => workOf(end));
      }),
    active: (partition) => core.topics.partition(partition).producers?.active() ?? [],
  };
}

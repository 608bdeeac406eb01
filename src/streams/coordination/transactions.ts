import { MillraceError } from '../../kernel/index.ts';
import type { OffsetCommit, ProducerIdentity, TopicPartition, TransactionInfo } from '../port.ts';
import { fenced, type Marker } from './producer-states.ts';

/**
 * The coordinator of transactions: one entry per transactional id. Decisions are made here without I/O; a store makes
 * the change that a decision names durable and then applies it. Decisions about one id must not overlap: run each,
 * with its write, under `keyedMutex`.
 *
 * empty → ongoing → prepareCommit → completeCommit → ongoing …
 *                 ↘ prepareAbort  → completeAbort  ↗
 *
 * T1 While an end is prepared nothing joins the transaction; it is cancelled or completed.
 * T2 Taking over a transactional id, and a timeout, raise the epoch: earlier holders are fenced.
 * T3 Timeouts follow the monotonic clock; after a restart an open transaction has its whole timeout again.
 */
export type TransactionState = TransactionInfo['state'];

export interface Transaction {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly epoch: number;
  /** What its holder had before it raised its own epoch: it may ask again for an identity whose answer was lost. */
  readonly previous?: ProducerIdentity;
  readonly timeoutMs: number;
  readonly state: TransactionState;
  readonly partitions: readonly TopicPartition[];
  readonly offsets: readonly PendingOffsets[];
  readonly changedMs: number;
  /** When the open transaction began. */
  readonly startedMs?: number;
}

export interface PendingOffsets {
  readonly group: string;
  readonly offsets: readonly OffsetCommit[];
}

/** Plain JSON; replaying the changes over a snapshot gives the state again. */
export type TransactionChange =
  | { readonly kind: 'producer-ids'; readonly next: number }
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'transaction-gone'; readonly transactionalId: string };

/** What ends a transaction: all of it is to become durable at once, then `complete` is applied. */
export interface TransactionEnd {
  readonly outcome: 'commit' | 'abort';
  readonly marker: Marker;
  readonly partitions: readonly TopicPartition[];
  /** To be committed to their groups; none when it aborts. */
  readonly offsets: readonly PendingOffsets[];
  readonly complete: TransactionChange;
}

export interface TransactionInit {
  readonly identity: ProducerIdentity;
  /** An open transaction of an earlier holder, to be aborted together with the changes. */
  readonly abort?: TransactionEnd;
  readonly changes: readonly TransactionChange[];
}

export interface EndRequest {
  readonly transactionalId: string;
  readonly producer: ProducerIdentity;
  readonly outcome: 'commit' | 'abort';
  readonly raiseEpoch?: boolean;
}

export interface TransactionEnding {
  /** What the producer goes on with. */
  readonly identity: ProducerIdentity;
  /** Undefined where nothing was open. */
  readonly end?: TransactionEnd;
  readonly changes: readonly TransactionChange[];
}

export interface TransactionsSnapshot {
  readonly nextProducerId: number;
  readonly transactions: readonly Transaction[];
}

/** Epochs are 16 bits; the last is kept for the marker that ends an exhausted producer's transaction. */
const LAST_EPOCH = 32_766;
const DEFAULT_TIMEOUT_MS = 60_000;
const LONGEST_TIMEOUT_MS = 900_000;
const NOBODY: ProducerIdentity = { producerId: -1, epoch: -1 };

export class Transactions {
  readonly #byId = new Map<string, Transaction>();
  readonly #idOfProducer = new Map<number, string>();
  /** Monotonic times when open transactions run out (T3). */
  readonly #deadlines = new Map<string, number>();
  #nextProducerId = 1;

  constructor(snapshot?: TransactionsSnapshot, monotonicMs = 0) {
    if (!snapshot) return;
    this.#nextProducerId = snapshot.nextProducerId;
    for (const transaction of snapshot.transactions) this.#put(transaction, monotonicMs);
  }

  /** A new identity, or the next epoch of a transactional id (T2). Throws PRODUCER_FENCED, BAD_REQUEST, TRANSACTION_STATE. */
  init(
    request: { transactionalId?: string; transactionTimeoutMs?: number; current?: ProducerIdentity },
    nowMs: number,
  ): TransactionInit {
    const { transactionalId } = request;
    if (transactionalId === undefined) return this.#newProducer();
    const timeoutMs = checkTimeout(request.transactionTimeoutMs ?? DEFAULT_TIMEOUT_MS);
    const held = this.#byId.get(transactionalId);
    if (!held) return this.#newTransaction(transactionalId, timeoutMs, nowMs);
    if (request.current && !sameIdentity(request.current, held)) {
      if (held.previous && sameIdentity(request.current, held.previous) && !isOpen(held.state)) {
        return { identity: { producerId: held.producerId, epoch: held.epoch }, changes: [] };
      }
      throw fenced(request.current.producerId, request.current.epoch, held.epoch);
    }
    return this.#takeOver(held, timeoutMs, nowMs, request.current !== undefined);
  }

  /** Throws PRODUCER_UNKNOWN, PRODUCER_FENCED, TRANSACTION_STATE. No change when all are in already. */
  addPartitions(
    transactionalId: string,
    producer: ProducerIdentity,
    partitions: readonly TopicPartition[],
    nowMs: number,
  ): TransactionChange | undefined {
    const held = this.#held(transactionalId, producer);
    const known = new Set(held.state === 'ongoing' ? held.partitions.map(nameOf) : []);
    const added = partitions.filter((one) => !known.has(nameOf(one)) && known.add(nameOf(one)));
    if (added.length === 0 && held.state === 'ongoing') return undefined;
    const open = opened(held, nowMs);
    const copies = added.map(({ topic, partition }) => ({ topic, partition }));
    return { kind: 'transaction', transaction: { ...open, partitions: [...open.partitions, ...copies] } };
  }

  /** Holds a group's offsets until the producer's transaction commits. Throws as `addPartitions`. */
  addOffsets(
    producer: ProducerIdentity,
    group: string,
    offsets: readonly OffsetCommit[],
    nowMs: number,
  ): TransactionChange {
    const transactionalId = this.#idOfProducer.get(producer.producerId);
    if (transactionalId === undefined) throw unknownProducer(`Producer ${producer.producerId}`);
    const open = opened(this.#held(transactionalId, producer), nowMs);
    return {
      kind: 'transaction',
      transaction: { ...open, offsets: withOffsets(open.offsets, group, offsets) },
    };
  }

  /** The transactional id of a producer, to find its mutex. */
  idOf(producerId: number): string | undefined {
    return this.#idOfProducer.get(producerId);
  }

  /** Throws TRANSACTION_STATE unless a transactional batch of this producer may go to `partition` now, PRODUCER_FENCED for an old epoch. */
  admit(producer: ProducerIdentity, partition: TopicPartition): void {
    const transactionalId = this.#idOfProducer.get(producer.producerId);
    const held = transactionalId === undefined ? undefined : this.#byId.get(transactionalId);
    if (!held) throw unknownProducer(`Producer ${producer.producerId}`);
    if (producer.epoch !== held.epoch) throw fenced(producer.producerId, producer.epoch, held.epoch);
    const name = nameOf(partition);
    if (held.state === 'ongoing' && held.partitions.some((one) => nameOf(one) === name)) return;
    throw new MillraceError(
      'TRANSACTION_STATE',
      `Partition ${name} is not part of an open transaction of '${held.transactionalId}'. Add it before sending to it.`,
    );
  }

  /**
   * Prepares the end (T1) of what is open; without an end when it ended this way already, because an answer was lost.
   * Throws PRODUCER_UNKNOWN, PRODUCER_FENCED, TRANSACTION_STATE.
   */
  decideEnd(request: EndRequest, nowMs: number): TransactionEnding {
    const { transactionalId, producer, outcome, raiseEpoch = false } = request;
    const known = this.#byId.get(transactionalId);
    const completed = outcome === 'commit' ? 'completeCommit' : 'completeAbort';
    if (known?.state === completed && sameIdentity(producer, (raiseEpoch ? known.previous : known) ?? NOBODY))
      return { identity: identityOf(known), changes: [] };
    const held = this.#held(transactionalId, producer);
    if (held.state !== 'ongoing' && !(raiseEpoch && outcome === 'abort')) {
      throw new MillraceError(
        'TRANSACTION_STATE',
        `'${transactionalId}' has no open transaction to ${outcome}. Add partitions to it first.`,
      );
    }
    const next = raiseEpoch ? this.#nextIdentity(held) : { identity: identityOf(held), changes: [] };
    const after = raiseEpoch ? { ...next.identity, previous: identityOf(held) } : {};
    if (held.state === 'ongoing') {
      const end = this.#prepare(held, outcome, raiseEpoch ? held.epoch + 1 : held.epoch, nowMs, after);
      return { identity: next.identity, end, changes: next.changes };
    }
    const transaction = { ...emptied(held, next.identity, nowMs), ...after, state: completed } as const;
    return { identity: next.identity, changes: [...next.changes, { kind: 'transaction', transaction }] };
  }

  /** Prepares the abort of a transaction whose time is over (T2); undefined when it ended in the meantime. */
  prepareTimeout(transactionalId: string, nowMs: number, monotonicMs: number): TransactionEnd | undefined {
    const held = this.#byId.get(transactionalId);
    if (held?.state !== 'ongoing' || (this.#deadlines.get(transactionalId) ?? 0) > monotonicMs)
      return undefined;
    return this.#prepare(held, 'abort', held.epoch + 1, nowMs, fencedBy(held));
  }

  /** Takes a prepared end back after its write failed. */
  cancelEnd(transactionalId: string): void {
    const held = this.#byId.get(transactionalId);
    if (held?.state === 'prepareCommit' || held?.state === 'prepareAbort') {
      this.#byId.set(transactionalId, { ...held, state: 'ongoing' });
    }
  }

  /** Transactions whose time is over (T3). */
  overdue(monotonicMs: number): string[] {
    return [...this.#deadlines].filter(([, due]) => due <= monotonicMs).map(([id]) => id);
  }

  /** When the next open transaction runs out, in monotonic time. */
  nextDeadlineMs(): number | undefined {
    return this.#deadlines.size === 0 ? undefined : Math.min(...this.#deadlines.values());
  }

  /** Changes that forget ids without an open transaction that nobody used for `idleMs`. */
  expireIdle(nowMs: number, idleMs: number): TransactionChange[] {
    return this.#byId
      .values()
      .filter((one) => !isOpen(one.state) && nowMs - one.changedMs > idleMs)
      .map(({ transactionalId }) => ({ kind: 'transaction-gone' as const, transactionalId }))
      .toArray();
  }

  apply(change: TransactionChange, monotonicMs: number): void {
    if (change.kind === 'producer-ids') this.#nextProducerId = Math.max(this.#nextProducerId, change.next);
    else if (change.kind === 'transaction') this.#put(change.transaction, monotonicMs);
    else this.#remove(change.transactionalId);
  }

  /** A topic is gone: so are its partitions and offsets in open transactions. */
  forgetTopic(topic: string): void {
    for (const [id, held] of this.#byId) {
      const partitions = held.partitions.filter((one) => one.topic !== topic);
      const offsets = held.offsets.map(({ group, offsets }) => ({
        group,
        offsets: offsets.filter((one) => one.topic !== topic),
      }));
      this.#byId.set(id, { ...held, partitions, offsets });
    }
  }

  find(transactionalId: string): Transaction | undefined {
    return this.#byId.get(transactionalId);
  }

  describe(transactionalId: string): TransactionInfo | undefined {
    const held = this.#byId.get(transactionalId);
    return held && infoOf(held);
  }

  list(): TransactionInfo[] {
    return this.#byId.values().map(infoOf).toArray();
  }

  /** Partitions of a group whose positions wait for an open transaction. */
  pendingOffsets(group: string): TopicPartition[] {
    return [...this.#deadlines.keys()].flatMap((id) =>
      this.#byId
        .get(id)!
        .offsets.filter((one) => one.group === group)
        .flatMap((one) => one.offsets.map(({ topic, partition }) => ({ topic, partition }))),
    );
  }

  snapshot(): TransactionsSnapshot {
    // What is prepared is not decided until it is durable.
    const decided = this.#byId
      .values()
      .map((one) => (isOpen(one.state) ? { ...one, state: 'ongoing' as const } : one));
    return { nextProducerId: this.#nextProducerId, transactions: [...decided] };
  }

  #newProducer(): TransactionInit {
    const producerId = this.#nextProducerId++;
    const changes = [{ kind: 'producer-ids' as const, next: producerId + 1 }];
    return { identity: { producerId, epoch: 0 }, changes };
  }

  #newTransaction(transactionalId: string, timeoutMs: number, nowMs: number): TransactionInit {
    const { identity, changes } = this.#newProducer();
    const transaction = emptied({ transactionalId, timeoutMs }, identity, nowMs);
    return { identity, changes: [...changes, { kind: 'transaction', transaction }] };
  }

  /** `goesOn`: its holder raises its own epoch, and may do so again if the answer gets lost. */
  #takeOver(held: Transaction, timeoutMs: number, nowMs: number, goesOn: boolean): TransactionInit {
    if (held.state === 'prepareCommit' || held.state === 'prepareAbort') throw ending(held.transactionalId);
    const abort =
      held.state === 'ongoing'
        ? this.#prepare(held, 'abort', held.epoch + 1, nowMs, fencedBy(held))
        : undefined;
    const { identity, changes } = this.#nextIdentity(held);
    const transaction = {
      ...emptied({ transactionalId: held.transactionalId, timeoutMs }, identity, nowMs),
      ...(goesOn ? { previous: identityOf(held) } : {}),
    };
    return {
      identity,
      changes: [...changes, { kind: 'transaction', transaction }],
      ...(abort ? { abort } : {}),
    };
  }

  /** The next epoch; another producer id once the epochs of one are used up. */
  #nextIdentity(held: Transaction): { identity: ProducerIdentity; changes: readonly TransactionChange[] } {
    if (held.epoch + 1 > LAST_EPOCH) return this.#newProducer();
    return { identity: { producerId: held.producerId, epoch: held.epoch + 1 }, changes: [] };
  }

  #prepare(
    held: Transaction,
    outcome: 'commit' | 'abort',
    markerEpoch: number,
    nowMs: number,
    after: Partial<Transaction>,
  ): TransactionEnd {
    const prepared = outcome === 'commit' ? 'prepareCommit' : 'prepareAbort';
    const completed = outcome === 'commit' ? 'completeCommit' : 'completeAbort';
    this.#byId.set(held.transactionalId, { ...held, state: prepared });
    return {
      outcome,
      marker: { producerId: held.producerId, producerEpoch: markerEpoch, outcome },
      partitions: held.partitions,
      offsets: outcome === 'commit' ? held.offsets : [],
      complete: {
        kind: 'transaction',
        transaction: { ...emptied(held, held, nowMs), ...after, state: completed },
      },
    };
  }

  #held(transactionalId: string, producer: ProducerIdentity): Transaction {
    const held = this.#byId.get(transactionalId);
    if (held?.producerId !== producer.producerId) {
      if (held?.previous?.producerId === producer.producerId)
        throw fenced(producer.producerId, producer.epoch, held.epoch);
      throw unknownProducer(`Producer ${producer.producerId} of '${transactionalId}'`);
    }
    if (held.epoch !== producer.epoch) throw fenced(producer.producerId, producer.epoch, held.epoch);
    if (held.state === 'prepareCommit' || held.state === 'prepareAbort') throw ending(transactionalId);
    return held;
  }

  #put(transaction: Transaction, monotonicMs: number): void {
    const { transactionalId } = transaction;
    const before = this.#byId.get(transactionalId);
    if (before && before.producerId !== transaction.producerId) this.#idOfProducer.delete(before.producerId);
    this.#byId.set(transactionalId, transaction);
    this.#idOfProducer.set(transaction.producerId, transactionalId);
    if (!isOpen(transaction.state)) this.#deadlines.delete(transactionalId);
    else if (!this.#deadlines.has(transactionalId)) {
      this.#deadlines.set(transactionalId, monotonicMs + transaction.timeoutMs);
    }
  }

  #remove(transactionalId: string): void {
    const held = this.#byId.get(transactionalId);
    if (held) this.#idOfProducer.delete(held.producerId);
    this.#byId.delete(transactionalId);
    this.#deadlines.delete(transactionalId);
  }
}

function isOpen(state: TransactionState): boolean {
  return state === 'ongoing' || state === 'prepareCommit' || state === 'prepareAbort';
}

function emptied(
  { transactionalId, timeoutMs }: { transactionalId: string; timeoutMs: number },
  { producerId, epoch }: ProducerIdentity,
  nowMs: number,
): Transaction {
  return {
    transactionalId,
    timeoutMs,
    producerId,
    epoch,
    state: 'empty',
    partitions: [],
    offsets: [],
    changedMs: nowMs,
  };
}

function opened(held: Transaction, nowMs: number): Transaction {
  if (held.state === 'ongoing') return { ...held, changedMs: nowMs };
  return { ...held, state: 'ongoing', partitions: [], offsets: [], changedMs: nowMs, startedMs: nowMs };
}

/** A position that was sent again replaces the one before: it is the last that counts. */
function withOffsets(
  pending: readonly PendingOffsets[],
  group: string,
  offsets: readonly OffsetCommit[],
): PendingOffsets[] {
  const replaced = new Set(offsets.map(nameOf));
  const before = pending.find((one) => one.group === group)?.offsets ?? [];
  const kept = before.filter((one) => !replaced.has(nameOf(one)));
  return [...pending.filter((one) => one.group !== group), { group, offsets: [...kept, ...offsets] }];
}

function fencedBy(held: Transaction): ProducerIdentity {
  return { producerId: held.producerId, epoch: held.epoch + 1 };
}

function identityOf({ producerId, epoch }: ProducerIdentity): ProducerIdentity {
  return { producerId, epoch };
}

function infoOf(held: Transaction): TransactionInfo {
  const { transactionalId, producerId, epoch, state, timeoutMs, startedMs, partitions, offsets } = held;
  const groups = offsets.map((one) => one.group);
  const started = isOpen(state) && startedMs !== undefined ? { startedMs } : {};
  return { transactionalId, producerId, epoch, state, timeoutMs, ...started, partitions, groups };
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}

function sameIdentity(a: ProducerIdentity, b: ProducerIdentity): boolean {
  return a.producerId === b.producerId && a.epoch === b.epoch;
}

function checkTimeout(timeoutMs: number): number {
  if (timeoutMs > 0 && timeoutMs <= LONGEST_TIMEOUT_MS) return timeoutMs;
  throw new MillraceError(
    'BAD_REQUEST',
    `A transaction timeout of ${timeoutMs} ms is not possible. Ask for 1 to ${LONGEST_TIMEOUT_MS} ms.`,
  );
}

function ending(transactionalId: string): MillraceError {
  return new MillraceError(
    'TRANSACTION_STATE',
    `The transaction of '${transactionalId}' is just being ended. Try again in a moment.`,
    { retryAfterMs: 20 },
  );
}

function unknownProducer(who: string): MillraceError {
  return new MillraceError('PRODUCER_UNKNOWN', `${who} is not known here. Ask for a producer id first.`);
}

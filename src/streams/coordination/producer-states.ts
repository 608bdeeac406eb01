import { MillraceError } from '../../kernel/index.ts';
import type { BatchHeader } from '../record-batch/index.ts';

/**
 * What one partition remembers of its idempotent and transactional producers. A pure function of the batches appended,
 * so recovery rebuilds it by replaying them over a snapshot.
 *
 * P1 A batch is appended once: one of the last five of its producer, sent again, is recognised as a duplicate.
 * P2 Sequences of an epoch follow each other without a gap; an older epoch changes nothing.
 * P3 Nothing at or past the first offset of a transaction is stable until its marker lies below the high watermark.
 */
export interface ProducerEntry {
  readonly producerId: number;
  readonly epoch: number;
  /** The last batches, oldest first, at most five; none after a marker of a new epoch. */
  readonly batches: readonly RememberedBatch[];
  readonly lastTimeMs: number;
  readonly transactionStartOffset?: number;
}

export interface RememberedBatch {
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** The time of append where the topic stamps records, else -1. */
  readonly appendTimeMs: number;
}

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Where its abort marker lies. */
  readonly lastOffset: number;
}

export interface ProducerStatesSnapshot {
  readonly producers: readonly ProducerEntry[];
  readonly aborted: readonly AbortedTransaction[];
}

/** The fields of a batch's header that matter here. */
export type ProducedBatch = Pick<
  BatchHeader,
  'producerId' | 'producerEpoch' | 'baseSequence' | 'lastOffsetDelta' | 'transactional'
>;

export interface Marker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly outcome: 'commit' | 'abort';
}

/** Takes one change back; when several are taken back, in reverse order. */
export type Undo = () => void;

/** Kafka clients have at most five batches in flight per partition. */
const REMEMBERED_BATCHES = 5;
/** Sequences are 31 bits and start again at 0. */
const SEQUENCE_SPAN = 2 ** 31;
const NOTHING_TO_UNDO: Undo = () => undefined;

interface CompletedTransaction {
  readonly firstOffset: number;
  readonly markerOffset: number;
}

export class ProducerStates {
  readonly #producers = new Map<number, ProducerEntry>();
  /** First offsets of open transactions by producer id. */
  readonly #open = new Map<number, number>();
  /** Ended, but the marker may still lie at or past the high watermark (P3). */
  #completed: CompletedTransaction[] = [];
  #aborted: AbortedTransaction[] = [];

  constructor(snapshot?: ProducerStatesSnapshot) {
    for (const entry of snapshot?.producers ?? []) this.#put(entry.producerId, entry);
    this.#aborted = [...(snapshot?.aborted ?? [])];
  }

  /**
   * Whether a batch may be appended. Answers with the first append of a duplicate, undefined for a batch that is new.
   * Throws PRODUCER_FENCED, PRODUCER_UNKNOWN, SEQUENCE_OUT_OF_ORDER, TRANSACTION_STATE.
   */
  admit(batch: ProducedBatch): RememberedBatch | undefined {
    if (batch.producerId < 0) return undefined;
    const entry = this.#producers.get(batch.producerId);
    if (!entry) return requireFirst(batch, 'PRODUCER_UNKNOWN');
    if (batch.producerEpoch < entry.epoch) throw fenced(batch.producerId, batch.producerEpoch, entry.epoch);
    if (batch.producerEpoch > entry.epoch) return requireFirst(batch, 'SEQUENCE_OUT_OF_ORDER');
    const lastSequence = lastSequenceOf(batch);
    const duplicate = entry.batches.find(
      (one) => one.baseSequence === batch.baseSequence && one.lastSequence === lastSequence,
    );
    if (duplicate) return duplicate;
    requireNext(batch, entry);
    if (!batch.transactional && entry.transactionStartOffset !== undefined) throw insideTransaction(batch);
    return undefined;
  }

  /** Remembers a batch that `admit` let through and that now has its offset. */
  append(batch: ProducedBatch, baseOffset: number, nowMs: number, appendTimeMs = -1): Undo {
    if (batch.producerId < 0) return NOTHING_TO_UNDO;
    const before = this.#producers.get(batch.producerId);
    const kept = before?.epoch === batch.producerEpoch ? before.batches.slice(1 - REMEMBERED_BATCHES) : [];
    const remembered: RememberedBatch = {
      baseSequence: batch.baseSequence,
      lastSequence: lastSequenceOf(batch),
      baseOffset,
      lastOffset: baseOffset + batch.lastOffsetDelta,
      appendTimeMs,
    };
    const start = before?.transactionStartOffset ?? (batch.transactional ? baseOffset : undefined);
    return this.#replace(batch.producerId, {
      producerId: batch.producerId,
      epoch: batch.producerEpoch,
      batches: [...kept, remembered],
      lastTimeMs: nowMs,
      ...(start === undefined ? {} : { transactionStartOffset: start }),
    });
  }

  /** Ends the producer's transaction by the marker at `offset`; fences older epochs. */
  mark(marker: Marker, offset: number, nowMs: number): Undo {
    const before = this.#producers.get(marker.producerId);
    if (before && marker.producerEpoch < before.epoch) return NOTHING_TO_UNDO;
    // A replay over a newer snapshot: the marker ended an earlier transaction, which the snapshot knows of.
    if (offset < (before?.transactionStartOffset ?? 0)) return NOTHING_TO_UNDO;
    const { completed, aborted } = { completed: this.#completed, aborted: this.#aborted };
    const firstOffset = before?.transactionStartOffset;
    if (firstOffset !== undefined) {
      this.#completed = [...completed, { firstOffset, markerOffset: offset }];
      const abortedNow = { producerId: marker.producerId, firstOffset, lastOffset: offset };
      if (marker.outcome === 'abort') this.#aborted = [...aborted, abortedNow];
    }
    const undo = this.#replace(marker.producerId, {
      producerId: marker.producerId,
      epoch: marker.producerEpoch,
      batches: before?.epoch === marker.producerEpoch ? before.batches : [],
      lastTimeMs: nowMs,
    });
    return () => {
      undo();
      this.#completed = completed;
      this.#aborted = aborted;
    };
  }

  /** The offset up to which every transaction is decided, given what is durable (P3). */
  lastStableOffset(highWatermark: number): number {
    let stable = highWatermark;
    for (const firstOffset of this.#open.values()) stable = Math.min(stable, firstOffset);
    if (this.#completed.length === 0) return stable;
    this.#completed = this.#completed.filter((one) => one.markerOffset >= highWatermark);
    for (const one of this.#completed) stable = Math.min(stable, one.firstOffset);
    return stable;
  }

  /** Aborted transactions that touch the offsets from `fromOffset` up to, not including, `toOffset`. */
  abortedBetween(fromOffset: number, toOffset: number): AbortedTransaction[] {
    return this.#aborted.filter((one) => one.lastOffset >= fromOffset && one.firstOffset < toOffset);
  }

  /** Forgets aborted transactions that lie wholly below the log's new start. */
  startAt(logStartOffset: number): void {
    this.#aborted = this.#aborted.filter((one) => one.lastOffset >= logStartOffset);
  }

  /** Forgets producers without an open transaction that were silent for `idleMs`. */
  expire(nowMs: number, idleMs: number): void {
    for (const [producerId, entry] of this.#producers) {
      if (entry.transactionStartOffset === undefined && nowMs - entry.lastTimeMs > idleMs) {
        this.#producers.delete(producerId);
      }
    }
  }

  active(): {
    producerId: number;
    epoch: number;
    lastSequence: number;
    lastTimeMs: number;
    transactionStartOffset?: number;
  }[] {
    return this.#producers
      .values()
      .map(({ batches, ...rest }) => ({ ...rest, lastSequence: batches.at(-1)?.lastSequence ?? -1 }))
      .toArray();
  }

  snapshot(): ProducerStatesSnapshot {
    return { producers: [...this.#producers.values()], aborted: this.#aborted };
  }

  #replace(producerId: number, entry: ProducerEntry): Undo {
    const before = this.#producers.get(producerId);
    this.#put(producerId, entry);
    return () => this.#put(producerId, before);
  }

  #put(producerId: number, entry: ProducerEntry | undefined): void {
    if (entry) this.#producers.set(producerId, entry);
    else this.#producers.delete(producerId);
    if (entry?.transactionStartOffset === undefined) this.#open.delete(producerId);
    else this.#open.set(producerId, entry.transactionStartOffset);
  }
}

function lastSequenceOf(batch: ProducedBatch): number {
  return (batch.baseSequence + batch.lastOffsetDelta) % SEQUENCE_SPAN;
}

function requireFirst(batch: ProducedBatch, code: 'PRODUCER_UNKNOWN' | 'SEQUENCE_OUT_OF_ORDER'): undefined {
  if (batch.baseSequence === 0) return undefined;
  const what =
    code === 'PRODUCER_UNKNOWN'
      ? `Producer ${batch.producerId} is not known here`
      : `Epoch ${batch.producerEpoch} of producer ${batch.producerId} is new here`;
  const remedy = 'Ask for a new epoch and begin with sequence 0.';
  throw new MillraceError(code, `${what}, but its batch has sequence ${batch.baseSequence}. ${remedy}`);
}

function requireNext(batch: ProducedBatch, entry: ProducerEntry): void {
  const last = entry.batches.at(-1);
  const expected = last ? (last.lastSequence + 1) % SEQUENCE_SPAN : 0;
  if (batch.baseSequence === expected) return;
  throw new MillraceError(
    'SEQUENCE_OUT_OF_ORDER',
    `Producer ${batch.producerId} sent sequence ${batch.baseSequence} where ${expected} was next. Send the batches between first, in order.`,
  );
}

function insideTransaction(batch: ProducedBatch): MillraceError {
  return new MillraceError(
    'TRANSACTION_STATE',
    `Producer ${batch.producerId} sent a plain batch inside its open transaction. End the transaction first.`,
  );
}

export function fenced(producerId: number, epoch: number, current: number): MillraceError {
  return new MillraceError(
    'PRODUCER_FENCED',
    `Producer ${producerId} came with epoch ${epoch}, but epoch ${current} has taken over. Close this producer.`,
  );
}

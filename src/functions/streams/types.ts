import type { Position, TopicPartition } from '../../streams/index.ts';
import type { Slab } from './slab.ts';

/** Records of one partition that go to the function together, in order, and the keys they hold meanwhile. */
export interface Work {
  readonly queue: PartitionQueue;
  readonly slabs: Slab[];
  readonly indexes: number[];
  readonly locks: number[];
  /** Keys as strings, once somebody asked for them (`keyTextAt`). */
  readonly texts: (string | null | undefined)[];
  bytes: number;
}

/** One record that waits for its key. */
export interface Waiter {
  readonly queue: PartitionQueue;
  readonly slab: Slab;
  readonly index: number;
}

/**
 * Which keys are out with the function, and what waits behind them. Shared by all partitions of one number, since a
 * function of several streams may keep state by the same key for each.
 *
 * K1 a key is held by one work at a time: its records never overlap.
 * K2 while records wait for a key, later ones queue behind them: its records never change order.
 */
export interface KeyLocks {
  /** Takes the key for `work`, or queues the record behind what holds it. True when taken. */
  acquire(key: number, work: Work, slab: Slab, index: number): boolean;
  /** Gives the key back; what waits for it becomes ready in its partition. */
  release(key: number): void;
  /** Gives the key back, but `records` go first, once `due` is called. */
  holdBack(key: number, records: readonly Waiter[]): void;
  due(key: number): void;
  /** Takes a ready key for `work`. The records that wait for it, in order: what is taken is removed with `shift`. */
  take(key: number, work: Work): Waiter[];
  /** What goes next for a ready key. */
  peek(key: number): Waiter;
  /** A key for a record that has none, so that it can be held back like others. */
  anonymous(): number;
}

/** Why a record failed so far. In memory only: a restart begins to count anew. */
export interface Failure {
  attempts: number;
  readonly firstMs: number;
  /** It made a batch throw: it goes alone, so that it takes nobody with it again. */
  readonly alone: boolean;
}

export interface TakeLimits {
  readonly records: number;
  readonly bytes: number;
  readonly windowRecords: number;
}

/**
 * Records of one partition on their way through a function: read ahead, waiting, out, done.
 *
 * Q1 `position` never passes a record that no commit covers.
 * Q2 between the oldest record that is not done and the newest that was taken lie at most `windowRecords`.
 */
export interface PartitionQueue extends TopicPartition {
  /** The stream that the function is told. */
  readonly stream: string;
  /** Offset to read from next. */
  fetchOffset: number;
  readonly locks: KeyLocks;
  /** Keys that waited and may go. */
  readonly ready: number[];
  readonly failures: Map<number, Failure>;
  /** Bytes of slabs that still hold records that are not done. */
  readonly retainedBytes: number;
  /** Records that nothing was tried with yet, those that wait for their key left out. */
  readonly available: number;
  /** Whether that many records are between the oldest that is not done and the newest taken (Q2). */
  windowFull(windowRecords: number): boolean;
  /** When the oldest of them came, by the monotonic clock. */
  readonly availableSinceMs: number;
  /** Offsets that were done when the session began. */
  readonly skip: ReadonlySet<number>;
  add(slab: Slab, nextOffset: number, nowMs: number): void;
  /** The next records whose keys are free, or undefined. */
  take(limits: TakeLimits): Work | undefined;
  /** Marks records as covered by a commit. */
  finish(work: Work): void;
  position(): Position;
  /** The offset of `position`, without the done ones. */
  readonly frontOffset: number;
}

import type { Service } from '../kernel/index.ts';
import type { Compression } from './record-batch/index.ts';

/**
 * The log. Records are stored and handed over as Kafka RecordBatch v2 (magic 2), so that producers' bytes pass
 * through unopened. `port.contract.ts` is the specification; every adapter passes it.
 *
 * L1 `append` and `commit` resolve after the bytes are on disk (adapters in memory: after they would survive a crash
 *    of a reader), unless `acks` is 'memory'. After a failed sync nothing resolves until a restart.
 * L2 Offsets of a partition are dense at append and grow; order within a partition is the order of append.
 * L3 Readers see nothing past the high watermark, and with isolation 'committed' nothing past the last stable offset.
 * L4 A commit takes effect as a whole or not at all, whatever crashes when.
 * L5 An assignment of an older epoch changes nothing: it gets FENCED.
 * L6 A reader holds at most the bytes it asked for; a slow reader never slows a writer.
 * L7 Damaged batches are named by a DATA_DAMAGED error and can be skipped explicitly, never silently.
 * L8 Commits of one assignment take effect in the order of the calls, so that several may be in flight. When one throws,
 *    those that were called before that was known do not take effect and answer FENCED.
 * Must not leak: files, segments, brokers, connections, client libraries.
 */
export interface LogStore extends Service {
  readonly topics: TopicAdmin;
  readonly groups: GroupAdmin;
  readonly producers: ProducerAdmin;

  /**
   * Appends one encoded batch (base offset and leader epoch inside it are overwritten; CRC is checked unless
   * `trusted`). Throws STREAM_NOT_FOUND, PARTITION_NOT_FOUND, BATCH_INVALID, RECORD_TOO_LARGE, SEQUENCE_OUT_OF_ORDER,
   * PRODUCER_FENCED, PRODUCER_UNKNOWN, TRANSACTION_STATE, DISK_FULL, DISK_FAILED, UNAVAILABLE. A duplicate sequence
   * resolves to the offsets of the first append with `duplicate: true`.
   */
  append(input: AppendInput): Promise<AppendResult>;

  /**
   * Whole batches from the one that holds `offset` on, at most `maxBytes` of them but at least one. Never waits: at
   * the end it answers with no batches; use `watch`. Throws OFFSET_OUT_OF_RANGE, DATA_DAMAGED.
   */
  fetch(request: FetchRequest): Promise<FetchResult>;

  /** Calls back after the end that `fetch` may read to has moved, at most once per turn of the event loop. */
  watch(partitions: readonly TopicPartition[], onAdvance: () => void): () => void;

  /** First offset whose record has a time ≥ `timeMs`; undefined when there is none. */
  offsetForTime(
    partition: TopicPartition,
    timeMs: number,
  ): Promise<{ offset: number; timeMs: number } | undefined>;
  /** The offset and time of the record with the latest time. */
  offsetForMaxTime(partition: TopicPartition): Promise<{ offset: number; timeMs: number } | undefined>;
  bounds(partition: TopicPartition): PartitionBounds;
  /** Moves the log's start to `offset` (or the high watermark for -1); resolves to the new start. */
  deleteRecords(partition: TopicPartition, offset: number): Promise<number>;

  /** Joins a consumer group as a member of this process; partitions are spread over its members. Throws STREAM_NOT_FOUND. */
  join(group: string, topics: readonly string[], options?: JoinOptions): Promise<Membership>;

  /** Reads everything and names every damage, repairing nothing. */
  verify(onProgress?: (progress: VerifyProgress) => void): Promise<VerifyReport>;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface TopicConfig {
  readonly cleanup: 'delete' | 'compact' | 'compact,delete';
  /** null: for ever. */
  readonly retentionMs: number | null;
  /** Per partition; null: without a bound. */
  readonly retentionBytes: number | null;
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly maxBatchBytes: number;
  readonly timestampType: 'create' | 'append';
  /** How long a compacted topic keeps tombstones. */
  readonly deleteRetentionMs: number;
  readonly minCompactionLagMs: number;
  /** How batches of producers are packed: as they come ('producer'), or all in the same way. */
  readonly compression: 'producer' | Compression;
}

export const DEFAULT_TOPIC_CONFIG: TopicConfig = {
  cleanup: 'delete',
  retentionMs: 7 * 86_400_000,
  retentionBytes: null,
  segmentBytes: 256 * 1024 * 1024,
  segmentMs: 7 * 86_400_000,
  maxBatchBytes: 6 * 1024 * 1024 + 65_536,
  timestampType: 'create',
  deleteRetentionMs: 86_400_000,
  minCompactionLagMs: 0,
  compression: 'producer',
};

export interface TopicInfo {
  /** 32 hexadecimal digits; a topic made again under the same name has another. */
  readonly id: string;
  readonly name: string;
  readonly partitions: number;
  readonly config: TopicConfig;
  readonly createdMs: number;
  /** The platform's own topics are hidden from listings that do not ask for them. */
  readonly internal: boolean;
}

export interface TopicAdmin {
  /** Durable when it resolves. Throws STREAM_EXISTS, STREAM_NAME_INVALID, PARTITION_COUNT_INVALID, STREAM_CONFIG_INVALID. */
  create(spec: {
    name: string;
    partitions: number;
    config?: Partial<TopicConfig>;
    internal?: boolean;
  }): Promise<TopicInfo>;
  /** Removes its records and the offsets of groups on it. Throws STREAM_NOT_FOUND. */
  delete(name: string): Promise<void>;
  /** Partitions can only grow. */
  alter(name: string, change: { partitions?: number; config?: Partial<TopicConfig> }): Promise<TopicInfo>;
  find(name: string): TopicInfo | undefined;
  list(): readonly TopicInfo[];
  /** Bytes on disk of each partition. */
  sizes(name: string): Promise<readonly number[]>;
}

export interface AppendInput extends TopicPartition {
  /** One RecordBatch v2. The store may overwrite its base offset and leader epoch in place; the caller gives it away. */
  readonly batch: Uint8Array;
  /** The store calls it, at most once, when it will not look at `batch` again, so that its memory can be used for others. It need not. */
  readonly release?: () => void;
  /**
   * The bytes were encoded or checked by this process just now: their CRC need not be checked again, and records may be missing
   * from the batch, whose offsets then stay unused. (A store that cannot leave offsets out closes the gaps.)
   */
  readonly trusted?: boolean;
  /** 'disk' unless told. */
  readonly acks?: 'disk' | 'memory';
}

export interface AppendResult extends TopicPartition {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** The time of append where the topic stamps records itself, else -1. */
  readonly appendTimeMs: number;
  readonly logStartOffset: number;
  readonly duplicate: boolean;
}

export interface FetchRequest extends TopicPartition {
  readonly offset: number;
  readonly maxBytes: number;
  /** 'committed' leaves out what lies past the last stable offset and lists aborted transactions. */
  readonly isolation?: 'committed' | 'uncommitted';
  /** Gives memory for what is read, of that many bytes at least. The store need not ask, and writes to it no more once the fetch has ended. */
  readonly allocate?: (bytes: number) => Uint8Array;
}

export interface FetchResult extends PartitionBounds {
  /** Whole batches back to back; the first may begin before the offset asked for: skip its earlier records. */
  readonly batches: Uint8Array;
  /** Transactions among these batches that were aborted: data batches of that producer from `firstOffset` on are to be skipped up to its abort marker. */
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: number }[];
}

export interface PartitionBounds {
  readonly logStartOffset: number;
  readonly lastStableOffset: number;
  readonly highWatermark: number;
}

// Consumer groups

export interface JoinOptions {
  /** A stable name: a member that comes back under it within the session gets its partitions back. */
  readonly instanceId?: string;
  /** Members from elsewhere are dropped after this silence; members of this process cannot fall silent. */
  readonly sessionTimeoutMs?: number;
  /** Where a partition starts that the group has no offset for; 'start' unless told. */
  readonly from?: 'start' | 'end';
}

export interface Membership {
  readonly group: string;
  readonly memberId: string;
  /** The current assignment; undefined before the first and after leaving. */
  readonly assignment: Assignment | undefined;
  /**
   * Every assignment in turn, starting with the current; those replaced before they were taken are left out. Ends after
   * `leave`, and when another member takes over the instance id.
   */
  assignments(): AsyncIterable<Assignment>;
  leave(): Promise<void>;
}

export interface Assignment {
  readonly group: string;
  readonly memberId: string;
  /** Of the rebalance that made it; a member whose partitions a later one leaves alone keeps its assignment. */
  readonly epoch: number;
  readonly partitions: readonly TopicPartition[];
  /** Fires when a newer assignment replaces this one. */
  readonly revoked: AbortSignal;
  /** Where to go on: the group's committed position, or the one `from` names, made durable when first asked for. */
  position(partition: TopicPartition): Promise<Position>;
  /** State of `store` for a partition, restored from its changelog when first asked for. */
  state(store: string, partition: number): Promise<StateView>;
  /**
   * L4, L5. Durable when it resolves to COMMITTED. Throws BAD_REQUEST for offsets or state of partitions that are not in
   * the assignment, and what `append` throws. Views of `state` show the change from then on.
   */
  commit(commit: Commit): Promise<CommitResult>;
}

export interface Position {
  /** Everything below is done. */
  readonly offset: number;
  /** Done offsets at or above `offset`, ascending, at most 10,000. */
  readonly done: readonly number[];
  readonly metadata?: string;
  /** Of the record before `offset`, where whoever committed knew it. */
  readonly leaderEpoch?: number;
}

export interface OffsetCommit extends TopicPartition, Position {}

export interface Commit {
  readonly appends: readonly AppendInput[];
  readonly offsets: readonly OffsetCommit[];
  readonly state: readonly StateWrite[];
}

export interface StateWrite {
  readonly store: string;
  readonly partition: number;
  readonly key: Uint8Array;
  /** null removes the entry. */
  readonly value: Uint8Array | null;
  readonly expiresAtMs?: number;
  /** The key as a string of one character a byte, where the caller has it at hand: saves making it again. */
  readonly keyText?: string;
}

export interface StateView {
  /**
   * The committed value, or undefined when there is none or its time is over. The key's bytes decide; a string stands for
   * bytes, one character each.
   */
  get(key: Uint8Array | string): Uint8Array | undefined;
  readonly size: number;
  entries(): Iterable<{
    readonly key: Uint8Array;
    readonly value: Uint8Array;
    readonly expiresAtMs?: number;
  }>;
}

export type CommitResult =
  | { readonly status: 'COMMITTED'; readonly appends: readonly AppendResult[] }
  | { readonly status: 'FENCED' };

/** Who keeps the members of a group: the store itself ('platform'), or a protocol that brings its own membership. */
export type GroupKind = 'platform' | 'classic' | 'consumer';

/**
 * The members of one group, kept by whoever speaks their protocol. The store asks; it never decides who is a member. What
 * a holder says of itself must be true at once: nothing of it is awaited.
 */
export interface GroupHolder {
  readonly kind: GroupKind;
  /** Grows with every rebalance, from the one it was made with (Kafka: the generation, or the group epoch). */
  readonly epoch: number;
  /** How many members there are; a holder without any may be replaced by one of another kind. */
  readonly size: number;
  readonly state?: 'rebalancing' | 'stable';
  info(): GroupInfo['members'];
  /** Topics were made, deleted, or got more partitions. */
  topicsChanged(): void;
  /** The group is deleted, held by another kind from now on, or the store stops: every membership ends. */
  close(): void;
}

export interface GroupInfo {
  readonly group: string;
  /** Undefined for a group that nobody held since the store started. */
  readonly kind?: GroupKind;
  readonly state: 'empty' | 'rebalancing' | 'stable';
  readonly epoch: number;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId?: string;
    readonly partitions: readonly TopicPartition[];
  }[];
}

export interface GroupAdmin {
  list(): readonly GroupInfo[];
  find(group: string): GroupInfo | undefined;
  /** Who keeps the members of the group at present. */
  holder(group: string): GroupHolder | undefined;
  /**
   * The group's holder of the kind that `matches` tells, made by `make` (which is given the epoch to go on from) where the
   * group has no members. Throws GROUP_NOT_EMPTY while another kind has members in it, BAD_REQUEST for a name that is
   * none, UNAVAILABLE where members of a protocol are kept elsewhere.
   */
  hold<Holder extends GroupHolder>(
    group: string,
    make: (epoch: number) => Holder,
    matches: (holder: GroupHolder) => holder is Holder,
  ): Holder;
  /** Positions that wait for an open transaction to commit. */
  pending(group: string): readonly TopicPartition[];
  /** Committed positions; of every partition when none is named. */
  offsets(group: string, partitions?: readonly TopicPartition[]): readonly OffsetCommit[];
  /**
   * Sets positions from outside an assignment. With `epoch`, throws GROUP_FENCED unless it is the group's; without,
   * throws GROUP_NOT_EMPTY while the group has members. With `admit`, the group's holder decides instead: it is called where
   * the positions take their place among other changes, and refuses them by throwing. With `producer`, they take effect
   * when its transaction commits.
   */
  setOffsets(
    group: string,
    offsets: readonly OffsetCommit[],
    options?: { epoch?: number; producer?: ProducerIdentity; admit?: () => void },
  ): Promise<void>;
  deleteOffsets(group: string, partitions: readonly TopicPartition[]): Promise<void>;
  delete(group: string): Promise<void>;
}

// Producers and transactions

export interface ProducerIdentity {
  readonly producerId: number;
  readonly epoch: number;
}

export interface ProducerAdmin {
  /**
   * A new producer id, or for a transactional id the same one with a higher epoch: earlier holders are fenced and
   * their open transaction is aborted. `current` asks to go on from an identity held before (KIP-360).
   */
  init(request: {
    transactionalId?: string;
    transactionTimeoutMs?: number;
    current?: ProducerIdentity;
  }): Promise<ProducerIdentity>;
  /** Opens the transaction if need be and adds partitions to it; batches of a transaction need this first. */
  addPartitions(
    transactionalId: string,
    producer: ProducerIdentity,
    partitions: readonly TopicPartition[],
  ): Promise<void>;
  /**
   * Writes the markers; durable when it resolves, to the identity to go on with. With `raiseEpoch` that is one epoch
   * higher, so that nothing sent late can join the next transaction (KIP-890); then an abort may also come where no
   * transaction is open.
   */
  end(
    transactionalId: string,
    producer: ProducerIdentity,
    outcome: 'commit' | 'abort',
    options?: { raiseEpoch?: boolean },
  ): Promise<ProducerIdentity>;
  /** What is known of transactional ids. */
  transactions(): readonly TransactionInfo[];
  transaction(transactionalId: string): TransactionInfo | undefined;
  /** The transactional id of a producer. */
  transactionalIdOf(producerId: number): string | undefined;
  /** Producers with state on a partition. */
  active(partition: TopicPartition): readonly {
    producerId: number;
    epoch: number;
    lastSequence: number;
    lastTimeMs: number;
    transactionStartOffset?: number;
  }[];
}

export interface TransactionInfo extends ProducerIdentity {
  readonly transactionalId: string;
  readonly state: 'empty' | 'ongoing' | 'prepareCommit' | 'prepareAbort' | 'completeCommit' | 'completeAbort';
  readonly timeoutMs: number;
  /** When the open transaction began. */
  readonly startedMs?: number;
  readonly partitions: readonly TopicPartition[];
  /** Groups whose positions are part of it. */
  readonly groups: readonly string[];
}

// Verification

export interface VerifyProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface VerifyReport {
  readonly topics: number;
  readonly partitions: number;
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
  readonly damages: readonly Damage[];
}

export interface Damage {
  readonly file: string;
  readonly position: number;
  readonly topic?: string;
  readonly partition?: number;
  /** Offsets that are lost, both inclusive, where they can be told. */
  readonly firstOffset?: number;
  readonly lastOffset?: number;
  readonly detail: string;
}

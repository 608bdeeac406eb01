import type { Clock } from '../../kernel/index.ts';
import type {
  AppendInput,
  AppendResult,
  OffsetCommit,
  PartitionBounds,
  TopicPartition,
} from '../../streams/port.ts';
import type { Bounds } from './bounds.ts';
import type { Changelogs } from './changelogs.ts';
import type { Cluster } from './cluster.ts';
import type { CheckedAppend } from './commit-transaction.ts';
import type { GroupPositions } from './group-positions.ts';
import type { Names } from './names.ts';
import type { TransactionCalls } from './transactions.ts';

/** What memberships of one group need of the store. Places are the store's unless it is said otherwise. */
export interface GroupParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly names: Names;
  readonly calls: TransactionCalls;
  readonly bounds: Bounds;
  readonly positions: GroupPositions;
  readonly changelogs: Changelogs;
  readonly group: string;
  /** Partitions of the largest stream that the group reads. */
  statePartitions(): number;
  boundsOf(place: TopicPartition): PartitionBounds;
  /** Throws STREAM_NOT_FOUND, PARTITION_NOT_FOUND, BATCH_INVALID, RECORD_TOO_LARGE. */
  checkAppend(append: AppendInput): Promise<CheckedAppend>;
  /** Positions that this process has committed. */
  committed(offsets: readonly OffsetCommit[]): void;
  /**
   * Waits, no longer than that, until readers of committed records see what was appended; resolves to whether they do. Places
   * are the cluster's.
   */
  visible(results: readonly AppendResult[], withinMs: number): Promise<boolean>;
  /** Lets so much time go by. */
  turn(ms: number): Promise<void>;
}

export { type AssignableMember, assignPartitions } from './assignor.ts';
export { checkBatch } from './check-batch.ts';
export { type CommitTurn, createCommitOrder } from './commit-order.ts';
export { normalisePosition } from './group-offsets.ts';
export { type GroupChange, Groups, type GroupsSnapshot } from './groups.ts';
export { keyedMutex } from './keyed-mutex.ts';
export { KeyedState, type StateEntryBytes } from './keyed-state.ts';
export { GroupMembers, type Share } from './members.ts';
export {
  type AbortedTransaction,
  type Marker,
  type ProducedBatch,
  type ProducerEntry,
  ProducerStates,
  type ProducerStatesSnapshot,
  type RememberedBatch,
  type Undo,
} from './producer-states.ts';
export { checkPartitionCount, checkTopicName, mergeTopicConfig } from './topic-rules.ts';
export {
  type PendingOffsets,
  type Transaction,
  type TransactionChange,
  type TransactionEnd,
  type TransactionInit,
  Transactions,
  type TransactionsSnapshot,
} from './transactions.ts';

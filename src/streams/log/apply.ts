import type { Clock } from '../../kernel/index.ts';
import type { Groups, Transactions } from '../coordination/index.ts';
import type { Change } from './changes.ts';
import type { Partition } from './partition.ts';
import { type Segment, segmentFromLine } from './segment.ts';
import type { Topics } from './topics.ts';

export interface Applied {
  readonly topics: Topics;
  readonly groups: Groups;
  readonly transactions: Transactions;
  readonly garbage: { partition: Partition; segment: Segment }[];
  /** While the write-ahead files are replayed nothing writes to segments. */
  replaying: boolean;
}

/** Brings the state in memory up to a change that is durable. Idempotent over any later state (R1). */
export function applyChange(state: Applied, change: Change, clock: Clock): void {
  const { topics } = state;
  switch (change.kind) {
    case 'topic':
      topics.put(change.number, change.info);
      state.groups.topicsChanged();
      return;
    case 'topic-gone': {
      const topic = topics.remove(change.number);
      if (!topic) return;
      state.transactions.forgetTopic(topic.info.name);
      state.groups.forgetTopic(topic.info.name);
      return;
    }
    case 'start':
      moveStart(state, topics.byNumber(change.number)?.partitions[change.partition], change.offset);
      return;
    case 'swap':
      swapSegments(state, topics.byNumber(change.number)?.partitions[change.partition], change);
      return;
    case 'lost': {
      const partition = topics.byNumber(change.number)?.partitions[change.partition];
      if (!partition || partition.lostAt(change.range.firstOffset)) return;
      partition.lost.push(change.range);
      partition.line = undefined;
      return;
    }
    case 'group-offsets':
    case 'group-offsets-gone':
    case 'group-gone':
      state.groups.apply(change);
      return;
    default:
      state.transactions.apply(change, clock.monotonic());
  }
}

function moveStart(state: Applied, partition: Partition | undefined, offset: number): void {
  if (!partition || offset <= partition.logStart) return;
  partition.logStart = offset;
  partition.producers?.startAt(offset);
  partition.lost = partition.lost.filter((range) => range.lastOffset >= offset);
  partition.line = undefined;
  for (let first = partition.segments[0]; first && first.endOffset <= offset; first = partition.segments[0]) {
    // The last segment stays unless it is closed: the flusher may be writing it. In a replay it goes: it was closed and
    // removed since the checkpoint, or what it holds is below the start all the same.
    if (partition.segments.length === 1 && !first.closed && !state.replaying) return;
    state.garbage.push({ partition, segment: partition.segments.shift()! });
  }
}

function swapSegments(
  state: Applied,
  partition: Partition | undefined,
  change: Extract<Change, { kind: 'swap' }>,
): void {
  if (!partition) return;
  const from = partition.segments.findIndex((segment) => segment.name === change.removed[0]);
  if (from < 0) return; // the checkpoint knew of it
  const removed = partition.segments.splice(
    from,
    change.removed.length,
    ...(change.added ? [segmentFromLine(change.added)] : []),
  );
  for (const segment of removed) state.garbage.push({ partition, segment });
  partition.generation = Math.max(partition.generation, change.generation);
  partition.cleanEnd = Math.max(partition.cleanEnd, change.cleanEnd);
  // What memory still has of these segments is from before.
  while (partition.tailHead < partition.tail.length && partition.tailStart < change.cleanEnd) {
    partition.dropTailHead();
  }
  partition.line = undefined;
}
